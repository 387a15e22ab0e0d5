"""Augmentation of whole batches: against loops over single images, and properties that hold for any draw."""

from typing import Annotated, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Label, Pixels, PixelTruth
from vision_apps.data.augmentation.crops import CutMix, Cutout, Flip, MixUp, RandomCrop, RandomResizedCrop
from vision_apps.data.augmentation.randaugment import ColorJitter, RandAugment
from vision_apps.data.augmentation.spatial import windows


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    labels: Annotated[Tensor | None, Label()] = None
    mask: Annotated[Tensor | None, PixelTruth()] = None  # int16 [B, H, W]
    truth: Annotated[Tensor | None, PixelTruth()] = None  # float32 [B, 2, H, W]


def pictures(B: int = 6, H: int = 12, W: int = 16) -> Tensor:
    return torch.randint(0, 256, (B, 3, H, W), dtype=torch.uint8)


def tied(B: int = 6, H: int = 12, W: int = 16) -> Batch:
    """Fields that hold the same numbers as the red channel, so that moving alike can be seen."""
    images = pictures(B, H, W)
    red = images[:, 0]
    return Batch(images, torch.arange(B), red.to(torch.int16), torch.stack((red, 255 - red), 1).float())


def assert_still_tied(batch: Batch) -> None:
    red = batch.images[:, 0]
    assert batch.mask is not None
    assert batch.truth is not None
    assert torch.equal(batch.mask, red.to(torch.int16))
    assert torch.equal(batch.truth, torch.stack((red, 255 - red), 1).float())


ALL = [
    RandomCrop(2),
    RandomCrop(2, mode="constant"),
    Flip(),
    RandomResizedCrop(8),
    Cutout(4),
    MixUp(6),
    CutMix(6),
    ColorJitter(),
    RandAugment(),
]
NAMES = [type(transform).__name__ + getattr(transform, "mode", "") for transform in ALL]


@pytest.mark.parametrize("transform", ALL, ids=NAMES)
def test_the_seed_decides_and_the_input_is_left_alone(transform: object) -> None:
    batch = Batch(pictures(), torch.arange(6))
    before = batch.images.clone()
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(transform(batch))
    assert torch.equal(results[0].images, results[1].images)
    assert not torch.equal(results[0].images, results[2].images)
    assert torch.equal(batch.images, before)
    assert results[0].images.dtype == torch.uint8
    assert results[0].images.is_contiguous()


@pytest.mark.parametrize("transform", ALL, ids=NAMES)
def test_memory_layout_does_not_matter(transform: object) -> None:
    images = pictures()
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(3)
        results.append(transform(Batch(images.to(memory_format=layout), torch.arange(6))).images)
    assert torch.equal(*results)


@pytest.mark.parametrize("transform", [RandomCrop(3), Flip(), Flip(1.0)])
def test_fields_over_the_pixels_move_alike(transform: object) -> None:
    assert_still_tied(transform(tied()))


@given(B=st.integers(1, 5), H=st.integers(2, 9), W=st.integers(2, 9), data=st.data())
def test_windows_are_slices(B: int, H: int, W: int, data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, H)), data.draw(st.integers(1, W))
    top = torch.tensor([data.draw(st.integers(0, H - height)) for _ in range(B)])
    left = torch.tensor([data.draw(st.integers(0, W - width)) for _ in range(B)])
    for field in (pictures(B, H, W), torch.randn(B, H, W), torch.randn(B, 2, 2, H, W)):
        for source in (field, torch.stack((field, field))[1]):  # the second starts amid its storage
            cut = windows(source, top, left, height, width)
            expected = [
                image[..., y : y + height, x : x + width]
                for image, y, x in zip(field, top, left, strict=True)
            ]
            assert torch.equal(cut, torch.stack(expected))


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_random_crop_equals_a_loop_over_images(mode: str) -> None:
    images = pictures(8, 10, 7)
    torch.manual_seed(5)
    cropped = RandomCrop(3, mode=mode)(Batch(images)).images
    torch.manual_seed(5)
    top, left = torch.randint(0, 7, (2, 8))
    for image, result, y, x in zip(images, cropped, top, left, strict=True):
        padded = F.pad(image[None].float(), (3, 3, 3, 3), mode=mode)[0].byte()
        assert torch.equal(result, padded[:, y : y + 10, x : x + 7])


def test_random_crop_reaches_every_place_evenly() -> None:
    ramp = torch.arange(12, dtype=torch.uint8)
    images = (ramp[:, None] * 20 + ramp[None, :]).expand(4000, 3, 12, 12)
    corners = RandomCrop(2)(Batch(images)).images[:, 0, 2, 2]  # an inner pixel: tells the offset
    counts = corners.unique(return_counts=True)[1]
    assert len(counts) == 25
    assert counts.min() > 100  # 160 expected, standard deviation 12


def test_a_border_wider_than_the_image_cannot_be_reflected() -> None:
    with pytest.raises(ConfigError, match="padding 12 cannot be reflected in images of 12 x 16"):
        RandomCrop(12)(Batch(pictures()))


def test_flipping_twice_is_nothing() -> None:
    batch = tied()
    always = Flip(1.0)
    assert torch.equal(always(batch).images, batch.images.flip(-1))
    assert torch.equal(always(always(batch)).images, batch.images)
    assert torch.equal(Flip(0.0)(batch).images, batch.images)


def test_flip_draws_for_every_image() -> None:
    images = pictures(400, 2, 4)
    flipped = Flip(0.25)(Batch(images)).images
    same, mirrored = (flipped == images).all((1, 2, 3)), (flipped == images.flip(-1)).all((1, 2, 3))
    assert (same | mirrored).all()
    assert 60 < mirrored.sum() < 140  # 100 expected, standard deviation 9


@given(size=st.integers(1, 12))
def test_cutout_paints_at_most_a_square(size: int) -> None:
    images = torch.full((32, 3, 12, 12), 200, dtype=torch.uint8)
    painted = Cutout(size, mean=(0.0, 0.5, 1.0))(Batch(images)).images
    changed = painted[:, 0] == 0
    area = changed.flatten(1).sum(1)
    assert area.max() <= size**2
    assert area.min() >= (size - size // 2) ** 2 if size > 1 else (area == 1).all()
    assert painted[:, 1][changed].unique().tolist() == [128]
    assert painted[:, 2][changed].unique().tolist() == [255]
    box = changed.any(1).sum(1) * changed.any(2).sum(1)
    assert torch.equal(box, area)  # a filled rectangle


def test_random_resized_crop_of_everything_is_a_resize() -> None:
    images = F.interpolate(torch.rand(4, 3, 4, 4), size=(24, 24), mode="bilinear").mul(255).byte()
    resized = RandomResizedCrop(12, scale=(1.0, 1.0), ratio=(1.0, 1.0))(Batch(images)).images
    expected = v2.resize(images, [12, 12], antialias=False)
    assert (resized.int() - expected.int()).abs().max() <= 1


def test_random_resized_crop_keeps_to_its_ranges() -> None:
    B, H, W = 200, 64, 64
    place = torch.arange(64.0)
    x, y = place.expand(H, W), place[:, None].expand(H, W)
    # each pixel says where it was, as floats: 8 bits are too coarse to measure with
    batch = Batch(torch.stack((x, y, x)).expand(B, 3, H, W))
    moved = RandomResizedCrop(32, scale=(0.25, 0.5), ratio=(0.5, 2.0))(batch).images
    assert moved.shape == (B, 3, 32, 32)
    wide = (moved[:, 0, 16, 24] - moved[:, 0, 16, 8]) * 2
    high = (moved[:, 1, 24, 16] - moved[:, 1, 8, 16]) * 2
    share, ratio = wide * high / (H * W), wide / high
    assert 0.245 < share.min() < 0.28
    assert 0.47 < share.max() < 0.505
    assert 0.49 < ratio.min() < 0.6
    assert 1.7 < ratio.max() < 2.05
    across, down = moved[:, 0].diff(dim=2), moved[:, 1].diff(dim=1)
    assert min(across.min(), down.min()) > 0  # no rectangle reaches over the edge, where places would repeat
    assert moved[:, 0].amin((1, 2)).min() < 2
    assert moved[:, 0].amax((1, 2)).max() > 61


def test_the_ratio_of_a_crop_is_width_to_height_and_even_in_the_logarithm() -> None:
    B, H, W = 400, 64, 64
    place = torch.arange(64.0)
    x, y = place.expand(H, W), place[:, None].expand(H, W)
    batch = Batch(torch.stack((x, y, x)).expand(B, 3, H, W))
    torch.manual_seed(0)
    moved = RandomResizedCrop(32, scale=(0.1, 0.1), ratio=(1.0, 4.0))(batch).images
    wide = moved[:, 0, 16, 24] - moved[:, 0, 16, 8]
    high = moved[:, 1, 24, 16] - moved[:, 1, 8, 16]
    ratio = wide / high
    assert ratio.min() > 0.99 and ratio.max() < 4.01
    assert ratio.median().item() == pytest.approx(2, abs=0.2)  # drawn evenly it would be 2.5
    torch.testing.assert_close(4 * wide * high / (H * W), torch.full((B,), 0.1), rtol=1e-3, atol=0)
    usual = RandomResizedCrop(32)
    assert (usual.scale, usual.ratio) == ((0.08, 1.0), (3 / 4, 4 / 3))  # Szegedy et al. 2015, section 6


@pytest.mark.parametrize(
    ("transform", "alpha"),
    [(MixUp(2), 0.2), (MixUp(2, alpha=1.0), 1.0), (MixUp(2, alpha=8.0), 8.0)],
)
def test_alpha_is_that_of_the_beta_distribution(transform: MixUp, alpha: float) -> None:
    """Whose variance is 1 / (8 alpha + 4)."""
    batch = Batch(pictures(2, 4, 4), torch.arange(2))
    torch.manual_seed(0)
    shares = torch.stack([transform(batch).labels[0, 0] for _ in range(1500)])
    assert shares.mean().item() == pytest.approx(0.5, abs=0.04)
    assert shares.var().item() == pytest.approx(1 / (8 * alpha + 4), rel=0.1)


def test_areas_are_cut_evenly_unless_said_otherwise() -> None:
    assert CutMix(2).mix.alpha == 1.0
    assert CutMix(2, alpha=0.5).mix.alpha == 0.5


@pytest.mark.parametrize("transform", [MixUp(6, alpha=1.0), CutMix(6)])
def test_mixed_labels_are_shares(transform: MixUp | CutMix) -> None:
    for _ in range(20):
        mixed = transform(Batch(pictures(), torch.arange(6)))
        assert mixed.labels is not None
        assert mixed.labels.shape == (6, 6)
        assert torch.allclose(mixed.labels.sum(1), torch.ones(6))
        assert (mixed.labels > 0).sum(1).max() <= 2


def test_mixup_blends_images_as_it_blends_labels() -> None:
    images = (
        (torch.eye(6) * 255).byte()[:, None, :, None].expand(6, 3, 6, 4).contiguous()
    )  # image k: row k is white
    mixed = MixUp(6, alpha=1.0)(Batch(images, torch.arange(6)))
    assert mixed.labels is not None
    assert ((mixed.images[:, 0, :, 0].float() / 255) - mixed.labels).abs().max() < 1 / 255


def test_cutmix_shares_are_areas() -> None:
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 10, 10).contiguous()
    for _ in range(10):
        mixed = CutMix(6)(Batch(images, torch.arange(6)))
        shares = F.one_hot(mixed.images[:, 0].long(), 6).float().mean((1, 2))
        assert torch.allclose(shares, mixed.labels, atol=1e-5)


def test_mixing_both_and_mixing_seldom() -> None:
    batch = Batch(pictures(), torch.arange(6))
    both = CutMix(6)(MixUp(6)(batch))
    assert torch.allclose(both.labels.sum(1), torch.ones(6))
    never = MixUp(6, p=0.0)(batch)
    assert torch.equal(never.images, batch.images)
    assert torch.equal(never.labels, torch.eye(6))
    assert torch.equal(MixUp(6, p=0.0)(never).labels, torch.eye(6))
    with pytest.raises(ConfigError, match="'labels'"):
        MixUp(6)(Batch(pictures()))
