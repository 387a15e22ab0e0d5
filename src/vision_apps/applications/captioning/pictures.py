"""What captioning draws: the picture, where each word was looked for, and texts below."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

from vision_apps.core.conventions import height_width
from vision_apps.core.marks import PAPER
from vision_apps.core.pictures import from_pil, scaled, shortened, to_pil
from vision_apps.data.resizing import ResizeMode, content_sizes

TILE = 96  # px of the longer side of a picture under a map
PER_LINE = 7  # tiles
LINE = 18  # px of text
INK = (33, 37, 41)
DARKEST = 0.25  # of the picture where nothing was looked for
FRAME = (255, 200, 0)  # of a region
FAINTEST = 0.1  # of the largest weight: frames of less are not drawn

Color = tuple[int, int, int]


class Weighed(NamedTuple):
    """How much each word was looked for in each region."""

    boxes: Tensor  # [R, 4], x1, y1, x2, y2 in pixels of the picture
    weights: Tensor  # [n, R], which with the word's map sum to 1


def page(
    image: Tensor,
    words: Sequence[str],
    maps: Tensor,
    lines: Sequence[tuple[str, Color]],
    regions: Weighed | None = None,
) -> Tensor:
    """The picture, then once for each word, darkened where it was not looked for, and lines of text below:
    uint8 [3, h, w]. Regions are framed: in the first picture all, for a word those that it was looked for in,
    the brighter the more, with the weight of the first of them.

    Args:
        image: uint8 [3, H, W].
        maps: [n, H, W], one for each word, whose largest value is the largest weight of a place.
    """
    scale = TILE / max(image.shape[-2:])
    small = [scaled(to_pil(image), scale)]
    if regions is not None:
        _frame(small[0], regions.boxes * scale, [1.0] * len(regions.boxes))
    for number, one in enumerate(maps):
        weights = None if regions is None else regions.weights[number]
        peak = float(one.max() if weights is None else max(one.max(), weights.max())) or 1.0
        share = one / peak
        if regions is not None and weights is not None:
            share = share.maximum(_inside(regions.boxes, weights / peak, image))
        small.append(scaled(to_pil(_lit(image, share)), scale))
        if regions is not None and weights is not None:
            _frame(small[-1], regions.boxes * scale, (weights / peak).tolist(), weights.tolist())
    width, height = small[0].size
    column, row = max(width, TILE // 2) + 4, height + LINE
    across = min(PER_LINE, len(small))
    down = -(-len(small) // PER_LINE)
    font = ImageFont.load_default(size=12)
    sheet = Image.new("RGB", (max(across * column, 4 * TILE), down * row + LINE * len(lines) + 4), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (tile, word) in enumerate(zip(small, ("", *words), strict=True)):
        left, top = number % PER_LINE * column, number // PER_LINE * row
        sheet.paste(tile, (left, top))
        pen.text((left + 2, top + height + 1), shortened(word, font, column - 4), INK, font)
    for number, (text, color) in enumerate(lines):
        pen.text((2, down * row + LINE * number), shortened(text, font, sheet.width - 4), color, font)
    return from_pil(sheet)


def over(maps: Tensor, shape: Sequence[int], size: int | Sequence[int], mode: ResizeMode) -> Tensor:
    """Maps [n, h, w] of what the network saw, pictures brought to ``size``, as maps of a picture of this
    ``shape``, height and width: [n, H, W]. Of no places zeros."""
    if not maps.numel():
        return maps.new_zeros(len(maps), *shape)
    sizes = maps.new_tensor(shape).long()
    height, width = content_sizes(sizes, size, mode).tolist()
    whole = interpolate(maps[None], height_width(size), mode="bilinear")[..., :height, :width]
    return interpolate(whole, tuple(shape), mode="bilinear")[0]


def _lit(image: Tensor, share: Tensor) -> Tensor:
    """Darkened by 1 less a share [H, W]."""
    return (image * (DARKEST + (1 - DARKEST) * share)).to(image.dtype)


def _inside(boxes: Tensor, shares: Tensor, image: Tensor) -> Tensor:
    """At each pixel of a picture the largest share of the boxes that it is in: [H, W]."""
    found = shares.new_zeros(image.shape[-2:])
    for (left, top, right, bottom), share in zip(boxes.round().int().tolist(), shares, strict=True):
        part = found[max(0, top) : bottom, max(0, left) : right]
        part.clamp_(min=float(share))
    return found


def _frame(tile: Image.Image, boxes: Tensor, shares: Sequence[float], weights: Sequence[float] = ()) -> None:
    """Draw boxes on a picture, the largest share last and with its weight."""
    pen = ImageDraw.Draw(tile)
    order = sorted(range(len(shares)), key=lambda number: shares[number])
    for number in order:
        left, top, right, bottom = boxes[number].tolist()
        if shares[number] < FAINTEST or right <= left:
            continue
        color = tuple(round(DARKEST * 255 + (value - DARKEST * 255) * shares[number]) for value in FRAME)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color)
        if weights and number == order[-1]:
            at = (max(1, min(left + 2, tile.width - 24)), max(0, min(top + 1, tile.height - 12)))
            pen.text(
                at,
                f"{weights[number]:.2f}",
                "white",
                ImageFont.load_default(size=10),
                stroke_width=1,
                stroke_fill="black",
            )
