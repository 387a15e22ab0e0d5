"""Elastic deformation: smooth, of the size it says, the same for images and masks."""

from typing import Annotated, NamedTuple

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Mask, Pixels
from vision_apps.data.augmentation.elastic import Elastic


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    masks: Annotated[Tensor | None, Mask()] = None


def places(B: int, H: int, W: int) -> Batch:
    """Each pixel says where it was, as floats."""
    x, y = torch.arange(W).expand(H, W), torch.arange(H)[:, None].expand(H, W)
    return Batch(torch.stack((x, y, x)).float().expand(B, 3, H, W).contiguous())


def test_displacements_are_normal_on_the_grid_and_smooth_between() -> None:
    B, H, W = 300, 65, 97
    moved = Elastic(sigma=3.0)(places(B, H, W)).images
    shift = moved[:, :2] - places(B, H, W).images[:, :2]
    middle = shift[:, :, H // 2, W // 2]  # a point of the grid that the border is far from
    assert middle.mean().abs() < 0.5
    assert middle.std(0).tolist() == pytest.approx([3.0, 3.0], rel=0.15)
    assert torch.corrcoef(middle.T)[0, 1].abs() < 0.15
    inner = shift[:, :, 16:-16, 16:-16]
    assert inner.diff(dim=2).abs().max() < 1
    assert inner.diff(dim=3).abs().max() < 1


def test_equals_sampling_each_picture_with_scipy() -> None:
    H, W = 40, 56
    images = torch.randint(0, 256, (3, 3, H, W), dtype=torch.uint8)
    masks = torch.randint(0, 5, (3, H, W), dtype=torch.uint8)
    transform = Elastic(sigma=2.5)
    torch.manual_seed(4)
    where = transform(places(3, H, W)).images
    torch.manual_seed(4)
    after = transform(Batch(images, masks))
    assert after.images.dtype == after.masks.dtype == torch.uint8
    inner = (slice(8, -8), slice(8, -8))
    for b in range(3):
        at = where[b, [1, 0]].numpy()  # rows, columns
        mask = torch.from_numpy(ndimage.map_coordinates(masks[b].numpy(), at, order=0))
        # ties between two pixels may fall either way
        assert (after.masks[b][inner] != mask[inner]).float().mean() < 0.005
        for channel in range(3):
            smooth = ndimage.map_coordinates(images[b, channel].float().numpy(), at, order=1)
            error = after.images[b, channel].float() - torch.from_numpy(smooth)
            assert error[inner].abs().max() < 0.75


def test_past_the_border_pictures_and_masks_are_mirrored_alike() -> None:
    masks = (torch.arange(48) // 8 % 2).to(torch.uint8).expand(20, 48, 48).contiguous()
    after = Elastic(sigma=8.0)(Batch((masks * 200)[:, None].repeat(1, 3, 1, 1), masks))
    assert set(after.masks.unique().tolist()) == {0, 1}
    agree = (after.images[:, 0] > 100) == (after.masks == 1)
    assert agree.float().mean() > 0.99


def test_probability_is_per_picture() -> None:
    images = torch.randint(0, 256, (200, 3, 12, 12), dtype=torch.uint8)
    same = (Elastic(3.0, p=0.25)(Batch(images)).images == images).flatten(1).all(1)
    assert 125 < same.sum() < 175


def test_what_does_not_fit() -> None:
    with pytest.raises(ConfigError, match="Elastic's grid is 1; expected 2 vectors a side or more"):
        Elastic(grid=1)
