import numpy as np
import pytest
import torch
from skimage.color import lab2rgb
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vision_apps.applications.colorization.ab_bins import ab_bins
from vision_apps.applications.colorization.lab import rgb_to_ab
from vision_apps.applications.colorization.metrics import (
    AbHistogram,
    AbsoluteMean,
    ColorAuC,
    colorfulness,
    draw_histogram,
    psnr,
    ssim,
)


def images(seed: int, count: int = 4, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def areas(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Area under each pixel's step function by the trapezoidal rule over 151 thresholds, in [0, 1]."""
    distance = np.sqrt(((predicted - truth) ** 2).sum(1))
    within = distance[..., None] <= np.arange(151)
    return np.trapezoid(within.astype(float), axis=-1) / 150


@pytest.fixture
def ab() -> tuple[torch.Tensor, torch.Tensor]:
    truth = rgb_to_ab(images(0))
    predicted = truth + 30 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    predicted[0, :, :3] = truth[0, :, :3]  # exactly right
    predicted[1, :, :2] = 500  # beyond every threshold
    return predicted, truth


def test_raw_auc_is_the_mean_area(ab):
    predicted, truth = ab
    metric = ColorAuC()
    metric.update(predicted[:3], truth[:3])
    metric.update(predicted[3:], truth[3:])
    expected = 100 * areas(predicted.numpy(), truth.numpy()).mean()
    for name in ("auc", "auc_per_image"):
        assert metric.compute()[name].item() == pytest.approx(expected, abs=1e-4)


def test_rebalanced_auc_weighs_by_the_inverse_frequency_of_the_true_color(ab):
    predicted, truth = ab
    area = areas(predicted.double().numpy(), truth.double().numpy())
    distance = torch.cdist(truth.permute(0, 2, 3, 1).reshape(-1, 2), ab_bins())
    bins = distance.argmin(1).numpy().reshape(area.shape)
    weight = 1 / np.bincount(bins.ravel(), minlength=313).clip(1)[bins]
    metric = ColorAuC()
    for part in (slice(0, 1), slice(1, 4)):
        metric.update(predicted[part], truth[part])
    found = {name: value.item() for name, value in metric.compute().items()}
    pooled = (area * weight).sum() / weight.sum()
    assert found["auc_rebalanced"] == pytest.approx(100 * pooled, abs=1e-4)
    expected = ((area * weight).sum((1, 2)) / weight.sum((1, 2))).mean()
    assert found["auc_rebalanced_per_image"] == pytest.approx(100 * expected, abs=1e-4)


def test_the_truth_has_an_auc_of_100():
    truth = rgb_to_ab(images(0))
    metric = ColorAuC()
    metric.update(truth, truth)
    assert [value.item() for value in metric.compute().values()] == pytest.approx([100] * 4)


def test_psnr_is_that_of_each_image():
    predicted, truth = images(0), images(1)
    expected = [peak_signal_noise_ratio(t.numpy(), p.numpy()) for p, t in zip(predicted, truth, strict=True)]
    assert psnr(predicted, truth).tolist() == pytest.approx(expected, abs=1e-4)


def test_psnr_of_a_perfect_image_is_finite():
    assert psnr(images(0), images(0)).tolist() == pytest.approx([58.92] * 4, abs=0.01)


def test_ssim_agrees_with_scikit_image():
    truth = images(0, size=32)
    predicted = (truth.float() * 0.8 + 20).to(torch.uint8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ssim(predicted, truth)
    expected = [
        structural_similarity(
            t.numpy(), p.numpy(), channel_axis=0, data_range=255, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
        for p, t in zip(predicted, truth, strict=True)
    ]  # fmt: skip
    assert found.tolist() == pytest.approx(expected, abs=2e-3)


def test_ssim_of_plain_pictures_is_that_of_their_means():
    """Without contrast (2 x y + C1) / (x^2 + y^2 + C1) is left, C1 = (0.01 * 255)^2 (Wang et al. 2004)."""
    shades = [(0, 3), (2, 5), (8, 12)]
    one, other = (
        torch.tensor(values, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 16, 16)
        for values in zip(*shades, strict=True)
    )
    c1 = (0.01 * 255) ** 2
    expected = [(2 * x * y + c1) / (x**2 + y**2 + c1) for x, y in shades]
    assert ssim(one, other).tolist() == pytest.approx(expected, abs=1e-4)


def reference_colorfulness(image: np.ndarray, absolute: bool) -> float:
    red, green, blue = image.astype(float)
    first, second = red - green, 0.5 * (red + green) - blue
    if absolute:
        first, second = np.abs(first), np.abs(second)
    return float(np.hypot(first.std(), second.std()) + 0.3 * np.hypot(first.mean(), second.mean()))


def test_both_forms_of_colorfulness():
    pictures = images(0)
    for form in ("signed", "absolute"):
        expected = [reference_colorfulness(p, form == "absolute") for p in pictures.numpy()]
        assert colorfulness(pictures, form).tolist() == pytest.approx(expected, rel=1e-5)


def test_the_gap_is_between_means():
    predicted, truth = images(0) // 2, images(1)
    metric = AbsoluteMean()
    for part in (slice(0, 1), slice(1, 4)):
        metric.update(colorfulness(predicted[part], "absolute") - colorfulness(truth[part], "absolute"))
    means = [np.mean([reference_colorfulness(p, True) for p in x.numpy()]) for x in (predicted, truth)]
    assert metric.compute().item() == pytest.approx(abs(means[0] - means[1]), rel=1e-4)


def test_gaps_in_opposite_directions_cancel():
    """The absolute value of the mean, over all batches, and not the mean of absolute values."""
    metric = AbsoluteMean()
    metric.update(torch.tensor([10.0, -4.0]))
    metric.update(torch.tensor([-9.0]))
    assert metric.compute().item() == pytest.approx(1)
    metric.update(torch.tensor([3.0]))
    assert metric.compute().item() == 0


def test_histogram_counts_every_pixel_and_is_drawn():
    truth = rgb_to_ab(images(0))
    metric = AbHistogram()
    metric.update(torch.zeros_like(truth), truth)
    counts = metric.compute()
    assert counts.sum((1, 2)).tolist() == [4 * 256, 4 * 256]
    assert counts[0, 22, 22] == 4 * 256
    expected, _, _ = np.histogram2d(
        *truth.transpose(0, 1).flatten(1).numpy(), bins=44, range=[[-110, 110]] * 2
    )
    assert np.array_equal(counts[1].numpy(), expected)
    picture = draw_histogram(counts)
    assert picture.dtype == torch.uint8 and picture.shape == (3, 264, 534)
    assert picture[:, 130, 134].float().min() > 200  # the one grey cell, in the middle of the left half


def test_colors_beyond_the_plane_count_at_its_edge():
    metric = AbHistogram()
    ab = torch.tensor([120.0, -111.0]).view(1, 2, 1, 1)
    metric.update(ab, -ab)
    assert metric.compute().nonzero().tolist() == [[0, 43, 0], [1, 0, 43]]


def test_a_drawn_histogram_has_a_to_the_right_b_upwards_and_the_truth_beside():
    counts = torch.zeros(2, 44, 44, dtype=torch.int64)
    counts[0, 22, 22], counts[0, 26, 18] = 1, 999  # a 2.5, b 2.5; a 22.5, b -17.5
    counts[1, 18, 30] = 7  # a -17.5, b 42.5
    cells = draw_histogram(counts)[:, 3::6, 3::6]  # the middle of each
    halves = {"predicted": cells[..., :44], "truth": cells[..., 45:]}
    bright = {name: (half > 60).any(0).nonzero().tolist() for name, half in halves.items()}
    assert bright == {"predicted": [[43 - 22, 22], [43 - 18, 26]], "truth": [[43 - 30, 18]]}

    def shown(lightness: float, a: float, b: float) -> list[float]:
        return (255 * lab2rgb([[[lightness, a, b]]])[0, 0]).tolist()

    seen = halves["predicted"][:, 43 - 22, 22].tolist()
    assert seen == pytest.approx(shown(20 + 80 * 0.5, 2.5, 2.5), abs=1)  # 1e-3 is half of 1e-6, in digits
    assert halves["truth"][:, 21, 22].tolist() == pytest.approx(shown(12.0, 0.0, 0.0), abs=1)  # the gamut
    assert halves["truth"][:, 0, 0].tolist() == [0, 0, 0]
