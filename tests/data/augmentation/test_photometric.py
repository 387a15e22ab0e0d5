"""Photometric distortion against torchvision's changes of single images."""

from typing import Annotated, NamedTuple

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from vision_apps.core.fields import Pixels
from vision_apps.data.augmentation.photometric import Photometric, shift_hue


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]


def photos(B: int = 8, size: int = 16) -> Tensor:
    return torch.randint(30, 226, (B, 3, size, size), dtype=torch.uint8)


def only(**change: float) -> Photometric:
    nothing = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "p": 1.0}
    return Photometric(**(nothing | change))


@pytest.mark.parametrize("turns", [-0.5, -0.2, -0.01, 0.0, 0.05, 0.33, 0.5])
def test_hue_as_torchvision(turns: float) -> None:
    images = torch.rand(5, 3, 9, 11)
    images[0, 1] = images[0, 0]  # ties
    images[1, 2] = images[1, 0]
    images[2] = images[2, :1]  # grey
    images[3, 1:] = 0
    turned = shift_hue(images, torch.full((5,), turns))
    for image, result in zip(images, turned, strict=True):
        assert torch.allclose(result, v2.adjust_hue(image, turns), atol=2e-5)
    assert torch.allclose(shift_hue(turned, torch.full((5,), -turns)), images, atol=2e-5)


def test_without_changes_nothing_changes() -> None:
    images = photos()
    assert torch.equal(only()(Batch(images)).images, images)
    assert torch.equal(Photometric(p=0.0)(Batch(images)).images, images)


def test_brightness_is_a_shift_of_its_own_for_every_picture() -> None:
    grey = torch.full((500, 3, 2, 2), 100, dtype=torch.uint8)
    values = only(brightness=0.125)(Batch(grey)).images
    assert (values == values[:, :1, :1, :1]).all()
    shift = values[:, 0, 0, 0].float() - 100
    assert -32 <= shift.min() < -29
    assert 29 < shift.max() <= 32
    assert shift.abs().mean() == pytest.approx(16, abs=1.5)


@pytest.mark.parametrize(
    ("name", "change"), [("contrast", v2.adjust_contrast), ("saturation", v2.adjust_saturation)]
)
def test_factors_as_torchvision(name: str, change) -> None:
    """The factor is read from the result and has to explain all of it."""
    images = photos(40)
    after = only(**{name: 0.5})(Batch(images)).images
    factors = []
    for image, result in zip(images, after, strict=True):
        tried = torch.linspace(0.5, 1.5, 201).tolist()
        errors = [(change(image, factor).int() - result.int()).abs().max().item() for factor in tried]
        best = min(range(201), key=errors.__getitem__)
        assert errors[best] <= 2
        factors.append(tried[best])
    assert min(factors) < 0.6
    assert max(factors) > 1.4


def test_hue_keeps_to_its_range_and_each_change_has_its_chance() -> None:
    red = torch.zeros(400, 3, 2, 2, dtype=torch.uint8)
    red[:, 0] = 240
    after = only(hue=0.05, p=0.5)(Batch(red)).images
    green, blue = after[:, 1, 0, 0], after[:, 2, 0, 0]
    assert 65 < green.max() <= 72  # 18 degrees of the 60 to yellow
    assert 65 < blue.max() <= 72
    assert not (green.bool() & blue.bool()).any()
    assert 160 < (green | blue).bool().sum() < 240


def test_all_changes_equal_a_loop_over_images() -> None:
    B = 30
    images = photos(B)
    torch.manual_seed(5)
    after = Photometric()(Batch(images)).images
    torch.manual_seed(5)
    drawn = [
        torch.empty(B).uniform_(-width, width) * (torch.rand(B) < 0.5) for width in (0.125, 0.5, 0.5, 0.05)
    ]
    early = torch.rand(B) < 0.5
    assert 5 < early.sum() < 25
    for b, (bright, contrast, saturation, hue) in enumerate(zip(*(d.tolist() for d in drawn), strict=True)):
        image = (images[b].float() / 255 + bright).clamp(0, 1)
        if early[b]:
            image = v2.adjust_contrast(image, 1 + contrast)
        image = v2.adjust_hue(v2.adjust_saturation(image, 1 + saturation), hue)
        if not early[b]:
            image = v2.adjust_contrast(image, 1 + contrast)
        assert (after[b] - image * 255).abs().max() <= 0.6


def test_few_pictures_stay_as_they_are() -> None:
    images = photos(100)
    after = Photometric()(Batch(images)).images
    same = (after == images).flatten(1).all(1).sum()
    assert same < 20  # one in sixteen expected
