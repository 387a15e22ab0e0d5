"""Regions between user and network: what is typed, where there are none, and back to the picture's pixels."""

from collections.abc import Mapping

import torch
from torch import Tensor

from vision_apps.applications.captioning.types import CaptionAnswer, CaptionInputs
from vision_apps.data.captions.regions import given_regions
from vision_apps.data.resizing import ResizeMode, restore_boxes

REGION_WORDS = {
    "regions": "boxes to look at: x1,y1,x2,y2;... in pixels of the picture, or a file boxes.npz:ID; not "
    "needed where the run has a detector of its own",
}
NO_REGIONS = (
    "regions: not said, and there is no detector to find them; expected --with regions='10,20,60,90;...' in "
    "pixels of the picture, or --with regions=boxes.npz:ID (of many pictures: a JSONL file, a line a picture)"
)


def encoded(images: Tensor, words: Mapping[str, str], width: int | None) -> CaptionInputs:
    """A picture [1, 3, H, W] with the regions that are said of it, if any are. `DataError` as
    `given_regions` says.

    Args:
        width: numbers that a network takes of each region; none: it reads its map there.
    """
    text = words.get("regions")
    if text is None:
        return CaptionInputs(images)
    boxes, features = given_regions(text, images.shape[-2:], width)
    return CaptionInputs(images, boxes[None], None if features is None else features[None])


def size_of(images: Tensor) -> Tensor:
    """Height and width that all have, int64 [2]."""
    return torch.tensor(images.shape[-2:], device=images.device)


def restored(answer: CaptionAnswer, images: Tensor, size: tuple[int, int], mode: ResizeMode) -> CaptionAnswer:
    """An answer whose regions are in pixels of the network's input, with these in pixels of the pictures.

    Args:
        size, mode: what pictures are brought to before the network sees them, and how.
    """
    if answer.region_boxes is None:
        return answer
    return answer._replace(region_boxes=restore_boxes(answer.region_boxes, size_of(images), size, mode))


def example_regions(
    size: tuple[int, int], width: int | None, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Two boxes of a first picture and one of a second, with noise for what is known of them."""
    some = [[0.1, 0.2, 0.5, 0.9], [0.4, 0.1, 0.9, 0.6], [0.0, 0.3, 0.7, 0.8], [0.0] * 4]
    boxes = torch.tensor(some, device=device).view(2, 2, 4)
    boxes = boxes * boxes.new_tensor([size[1], size[0]] * 2)
    return boxes, None if width is None else torch.rand(2, 2, width, device=device)
