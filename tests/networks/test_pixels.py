"""The normalisation against its formula in double precision."""

import pytest
import torch
from torch import Tensor, nn

from vision_apps.networks.pixels import PixelNormalization

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
EVERY = torch.arange(256, dtype=torch.uint8).expand(2, 3, 1, 256)


def formula(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (MEAN, STD))
    return (images.double() / 255 - mean) / std


def test_every_value_is_normalised() -> None:
    found = PixelNormalization(nn.Identity(), MEAN, STD)(EVERY)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), formula(EVERY), atol=1e-6, rtol=0)


def test_resized_pixels_are_normalised_alike() -> None:
    normalize = PixelNormalization(nn.Identity(), MEAN, STD)
    assert torch.equal(normalize(EVERY.float()), normalize(EVERY))


@pytest.mark.parametrize(("dtype", "step"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_pixels_have_the_type_that_the_network_was_moved_to(dtype: torch.dtype, step: float) -> None:
    found = PixelNormalization(nn.Identity(), MEAN, STD).to(dtype)(EVERY)
    assert found.dtype == dtype
    # product and offset, each below 4.5, are rounded, and so are mean and std
    torch.testing.assert_close(found.double(), formula(EVERY), atol=4 * 4.5 * step, rtol=0)


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor])
def test_the_network_s_own_goes_before_its_backbone_s_and_that_before_the_data_s(kind: type) -> None:
    network, backbone = nn.Module(), nn.Module()
    network.backbone = backbone
    expected(network, MEAN, STD)
    backbone.mean, backbone.std = kind([0.0, 0.25, 0.5]), kind([0.5, 0.25, 0.125])
    expected(network, [0.0, 0.25, 0.5], [0.5, 0.25, 0.125])
    network.std = kind([1.0, 2.0, 4.0])
    expected(network, [0.0, 0.25, 0.5], [1.0, 2.0, 4.0])
    network.mean = None  # a network that would say, but does not know
    expected(network, [0.0, 0.25, 0.5], [1.0, 2.0, 4.0])


def expected(network: nn.Module, mean: list[float], std: list[float]) -> None:
    found = PixelNormalization(network, MEAN, STD)
    assert found.mean.flatten().tolist() == pytest.approx(mean, abs=1e-7)
    assert found.std.flatten().tolist() == pytest.approx(std, abs=1e-7)


def test_it_travels_with_the_weights() -> None:
    one, other = PixelNormalization(nn.Identity(), MEAN, STD), PixelNormalization(nn.Identity(), STD, MEAN)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(EVERY), one(EVERY))


def test_a_network_s_tensor_is_copied() -> None:
    network = nn.Module()
    network.mean = torch.full((3,), 0.5)
    normalize = PixelNormalization(network, MEAN, STD)
    normalize.mean.zero_()
    assert network.mean.tolist() == [0.5] * 3
