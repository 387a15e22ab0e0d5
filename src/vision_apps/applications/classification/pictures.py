"""What classification draws: an image with its answer, and the confusion matrix."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.core.pictures import from_pil, shortened

SIDE = 160  # pixels of each panel: three lines of text with bars are easy to read
BACKGROUND, INK, FAINT = (255, 255, 255), (33, 37, 41), (222, 226, 230)
RIGHT, WRONG, NEUTRAL = (47, 133, 90), (197, 48, 48), (66, 99, 160)


def sample(image: Tensor, probabilities: Tensor, class_names: Sequence[str], truth: int | None) -> Tensor:
    """An image beside its three most likely classes: uint8 [3, SIDE, 2 * SIDE].

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
        colour = NEUTRAL if truth is None else RIGHT if k == truth else WRONG if rank == 0 else NEUTRAL
        share = f"{value:.0%}"
        room = widest - draw.textlength(share, font) - 6
        draw.text((left, top), shortened(class_names[k], font, room), INK, font)
        draw.text((left + widest, top), share, INK, font, anchor="ra")
        draw.rectangle((left, top + 19, left + widest, top + 25), FAINT)
        if value > 0:
            draw.rectangle((left, top + 19, left + round(value * widest), top + 25), colour)
    return from_pil(page)


def fitted(image: Tensor) -> Image.Image:
    """SIDE x SIDE with the whole image in its middle; small images keep their pixels visible as squares."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(scale * length)) for length in picture.size)
    resampled = picture.resize(
        (width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    )
    page = Image.new("RGB", (SIDE, SIDE), FAINT)
    page.paste(resampled, ((SIDE - width) // 2, (SIDE - height) // 2))
    return page


def confusion(counts: Tensor, class_names: Sequence[str]) -> Tensor:
    """The confusion matrix as a picture, uint8 [3, h, w]: shade is the share of the true class (a row), the
    number is the share in per cent where there is room for it.

    Args:
        counts: int64 [K, K], rows are true classes, columns are answers.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = len(class_names)
    shares = (counts / counts.sum(dim=1, keepdim=True).clamp_min(1)).numpy()
    inches = min(10.0, max(4.0, 1.8 + 0.42 * classes))
    figure = Figure(figsize=(inches, inches), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)  # no pyplot: nothing global, no display
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    mean_recall = shares.diagonal()[counts.sum(dim=1).numpy() > 0].mean() if counts.sum() > 0 else 0.0
    axes.set(
        xlabel="answer", ylabel="truth", title=f"{int(counts.sum()):,} images, mean recall {mean_recall:.1%}"
    )
    axes.spines[:].set_visible(False)
    if classes <= 40:
        names = [name if len(name) <= 16 else name[:14] + "..." for name in class_names]
        axes.set_xticks(range(classes), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(classes), names)
        axes.tick_params(length=0, labelsize=9 if classes <= 20 else 6)
    else:
        axes.set(xticks=[], yticks=[])
    if classes <= 20:
        for row, column in torch.nonzero(counts).tolist():
            share = shares[row, column]
            axes.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8,
                color="white" if share > 0.5 else "black",
            )  # fmt: skip
    canvas.draw()
    pixels = torch.from_numpy(np.array(canvas.buffer_rgba()))  # uint8 [h, w, 4]
    return pixels[..., :3].permute(2, 0, 1).contiguous()
