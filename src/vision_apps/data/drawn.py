"""A sample with what its fields say: so that a person sees whether boxes and masks lie where they should, and
labels, captions and answers are right."""

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
_LINES = 4  # of captions or questions
_END = " <end>"  # of a caption that is learned whole
_LEAST_WIDTH = 320  # px: below, a sentence is cut off
_COLORS = ("red", "lime", "deepskyblue", "gold", "magenta", "cyan", "orange", "white")


def drawn(sample: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Tensor:
    """A sample to look at, uint8 [3, h, w]: ``images`` with ``boxes`` in a colour a class (``ignored``: grey)
    and ``masks`` in the data's ``palette``; below it the classes of ``multi_hot``, the first of ``relations``
    with the numbers of their boxes, of ``captions`` and of ``questions`` as a network is given them. A small
    picture is enlarged by a whole factor."""
    picture = sample["images"]
    lines = _lines(sample, facts)
    factor = max(1, -(-_LEAST_SIDE // min(picture.shape[-2:])))
    if len(lines) > 1:
        factor = max(factor, -(-_LEAST_WIDTH // picture.shape[-1]))
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
    return _with_lines(picture, lines) if lines else picture


def _lines(sample: Mapping[str, Tensor], facts: Mapping[str, Any]) -> list[str]:
    """What is said of a picture in words; as many lines for each sample of a data set, so that sheets are
    even."""
    if "multi_hot" in sample and "class_names" in facts:
        there = sample["multi_hot"].nonzero()[:, 0].tolist()
        return [", ".join(facts["class_names"][k] for k in there) or "(no label)"]
    if "captions" in sample and "vocabulary" in facts:
        rows = [row for row in sample["captions"].tolist() if any(row)]
        lines = [_spelled(row, facts["vocabulary"]).removesuffix(_END) for row in rows]
        return _first(lines, len(sample["captions"]))
    if "questions" in sample and "answers" in sample and "vocabulary" in facts:
        names = [*facts["answer_names"], "(not in the list of answers)"]  # which is -1
        rows = [
            f"{_spelled(words, facts['vocabulary'])}? {names[answer]}"
            for words, answer in zip(sample["questions"].tolist(), sample["answers"].tolist(), strict=True)
            if any(words)
        ]
        return _first(rows, len(sample["questions"]))
    if "relations" in sample and "box_labels" in sample and "predicate_names" in facts:
        titles = _numbered(sample["box_labels"].tolist(), facts.get("class_names", ()))
        rows = [
            f"{titles[subject]} {facts['predicate_names'][said]} {titles[other]}"
            for subject, other, said in sample["relations"].tolist()
            if subject >= 0
        ]
        return _first(rows, len(sample["relations"]))
    return []


def _numbered(labels: Sequence[int], names: Sequence[str]) -> list[str]:
    """What boxes with these labels are called where several may be of one class."""
    return [f"{names[label] if label < len(names) else label} {row}" for row, label in enumerate(labels)]


def _spelled(numbers: Sequence[int], vocabulary: Sequence[str]) -> str:
    """Numbers as words; what stands past the end has none."""
    return " ".join(vocabulary[number] for number in numbers if vocabulary[number])


def _first(lines: Sequence[str], most: int) -> list[str]:
    """The first lines, the last of which says how many are left out; filled up to what ``most`` take."""
    shown = list(lines[:_LINES])
    if len(lines) > _LINES:
        shown[-1] = f"... and {len(lines) - _LINES + 1} more"
    return shown + [""] * (min(most, _LINES) - len(shown))


def _with_lines(picture: Tensor, lines: Sequence[str]) -> Tensor:
    """Lines of text below a picture."""
    above = to_pil(picture)
    page = Image.new("RGB", (above.width, above.height + _LINE * len(lines)), "white")
    page.paste(above)
    font = ImageFont.load_default(size=12)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        place = (2, above.height + _LINE * number + 1)
        draw.text(place, shortened(line, font, above.width - 4), "black", font)
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
    if "relations" in sample:
        every = _numbered(sample["box_labels"].tolist(), names)
        titles = [every[row] for row in rows]
    return draw_bounding_boxes(
        picture, sample["boxes"][rows] * factor, labels=titles, colors=colors, width=1 + factor // 2
    )
