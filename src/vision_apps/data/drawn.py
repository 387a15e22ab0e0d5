"""A sample with what its fields say: so that a person sees whether boxes and masks lie where they should, and
labels are right."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from vision_apps.core.pictures import from_pil, shortened, to_pil

_LEAST_SIDE = 160  # px: below, a box hides what is in it
_LINE = 18  # px of text
_COLORS = ("red", "lime", "deepskyblue", "gold", "magenta", "cyan", "orange", "white")


def drawn(sample: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Tensor:
    """A sample to look at, uint8 [3, h, w]: ``images`` with ``boxes`` in a colour a class (``ignored``: grey)
    and ``masks`` in the data's ``palette``, the classes of ``multi_hot`` below it. A small picture is
    enlarged by a whole factor."""
    picture = sample["images"]
    factor = max(1, -(-_LEAST_SIDE // min(picture.shape[-2:])))
    picture = picture.repeat_interleave(factor, -1).repeat_interleave(factor, -2)
    if "masks" in sample and "palette" in facts:
        mask = interpolate(sample["masks"][None, None], scale_factor=factor, mode="nearest")[0, 0]
        colors: Sequence[Sequence[int]] = facts["palette"]
        layers = torch.stack([mask == k for k in range(len(colors))])
        picture = draw_segmentation_masks(
            picture, layers, alpha=0.6, colors=[(r, g, b) for r, g, b in colors]
        )
    if "boxes" in sample and "box_labels" in sample:
        picture = _with_boxes(picture, sample, factor, facts.get("class_names", ()))
    if "multi_hot" in sample and "class_names" in facts:
        there = sample["multi_hot"].nonzero()[:, 0].tolist()
        picture = _with_line(picture, ", ".join(facts["class_names"][k] for k in there) or "(no label)")
    return picture


def _with_line(picture: Tensor, text: str) -> Tensor:
    """A line of text below a picture."""
    above = to_pil(picture)
    page = Image.new("RGB", (above.width, above.height + _LINE), "white")
    page.paste(above)
    font = ImageFont.load_default(size=12)
    text = shortened(text, font, above.width - 4)
    ImageDraw.Draw(page).text((2, above.height + 1), text, "black", font)
    return from_pil(page)


def _with_boxes(picture: Tensor, sample: Mapping[str, Tensor], factor: int, names: Sequence[str]) -> Tensor:
    rows = (sample["box_labels"] >= 0).nonzero()[:, 0].tolist()
    if not rows:
        return picture
    ignored = sample.get("ignored", torch.zeros_like(sample["box_labels"]))
    labels = [int(sample["box_labels"][row]) for row in rows]
    colors = [
        "grey" if ignored[row] else _COLORS[label % len(_COLORS)]
        for row, label in zip(rows, labels, strict=True)
    ]
    titles = [names[label] if label < len(names) else str(label) for label in labels]
    return draw_bounding_boxes(
        picture, sample["boxes"][rows] * factor, labels=titles, colors=colors, width=1 + factor // 2
    )
