"""What captioning draws: the picture, where each word was looked for, and texts below."""

from collections.abc import Sequence

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

Color = tuple[int, int, int]


def page(image: Tensor, words: Sequence[str], maps: Tensor, lines: Sequence[tuple[str, Color]]) -> Tensor:
    """The picture, then once for each word, darkened where it was not looked for, and lines of text below:
    uint8 [3, h, w].

    Args:
        image: uint8 [3, H, W].
        maps: [n, H, W], one for each word, of any scale.
    """
    tiles = [image, *(_seen(image, one) for one in maps)]
    small = [scaled(to_pil(tile), TILE / max(image.shape[-2:])) for tile in tiles]
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
    ``shape``, height and width: [n, H, W]."""
    sizes = maps.new_tensor(shape).long()
    height, width = content_sizes(sizes, size, mode).tolist()
    whole = interpolate(maps[None], height_width(size), mode="bilinear")[..., :height, :width]
    return interpolate(whole, tuple(shape), mode="bilinear")[0]


def _seen(image: Tensor, weights: Tensor) -> Tensor:
    share = weights / weights.max().clamp_min(1e-12)
    return (image * (DARKEST + (1 - DARKEST) * share)).to(image.dtype)
