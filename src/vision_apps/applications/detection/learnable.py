"""Objects that a network as it is set up cannot learn or answer, and the setting that mends it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from vision_apps.applications.detection.detector import Detector
from vision_apps.applications.detection.types import Target
from vision_apps.networks.boxes import area

FEW, MANY = 0.01, 0.1  # shares of the objects from which on they are told: lost ones, and hard ones
LEFT = 0.25  # of them that a proposed size of the pictures may leave
FACTORS = (1.5, 0.67, 2.0, 0.5)  # between the sizes that are tried, the nearest first
STEP = 32  # px, between sizes that are proposed
MATCHED, TRIED = 500, 100  # objects that are matched, and on which a size is tried: both take time

Size = tuple[int, int]
Lost = Callable[[list[Target], Size], Tensor]  # bool [n], of the objects of all pictures


def findings(
    network: Detector[Any], targets: list[Target], size: Size, limits: dict[str, int]
) -> Iterator[str]:
    """A line each: objects that nothing is matched to, that no level is made for, and pictures with more than
    are ever answered.

    Args:
        targets: of some pictures, in pixels of the network's input of this ``size``.
        limits: most detections of a picture, by the key that says so.
    """
    boxes = torch.cat([target.boxes for target in targets])
    if not len(boxes):
        return
    name = type(network).__name__
    some = _first(targets, MATCHED)
    lost = network.unmatched(some, size)
    if lost.float().mean() >= FEW:
        first = int(lost.nonzero()[0])
        width, height = (boxes[first, 2:] - boxes[first, :2]).tolist()
        mends = mending_size(network.unmatched, some, size, lost)
        yield (
            f"objects: {_share(lost)} can be matched to nothing that {name} predicts with, such as one of "
            f"{width:.0f} x {height:.0f} px in its input: it does not learn to find them; "
            + (mends or "choose other anchors, windows or levels, or a network that matches all: model=yolo")
        )
    roots = area(boxes).clamp(min=0).sqrt()
    shortest, longest = network.sides(size)
    for outside, what, bound, levels in (
        (_smaller, "smaller", shortest, "finer"),
        (_larger, "larger", longest, "coarser"),
    ):
        hard = outside(network)(targets, size)
        if hard.float().mean() >= MANY:
            mends = network.measured(roots, size) or mending_size(outside(network), targets, size, hard)
            other = f"choose {levels} levels (model.backbone.levels) or another network"
            yield (
                f"objects: {_share(hard)} are {what} than the {bound:.0f} px (root of the area) that the "
                f"levels of {name} are made for; {mends or other}"
            )
    yield from _too_many(targets, limits)


def mending_size(lost: Lost, targets: list[Target], size: Size, now: Tensor) -> str | None:
    """``data.image_size=...`` that leaves few of the objects that are lost ``now``; none where no size that
    was tried does."""
    some = _first(targets, TRIED)
    for factor in FACTORS:
        height, width = (max(STEP, STEP * round(side * factor / STEP)) for side in size)
        scale = torch.tensor([width / size[1], height / size[0]] * 2)
        scaled = [
            target._replace(
                boxes=target.boxes * scale.to(target.boxes), ignored=target.ignored * scale.to(target.boxes)
            )
            for target in some
        ]
        if lost(scaled, (height, width)).float().mean() <= LEFT * now.float().mean():
            shown = height if height == width else f"[{height},{width}]"
            return f"data.image_size={shown} mends that"
    return None


def _first(targets: list[Target], objects: int) -> list[Target]:
    """The first pictures, until they have so many objects."""
    before = [0, *accumulate(len(target.boxes) for target in targets)]
    return [target for target, count in zip(targets, before, strict=False) if count < objects]


def _smaller(network: Detector[Any]) -> Lost:
    return lambda targets, size: _roots(targets) < network.sides(size)[0]


def _larger(network: Detector[Any]) -> Lost:
    return lambda targets, size: _roots(targets) > network.sides(size)[1]


def _roots(targets: Sequence[Target]) -> Tensor:
    """Roots of the areas of all objects, px: float32 [n]."""
    return area(torch.cat([target.boxes for target in targets])).clamp(min=0).sqrt()


def _too_many(targets: Sequence[Target], limits: dict[str, int]) -> Iterator[str]:
    counts = torch.tensor([len(target.boxes) for target in targets])
    most = int(counts.max())
    short = {key: limit for key, limit in limits.items() if limit < most}
    if short:
        more = counts > min(short.values())
        named = " and ".join(f"{key}={limit}" for key, limit in short.items())
        yield (
            f"objects: {int(more.sum())} of {len(more)} pictures ({float(more.float().mean()):.0%}) have "
            f"more than {named} answers, up to {most}: the rest is never found; "
            + " ".join(f"{key}={most}" for key in short)
        )


def _share(chosen: Tensor) -> str:
    return f"{int(chosen.sum())} of {len(chosen)} ({float(chosen.float().mean()):.0%})"
