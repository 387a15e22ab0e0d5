"""What looks wrong in masks on disk, found by opening every one."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.core.errors import CorruptSample, some
from vision_apps.data.images import EXTENSIONS, header
from vision_apps.data.masks.coding import MaskCoding, other_size, read_with_palette
from vision_apps.data.on_disk import is_hidden
from vision_apps.data.turning import LabelsOn

_MOST = 5  # lines of one kind; more of the same say nothing new

PathPairs = Sequence[tuple[str, str]]  # of pictures and their masks


def findings(
    splits: Mapping[str, PathPairs],
    coding: MaskCoding,
    class_names: Sequence[str],
    max_pixels: int,
    labels_on: LabelsOn | None = None,
) -> Iterator[str]:
    """One line each: the share of every class, numbers that are no class, masks of another size than their
    picture, masks without a class, and palettes that contradict each other.

    Files that cannot be read are passed over: whoever reads samples names them.
    """
    values: Counter[int] = Counter()
    lines: dict[str, list[str]] = {}
    first: dict[int, tuple[list[int], str]] = {}  # of an index: its colour, and the mask that said so
    unsure = 0
    for split, pairs in splits.items():
        pixels = np.zeros(256, np.int64)
        for image, mask in pairs:
            try:
                of_picture = header(image, max_pixels)
                size = (of_picture.height, of_picture.width)
                found = coding.read(mask, max_pixels, of_picture.orientation if labels_on == "raw" else 1)
                codes = coding.codes(found, mask)
                colors = None if coding.palettes == "color" else read_with_palette(mask, max_pixels)[1]
            except CorruptSample:
                continue
            pixels += np.bincount(codes[codes >= 0], minlength=256)
            if found.ndim == 2:
                numbers, counts = (column.tolist() for column in np.unique(found, return_counts=True))
                values.update(dict(zip(numbers, counts, strict=True)))
                unsure += set(numbers) == {0, IGNORE_INDEX}
            if (codes < 0).any():
                lines.setdefault("of unknown values", []).append(_unknown(mask, found, codes, coding))
            if (codes == IGNORE_INDEX).all():
                lines.setdefault("that are all ignored", []).append(f"{mask}: every pixel is ignored")
            if size != found.shape[:2]:
                text = f"{mask}: {other_size(found.shape[:2], size, image)}"
                lines.setdefault("of another size", []).append(text)
            if (
                colors is not None
                and found.ndim == 2
                and (doubt := _contradiction(first, colors, found, mask))
            ):
                lines.setdefault("with another palette", []).append(doubt)
        total = max(1, int(pixels.sum()))
        shares = [f"{name} {pixels[index] / total:.2%}" for index, name in enumerate(class_names)]
        ignored = pixels[IGNORE_INDEX] / total
        yield f"{split}: {len(pairs)} masks; {', '.join(shares)}; ignored {ignored:.2%}"
    for kind, told in lines.items():
        yield from told[:_MOST]
        if len(told) > _MOST:
            yield f"{len(told) - _MOST} further masks {kind}"
    yield from about_values(values, unsure, coding)


def strays(listed: PathPairs) -> Iterator[str]:
    """A line for every picture and mask that lies beside the listed ones and belongs to no pair. Where masks
    lie among their pictures it is not known which of both it is, and it is told as a mask."""
    known = {path for pair in listed for path in pair}
    for kind, other, paths in (
        ("mask", "picture", {mask for _, mask in listed}),
        ("picture", "mask", {image for image, _ in listed}),
    ):
        found: list[str] = []
        for folder in sorted({os.path.dirname(path) for path in paths}):
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                seen = entry.path in known or is_hidden(entry.name) or not entry.is_file()
                if not seen and entry.name.lower().endswith(EXTENSIONS):
                    known.add(entry.path)
                    found.append(f"{entry.path}: a {kind} without a {other} or in no list, not used")
        yield from found[:_MOST]
        if len(found) > _MOST:
            yield f"{len(found) - _MOST} further {kind}s without a {other}"


def about_values(values: Mapping[int, int], unsure: int, coding: MaskCoding) -> Iterator[str]:
    """What the numbers of all masks together give away.

    Args:
        values: number to how many pixels have it.
        unsure: masks with no other numbers than 0 and 255.
    """
    K = coding.num_classes
    seen = set(values) - {IGNORE_INDEX}
    if seen and K in seen and 0 not in seen and max(seen) == K and K not in coding.values:
        moved = ",".join(f"{value}:{value - 1}" for value in range(1, K + 1))
        yield f"masks: the values begin at 1, the classes at 0; say so with 'data.values={{{moved}}}'"
    if (
        unsure
        and coding.values.get(IGNORE_INDEX) == IGNORE_INDEX
        and (K == 2 or set(values) == {0, IGNORE_INDEX})
    ):
        yield (
            f"masks: {unsure} hold only 0 and 255, as binary masks do, and 255 is ignored; if it is a class, "
            "say so, for instance 'data.values={255:1}'"
        )


def _contradiction(
    first: dict[int, tuple[list[int], str]], colors: list[list[int]], found: NDArray[np.integer], mask: str
) -> str | None:
    """An index stands for one colour in all masks of a set; programs that write as few colours as possible
    number them anew in every file."""
    for index in np.unique(found).tolist():
        if index < len(colors):
            color, where = first.setdefault(index, (colors[index], mask))
            if color != colors[index]:
                return (
                    f"{mask}: index {index} is the colour {colors[index]}, in {where} it is {color}; "
                    "the indices of this palette may mean other classes"
                )
    return None


def _unknown(mask: str, found: NDArray[np.integer], codes: NDArray[np.int16], coding: MaskCoding) -> str:
    strange = found[codes < 0]
    kind = "colours" if found.ndim == 3 and coding.has_colors else "values"
    shown = some(np.unique(strange, axis=0).tolist(), _MOST)
    share = len(strange) / codes.size
    return f"{mask}: {share:.2%} of the pixels have {kind} that are no class: {shown}"
