"""FastNet: what its first layer promises, how it starts, and that it learns."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from vision_apps.applications.classification.fastnet import FastNet, Whitening, identity_conv
from vision_apps.core.errors import ConfigError


def narrow() -> FastNet:
    torch.manual_seed(0)
    return FastNet(3, 16, widths=(8, 16))


def smooth_images(count: int, size: int = 16) -> Tensor:
    """Neighbouring pixels and colours that go together, as in photographs: [count, 3, size, size]."""
    generator = torch.Generator().manual_seed(count)
    noise = torch.randn(count, 3, size + 2, size + 2, generator=generator)
    return F.avg_pool2d(noise, 3, stride=1) + noise.mean(dim=1, keepdim=True)[..., 1:-1, 1:-1]


def covariance(responses: Tensor) -> Tensor:
    return torch.cov(responses.transpose(0, 1).flatten(1))


# ---- whitening ---------------------------------------------------------------------------------------------


def test_whitened_patches_have_unit_variance_and_no_correlation() -> None:
    whitening, images = Whitening(eps=0), smooth_images(64)
    before = covariance(whitening(images)[:, :12])
    assert (before - before.diag().diag()).abs().max() > 0.1  # otherwise there is nothing to whiten
    whitening.measure(images)
    torch.testing.assert_close(covariance(whitening(images)[:, :12]), torch.eye(12), atol=1e-3, rtol=0)


def test_the_second_half_of_the_responses_is_the_negative_of_the_first() -> None:
    whitening, images = Whitening(), smooth_images(8)
    whitening.measure(images)
    first, second = whitening(images).chunk(2, dim=1)
    torch.testing.assert_close(second, -first)


def test_directions_without_variance_stay_finite() -> None:
    whitening, grey = Whitening(), torch.zeros(4, 3, 16, 16)
    whitening.measure(grey)
    torch.testing.assert_close(whitening.filters.flatten(1).norm(dim=1), torch.full((24,), 5e-4**-0.5))


def test_the_filters_travel_with_the_weights_and_are_not_trained() -> None:
    prepared = narrow()
    prepared.prepare(smooth_images(8))
    assert not torch.equal(prepared.whitening.filters, narrow().whitening.filters)
    loaded = narrow()
    loaded.load_state_dict(prepared.state_dict())
    torch.testing.assert_close(loaded.whitening.filters, prepared.whitening.filters)
    assert [name for name, _ in prepared.named_parameters() if name.startswith("whitening")] == []


# ---- start -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (4, 7), (7, 4)])
def test_a_convolution_starts_as_the_identity(inputs: int, outputs: int) -> None:
    maps, kept = torch.randn(2, inputs, 5, 5), min(inputs, outputs)
    torch.testing.assert_close(identity_conv(inputs, outputs)(maps)[:, :kept], maps[:, :kept])


def test_logits_are_scaled() -> None:
    network, images = narrow().eval(), smooth_images(4)
    logits = network(images)
    network.logit_scale *= 2
    torch.testing.assert_close(network(images), 2 * logits)


def test_the_default_has_the_size_that_its_configuration_states() -> None:
    with torch.device("meta"):
        network = FastNet(10, 32)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_972_480
    assert network(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


@pytest.mark.slow
@given(size=st.integers(2, 70), blocks=st.integers(1, 4))
def test_takes_the_sizes_that_it_says(size: int, blocks: int) -> None:
    smallest = 2**blocks + 1
    with torch.device("meta"):
        if size < smallest:
            with pytest.raises(ConfigError, match=rf"at least {smallest} pixels.*these have {size}"):
                FastNet(5, size, widths=(4,) * blocks)
        else:
            network = FastNet(5, size, widths=(4,) * blocks)
            assert network(torch.empty(2, 3, size, size)).shape == (2, 5)


def test_refuses_to_have_no_blocks() -> None:
    with pytest.raises(ConfigError, match=r"model\.widths"):
        FastNet(5, 32, widths=())


# ---- training ----------------------------------------------------------------------------------------------


def test_every_parameter_gets_a_gradient() -> None:
    network = narrow()
    network(smooth_images(8)).square().sum().backward()
    idle = [
        name
        for name, p in network.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    assert idle == []


def test_sixteen_random_images_are_learned_by_heart_in_bfloat16() -> None:
    network, images, labels = narrow(), smooth_images(16), torch.arange(16) % 3
    network.prepare(images)
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.85, nesterov=True)
    losses = []
    for _ in range(40):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2, losses[::8]  # knowing nothing costs ln 3 = 1.10


def test_in_evaluation_an_image_is_answered_alone() -> None:
    network, images = narrow(), smooth_images(4)
    network(images)  # running statistics other than those of the start
    network.eval()
    torch.testing.assert_close(torch.cat([network(image[None]) for image in images]), network(images))


def test_statistics_of_the_last_steps_are_used() -> None:
    norms = [layer for layer in narrow().modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        for _ in range(10):
            norm(torch.full((2, norm.num_features, 2, 2), 3.0))
        torch.testing.assert_close(
            norm.running_mean, torch.full((norm.num_features,), 3.0), atol=0.05, rtol=0
        )
