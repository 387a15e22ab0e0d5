import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vision_apps.applications.colorization.ab_bins import SoftColors, soft_encode
from vision_apps.applications.colorization.losses import (
    absolute_error,
    is_grey,
    pixel_chunks,
    soft_cross_entropy,
    squared_error,
)


def problem(
    dtype: torch.dtype = torch.float32, channels_last: bool = False
) -> tuple[list[Tensor], SoftColors, Tensor]:
    torch.manual_seed(0)
    features = torch.randn(3, 8, 5, 6)
    if channels_last:
        features = features.contiguous(memory_format=torch.channels_last)
    variables = [features.to(dtype), torch.randn(313, 8, 1, 1), torch.randn(313)]
    target = soft_encode(torch.rand(3, 2, 5, 6) * 120 - 60)
    return [v.requires_grad_() for v in variables], target, torch.rand(3, 5, 6)


def dense_loss(variables: list[Tensor], target: SoftColors, pixel_weights: Tensor) -> tuple[Tensor, Tensor]:
    features, weight, bias = variables
    distribution = torch.zeros(3, 313, 5, 6).scatter(1, target.indices, target.weights)
    entropy = F.cross_entropy(F.conv2d(features.float(), weight, bias), distribution, reduction="none")
    return (entropy * pixel_weights).sum(), entropy.sum()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("chunk", [1, 7, 30, 64, 10_000])  # parts of rows, rows, images, several images, all
def test_equals_the_dense_loss_and_its_gradient(chunk, channels_last):
    variables, target, pixel_weights = problem(channels_last=channels_last)
    weighted, plain = dense_loss(variables, target, pixel_weights)
    expected = torch.autograd.grad(3 * weighted, variables)
    found = soft_cross_entropy(*variables, target, pixel_weights, chunk)
    assert found.weighted.item() == pytest.approx(weighted.item(), rel=1e-6)
    assert found.plain.item() == pytest.approx(plain.item(), rel=1e-6)
    for gradient, reference in zip(torch.autograd.grad(3 * found.weighted, variables), expected, strict=True):
        assert torch.allclose(gradient, reference, atol=1e-6 * reference.abs().max().item())


def test_without_weights_both_sums_are_the_same():
    variables, target, _ = problem()
    found = soft_cross_entropy(*variables, target)
    assert found.weighted.item() == pytest.approx(found.plain.item())
    assert found.weighted.requires_grad and not found.plain.requires_grad
    assert found.pixels == 3 * 5 * 6


def test_half_precision_features_lose_no_more_than_their_rounding():
    variables, target, pixel_weights = problem(torch.bfloat16)
    expected = torch.autograd.grad(dense_loss(variables, target, pixel_weights)[0], variables)
    found = soft_cross_entropy(*variables, target, pixel_weights)
    assert found.weighted.dtype == torch.float32
    for gradient, reference in zip(torch.autograd.grad(found.weighted, variables), expected, strict=True):
        assert gradient.dtype == reference.dtype
        assert (gradient - reference).abs().max() < 0.03 * reference.abs().max()


def test_the_gradient_survives_float16_and_its_loss_scaling():
    variables, target, pixel_weights = problem(torch.float16)
    expected = torch.autograd.grad(dense_loss(variables, target, pixel_weights)[0] * 1e-5, variables)
    loss = soft_cross_entropy(*variables, target, pixel_weights).weighted * 1e-5
    found = torch.autograd.grad(loss * 2**10, variables)[0].float() / 2**10
    assert (found - expected[0].float()).abs().max() < 0.03 * expected[0].float().abs().max()


def test_takes_no_gradient_where_none_is_asked_for():
    variables, target, pixel_weights = problem()
    with torch.no_grad():
        without = soft_cross_entropy(*variables, target, pixel_weights)
    assert not without.weighted.requires_grad
    assert without.weighted.item() == pytest.approx(
        soft_cross_entropy(*variables, target, pixel_weights).weighted.item()
    )


def test_the_loss_of_a_perfect_answer_is_the_entropy_of_its_targets():
    target = soft_encode(torch.rand(1, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 60)
    distribution = torch.zeros(1, 313, 4, 4).scatter(1, target.indices, target.weights)
    logits = distribution.clamp_min(1e-30).log()
    found = soft_cross_entropy(logits, torch.eye(313)[:, :, None, None], torch.zeros(313), target)
    floor = torch.special.entr(distribution).sum()
    assert found.plain.item() == pytest.approx(floor.item(), abs=1e-5)


def test_chunks_cover_every_pixel_once():
    for batch, height, width, chunk in ((3, 5, 6, 7), (1, 1, 9, 4), (5, 2, 2, 100), (4, 3, 3, 9)):
        seen = torch.zeros(batch, height, width)
        for images, rows in pixel_chunks(batch, height, width, chunk):
            seen[images, rows] += 1
        assert (seen == 1).all()


def test_regression_is_in_units_of_110():
    ab = torch.zeros(2, 2, 3, 3)
    off = ab.clone()
    off[:, 0] = 110
    torch.testing.assert_close(squared_error(off, ab), torch.full((2, 3, 3), 0.5))
    torch.testing.assert_close(absolute_error(off, ab), torch.ones(2, 3, 3))


def test_one_colored_pixel_makes_an_image_colored():
    ab = torch.zeros(2, 2, 3, 3)
    ab[1, 1, 2, 2] = -6
    assert is_grey(ab).tolist() == [True, False]


def test_a_color_of_exactly_the_bound_is_grey():
    ab = torch.zeros(4, 2, 3, 3)
    ab[0, 0, 1, 1], ab[1, 1, 1, 1] = 5.0, -5.0
    ab[2, 0, 1, 1], ab[3, 1, 1, 1] = 5.0001, -5.0001
    assert is_grey(ab).tolist() == [True, True, False, False]
    assert is_grey(ab, 4.9).tolist() == [False] * 4
