"""The objects of a picture as a person says them, and where there are none."""

import logging
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vision_apps.applications.scene_graphs.types import SceneGraphInputs
from vision_apps.core.errors import DataError, some
from vision_apps.core.spelling import alike

log = logging.getLogger(__name__)

OBJECT_WORDS = {
    "objects": "what is in the picture and where: 'cat 10,20,60,90; 5,5,30,40', x1,y1,x2,y2 in pixels of it, "
    "with its class or without; not needed where the run has a detector of its own"
}
NO_OBJECTS = (
    "no objects: none were said, and the run has no detector to find them; expected --with objects='cat "
    "10,20,60,90; ...', or a run that was trained with data.detector=RUN, a run of detection"
)
MOST = 1000  # objects of a picture: with the square of it pairs are told of
_NUMBER = r"[-+]?\d+(?:\.\d*)?"
_BOX = re.compile(rf"(?P<name>.*?)\s*(?P<box>{_NUMBER}(?:\s*,\s*{_NUMBER}){{3}})\s*")
_NAMED = 12  # classes in an error


def encoded(images: Tensor, words: Mapping[str, str], class_names: Sequence[str]) -> SceneGraphInputs:
    """A picture [1, 3, H, W] with the objects that are said of it, if any are. `DataError` where they cannot
    be understood."""
    text = words.get("objects")
    if text is None:
        return SceneGraphInputs(images)
    boxes, labels = given_objects(text, images.shape[-2:], class_names)
    return SceneGraphInputs(images, boxes[None], labels[None])


def given_objects(text: str, size: Sequence[int], class_names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Boxes float32 [N, 4], cut to a picture of this height and width, and their classes int64 [N], as many
    as there are classes where none is said; what is cut is told. `DataError` where there are
    none or one cannot be understood."""
    numbers = {alike(name).casefold(): number for number, name in enumerate(class_names)}
    numbers |= {name: number for number, name in enumerate(class_names)}
    boxes, labels = [], []
    parts = [part for part in text.split(";") if part.strip()]
    if not 1 <= len(parts) <= MOST:
        raise DataError(f"objects: {len(parts)} of them; expected 1 to {MOST}, with ; between them")
    for part in parts:
        found = _BOX.fullmatch(part.strip())
        if found is None:
            raise DataError(
                f"objects: {part.strip()!r}; expected a class, or none, and x1,y1,x2,y2 in pixels, as "
                "in 'cat 10,20,60,90'"
            )
        name = found["name"].strip()
        label = numbers.get(name, numbers.get(alike(name).casefold())) if name else len(class_names)
        if label is None:
            raise DataError(
                f"objects: {name!r} is no class of this run; expected one of {some(class_names, _NAMED)}, or "
                "none for the network to tell it"
            )
        left, top, right, bottom = (float(number) for number in found["box"].split(","))
        cut = (max(left, 0.0), max(top, 0.0), min(right, float(size[1])), min(bottom, float(size[0])))
        if not (cut[0] < cut[2] and cut[1] < cut[3]):
            raise DataError(
                f"objects: {part.strip()!r} has no area in this picture of {size[1]} x {size[0]} px; "
                "expected x1,y1,x2,y2 with x1 < x2 and y1 < y2"
            )
        if cut != (left, top, right, bottom):
            log.warning(
                "objects: %r reaches beyond this picture of %d x %d px; what is taken of it is %s",
                *(part.strip(), size[1], size[0], ",".join(f"{number:g}" for number in cut)),
            )
        boxes.append(cut)
        labels.append(label)
    return torch.tensor(boxes), torch.tensor(labels)


def no_objects(images: Tensor) -> SceneGraphInputs:
    """Pictures [B, 3, H, W] of which nothing is known."""
    boxes = torch.zeros(len(images), 1, 4, device=images.device)
    return SceneGraphInputs(images, boxes, torch.full((len(images), 1), -1, device=images.device))
