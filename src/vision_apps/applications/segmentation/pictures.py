"""What segmentation draws: masks in the colours of their classes, alone, over the image and beside the
truth."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.applications.segmentation.metrics import class_ious
from vision_apps.core import figures
from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.core.pictures import from_pil, shortened, to_pil

WRONG = (214, 39, 40)
_HATCH = (110, 190)  # the two greys of pixels that are ignored: no palette has stripes
_STRIPE = 3  # px
_LONGEST, _SHORTEST = 1024, 192  # px of a panel's longer side that a person looks at
_LINE, _LEGEND = 22, 190  # px

Pixels = NDArray[np.uint8]


def colored(mask: Pixels, palette: Sequence[Sequence[int]]) -> Pixels:
    """uint8 [H, W] -> [H, W, 3]; ignored pixels are hatched grey."""
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(palette)] = palette
    return hatched(table[mask], mask == IGNORE_INDEX)


def hatched(pixels: Pixels, where: NDArray[np.bool_]) -> Pixels:
    """In place: grey stripes where pixels are ignored."""
    rows, columns = np.nonzero(where)
    greys = np.array(_HATCH, dtype=np.uint8)[(rows + columns) // _STRIPE % 2]
    pixels[rows, columns] = greys[:, None]
    return pixels


def overlay(image: Pixels, mask: Pixels, palette: Sequence[Sequence[int]]) -> Pixels:
    """[H, W, 3]: the image and its classes' colours, half each."""
    return ((image.astype(np.uint16) + colored(mask, palette)) // 2).astype(np.uint8)


def errors(image: Pixels, answer: Pixels, truth: Pixels) -> Pixels:
    """[H, W, 3]: wrong pixels red and ignored ones hatched over the pale image."""
    grey = np.asarray(Image.fromarray(image).convert("L"))
    pixels = np.repeat((160 + grey // 3)[..., None], 3, axis=2).astype(np.uint8)
    ignored = truth == IGNORE_INDEX
    pixels[(answer != truth) & ~ignored] = WRONG
    return hatched(pixels, ignored)


def comparison(image: Tensor, truth: Tensor, answer: Tensor, palette: Sequence[Sequence[int]]) -> Tensor:
    """Image, truth, answer and errors side by side: uint8 [3, H, 4 W] from image uint8 [3, H, W] and masks
    uint8 [H, W]."""
    picture, true, mask = np.asarray(to_pil(image)), truth.cpu().numpy(), answer.cpu().numpy()
    panels = [picture, colored(true, palette), colored(mask, palette), errors(picture, mask, true)]
    return torch.from_numpy(np.concatenate(panels, axis=1)).permute(2, 0, 1).contiguous()


def legible(image: Tensor, answer: Tensor, palette: Sequence[Sequence[int]], names: Sequence[str]) -> Tensor:
    """The answer over the image, alone, and the classes it has: uint8 [3, h, w], large pictures reduced and
    small ones enlarged by whole factors."""
    picture, mask = to_pil(image), Image.fromarray(answer.cpu().numpy())
    longest = max(picture.size)
    if longest > _LONGEST:
        factor = -(-longest // _LONGEST)
        size = tuple(max(1, side // factor) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.BOX)  # type: ignore[arg-type]
    else:
        size = tuple(side * max(1, _SHORTEST // longest) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.NEAREST)  # type: ignore[arg-type]
    small, shown = np.asarray(picture), np.asarray(mask.resize(size, Image.Resampling.NEAREST))  # type: ignore[arg-type]
    panels = [overlay(small, shown, palette), colored(shown, palette)]
    width, height = picture.size
    listed = shares(answer, names)
    page = Image.new("RGB", (2 * width + _LEGEND, max(height, _LINE * len(listed) + 8)), "white")
    for number, panel in enumerate(panels):
        page.paste(Image.fromarray(panel), (number * width, 0))
    pen, font, left = ImageDraw.Draw(page), ImageFont.load_default(size=13), 2 * width + 10
    for line, (name, share) in enumerate(listed.items()):
        top = 6 + line * _LINE
        red, green, blue = palette[list(names).index(name)]
        pen.rectangle((left, top, left + 14, top + 14), fill=(red, green, blue), outline="black")
        pen.text((left + 22, top), shortened(name, font, _LEGEND - 80), fill="black", font=font)
        pen.text((left + _LEGEND - 18, top), f"{share:.1%}", fill="black", font=font, anchor="ra")
    return from_pil(page)


def shares(mask: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Share of each class that a mask uint8 [H, W] has, the largest first."""
    counts = torch.stack([(mask == k).sum() for k in range(len(names))]).tolist()
    answered = int((mask != IGNORE_INDEX).sum())
    found = {name: count / answered for name, count in zip(names, counts, strict=True) if count}
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def overlay_png(image: Tensor, mask: Tensor, palette: Sequence[Sequence[int]]) -> bytes:
    """`overlay` of tensors, the image uint8 [3, H, W], as a PNG."""
    file = io.BytesIO()
    Image.fromarray(overlay(np.asarray(to_pil(image)), mask.cpu().numpy(), palette)).save(file, "PNG")
    return file.getvalue()


def iou_bars(counts: Tensor, class_names: Sequence[str], palette: Sequence[Sequence[int]]) -> Tensor:
    """A bar for the IoU of every class, the best at the top, beside its share of the true pixels: uint8 [3,
    h, w].

    Args:
        counts: int64 [K, K], rows are the truth.
    """
    ious, there = (values.tolist() for values in class_ious(counts))
    shares = (counts.sum(1) / counts.sum().clamp_min(1)).tolist()
    order = sorted(range(len(class_names)), key=lambda k: (there[k], ious[k]))  # barh goes upwards
    longest = max(len(figures.short(name)) for name in class_names) + 9
    figure, axes = figures.page(4.5, 0.3 * len(order), 0.2 + figures.LETTER * longest, 0.6)
    axes.barh(
        range(len(order)),
        [100 * ious[k] for k in order],
        color=[np.array(palette[k]) / 255 for k in order],
        edgecolor="black",
        linewidth=0.6,
    )
    for place, k in enumerate(order):
        text = f"{100 * ious[k]:.1f}" if there[k] else "none"
        axes.text(100 * ious[k] + 1, place, text, va="center", fontsize=8)
    axes.set_yticks(range(len(order)), [f"{figures.short(class_names[k])}  ({shares[k]:.1%})" for k in order])
    present = sum(there)
    mean = sum(ious) / max(1, present)
    axes.axvline(100 * mean, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes.set(
        xlim=(0, 108),
        ylim=(-0.6, len(order) - 0.4),
        xlabel="IoU, % (beside the name: share of the true pixels)",
        title=f"mean IoU {mean:.1%} over {present} classes",
    )
    axes.tick_params(axis="y", length=0, labelsize=9 if len(order) <= 40 else 7)
    axes.spines[["top", "right"]].set_visible(False)
    return figures.pixels(figure)
