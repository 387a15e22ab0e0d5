"""Changes of colour against torchvision's on single images, and RandAugment's moves."""

import math
from typing import Annotated, NamedTuple

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as v2

from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Pixels
from vision_apps.data.augmentation import randaugment
from vision_apps.data.augmentation.randaugment import COLORS, ColorJitter, RandAugment, in_shape, move
from vision_apps.data.augmentation.spatial import warp


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]


def photos(B: int = 5, size: int = 16) -> Tensor:
    """Smooth, of limited contrast, so that stretching has something to stretch."""
    coarse = torch.rand(B, 3, 4, 4) * 150 + 40
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").round().byte()


@pytest.mark.parametrize(
    ("change", "reference", "strengths"),
    [
        (randaugment.brightness, v2.adjust_brightness, [0.1, 0.5, 1.0, 1.5, 1.9]),
        (randaugment.contrast, v2.adjust_contrast, [0.1, 0.5, 1.0, 1.5, 1.9]),
        (randaugment.saturation, v2.adjust_saturation, [0.1, 0.5, 1.0, 1.5, 1.9]),
        (randaugment.sharpness, v2.adjust_sharpness, [0.1, 0.5, 1.0, 1.5, 1.9]),
        (randaugment.posterize, lambda x, s: v2.posterize(x, int(s)), [4.0, 5.0, 6.0, 7.0, 8.0]),
        (randaugment.solarize, v2.solarize, [0.0, 60.0, 128.0, 200.0, 255.0]),
        (COLORS["autocontrast"][0], lambda x, s: v2.autocontrast(x), [0.0] * 5),
        (COLORS["equalize"][0], lambda x, s: v2.equalize(x), [0.0] * 5),
    ],
)
def test_each_image_changes_as_torchvision_would_change_it(change, reference, strengths) -> None:
    images = photos()
    changed = change(images, torch.tensor(strengths))
    assert changed.dtype == torch.uint8
    for image, result, strength in zip(images, changed, strengths, strict=True):
        expected = reference(image, strength)
        assert (result.int() - expected.int()).abs().max() <= 1  # torchvision cuts off where this rounds
    assert not torch.equal(changed, images)


def moved(images: Tensor, name: str, level: float) -> Tensor:
    maps = in_shape(move(name, torch.full((len(images),), level)), *images.shape[-2:])
    return warp(images, maps, *images.shape[-2:], "zeros")


@pytest.mark.parametrize("level", [-1.0, -0.4, 0.7])
def test_rotation_agrees_with_torchvision(level: float) -> None:
    images = photos(size=24)[..., :18]  # not square
    expected = v2.rotate(images, 30 * level, interpolation=InterpolationMode.BILINEAR)
    inner = (moved(images, "rotate", level).int() - expected.int())[..., 5:-5, 5:-5]
    assert inner.abs().max() <= 1


def test_translation_is_by_the_papers_share_of_the_side() -> None:
    images = photos(size=331)[:1]
    for name, shift in (("translate x", (0, 150)), ("translate y", (150, 0))):
        expected = images[..., shift[0] :, shift[1] :]
        result = moved(images, name, 1.0)[..., : 331 - shift[0], : 331 - shift[1]]
        assert (result.int() - expected.int()).abs().max() <= 1
        assert moved(images, name, 1.0)[..., 331 - shift[0] :, 331 - shift[1] :].sum() == 0


def test_shear_moves_rows_by_three_tenths_of_their_height() -> None:
    images = torch.zeros(1, 3, 41, 61, dtype=torch.uint8)
    images[..., 30] = 255
    for row, column in ((20, 30), (30, 27), (10, 33)):
        line = moved(images, "shear x", 1.0)[0, 0, row].float()
        assert (line * torch.arange(61)).sum() / line.sum() == pytest.approx(column, abs=0.05)


def test_moves_are_composed_in_their_order() -> None:
    images = photos(size=32)
    first, second = move("rotate", torch.full((5,), 0.5)), move("translate x", torch.full((5,), 0.3))

    def apply(pictures: Tensor, maps: Tensor) -> Tensor:
        return warp(pictures, maps[:, :2], 32, 32, "border")

    def difference(one: Tensor, other: Tensor) -> float:
        return (one.int() - other.int())[..., 10:22, 10:22].abs().float().mean().item()

    in_turn = apply(apply(images, first), second)
    assert difference(apply(images, first @ second), in_turn) < 1.5  # resampled once against twice
    assert difference(apply(images, second @ first), in_turn) > 4


def test_without_operations_nothing_changes() -> None:
    images = photos()
    assert torch.equal(RandAugment(num_ops=0)(Batch(images)).images, images)


def test_every_operation_is_drawn() -> None:
    torch.manual_seed(0)
    image = photos(1)
    results = RandAugment(num_ops=1, magnitude=15)(Batch(image.expand(2000, 3, 16, 16))).images
    distinct, counts = results.flatten(1).unique(dim=0, return_counts=True)
    # 4 colours and 5 moves with either sign, posterize, solarize, autocontrast, equalize, identity
    assert len(distinct) == 9 * 2 + 5
    assert counts.min() > 40  # 71 expected for one sign, standard deviation 8
    assert (distinct == image.flatten()).all(1).any()


def test_two_moves_of_one_image_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randaugment, "_OPERATIONS", ("translate x",))
    image = torch.zeros(1, 3, 2, 331, dtype=torch.uint8)
    image[..., 165] = 255
    results = RandAugment(num_ops=2, magnitude=6)(Batch(image.expand(40, 3, 2, 331))).images  # 30 pixels each
    assert results[:, 0, 0].argmax(1).unique().tolist() == [105, 165, 225]


def test_a_spread_gives_every_image_its_own_strength() -> None:
    image = photos(1).expand(200, 3, 16, 16)
    same = RandAugment(num_ops=1, magnitude=9)(Batch(image)).images.flatten(1).unique(dim=0)
    spread = (
        RandAugment(num_ops=1, magnitude=9, magnitude_std=3.0)(Batch(image)).images.flatten(1).unique(dim=0)
    )
    assert len(spread) > 2 * len(same)


@pytest.mark.parametrize("magnitude", [-1, 31])
def test_a_magnitude_off_the_scale_is_refused(magnitude: float) -> None:
    with pytest.raises(ConfigError, match=f"{magnitude}.*0 to 30"):
        RandAugment(magnitude=magnitude)


def test_jitter_stays_within_its_range() -> None:
    grey = torch.full((500, 3, 2, 2), 100, dtype=torch.uint8)
    values = ColorJitter(brightness=0.2, contrast=0, saturation=0)(Batch(grey)).images[:, 0, 0, 0].float()
    assert values.min() >= 80
    assert values.max() <= 120
    assert values.std() == pytest.approx(40 / math.sqrt(12), rel=0.1)
