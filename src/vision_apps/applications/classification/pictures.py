"""What classification draws: an image with its answer."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.core.pictures import from_pil, scaled, shortened, to_pil

SIDE = 160  # pixels of each panel: three lines of text with bars are easy to read
BACKGROUND, INK, FAINT = (255, 255, 255), (33, 37, 41), (222, 226, 230)
RIGHT, WRONG, NEUTRAL = (47, 133, 90), (197, 48, 48), (66, 99, 160)


def sample(image: Tensor, probabilities: Tensor, class_names: Sequence[str], truth: int | None) -> Tensor:
    """An image beside its three most likely classes: uint8 [3, 160, 320].

    Args:
        image: uint8 [3, H, W].
        probabilities: float [K].
        truth: its class if known; the answer's bar is then green where right, red where wrong, and blue if
            unknown.
    """
    page = Image.new("RGB", (2 * SIDE, SIDE), BACKGROUND)
    page.paste(fitted(image), (0, 0))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=13)
    left, line = SIDE + 10, 10
    widest = SIDE - 20
    if truth is not None:
        draw.text((left, line), shortened(f"is {class_names[truth]}", font, widest), INK, font)
    values, indices = probabilities.float().topk(min(3, len(class_names)))
    for rank, (value, k) in enumerate(zip(values.tolist(), indices.tolist(), strict=True)):
        top = line + 26 + 40 * rank
        color = NEUTRAL if truth is None else RIGHT if k == truth else WRONG if rank == 0 else NEUTRAL
        share = f"{value:.0%}"
        room = widest - draw.textlength(share, font) - 6
        draw.text((left, top), shortened(class_names[k], font, room), INK, font)
        draw.text((left + widest, top), share, INK, font, anchor="ra")
        draw.rectangle((left, top + 19, left + widest, top + 25), FAINT)
        if value > 0:
            draw.rectangle((left, top + 19, left + round(value * widest), top + 25), color)
    return from_pil(page)


def fitted(image: Tensor) -> Image.Image:
    """An image uint8 [3, H, W] whole in the middle of 160 x 160 px; small images keep their pixels visible as
    squares."""
    picture = scaled(to_pil(image), SIDE / max(image.shape[-2:]))
    page = Image.new("RGB", (SIDE, SIDE), FAINT)
    page.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return page
