"""What a file of ``vision-apps export`` says of itself, as JSON."""

import json
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor

from vision_apps.core.errors import CheckpointError
from vision_apps.core.fields import Boxes, Fields, Kind, Links, Mask, Pixels, PixelTruth, RowsOf, Text, kinds
from vision_apps.core.module import VisionModule

KEY = "vision_apps"  # of the description, among what a file says of itself
VERSION = 2  # of the description

# config and facts of the run, inputs and outputs as lists of `Entry`; once read, perhaps a state_dict
Content = dict[str, Any]


class Entry(TypedDict):
    """One tensor that goes into an exported network or comes out."""

    name: str
    dtype: str  # as torch calls it, such as uint8
    shape: list[int | str]  # a size that is not fixed has a name; sizes of one name are the same


def parse(text: str | None, path: Path) -> Content:
    """The description that a file carries.

    Raises:
        CheckpointError: it has none, or one that this version cannot read.
    """
    if text is None:
        raise CheckpointError(
            f"{path} was not written by vision-apps export: it carries no description; make one with "
            "vision-apps export RUN"
        )
    try:
        content: Content = json.loads(text)
        version = content["format_version"]
        sound = isinstance(version, int)
        if sound and version == VERSION:
            sound = all(isinstance(content[name], dict) for name in ("config", "facts"))
            sound = sound and bool(content["inputs"])
            sound = sound and all(_are_entries(content[name]) for name in ("inputs", "outputs"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its description cannot be read ({error!r})") from error
    if sound and version < VERSION:
        raise CheckpointError(
            f"{path}: format {version} is older than what this version reads ({VERSION}); export the run "
            "again: vision-apps export RUN"
        )
    if sound and version > VERSION:
        raise CheckpointError(
            f"{path}: format {version} is newer than what this version reads ({VERSION}); "
            f"pip install --upgrade vision-apps (it was written by {content.get('vision_apps')})"
        )
    if not sound:
        raise CheckpointError(f"{path}: its description is not one that vision-apps export writes")
    return content


def _are_entries(found: list[Entry]) -> bool:
    """With names that differ. Raises ``KeyError`` or ``TypeError`` for what is no list of dicts."""
    sound = isinstance(found, list) and all(
        isinstance(entry["name"], str)
        and isinstance(entry["dtype"], str)
        and isinstance(entry["shape"], list)
        and all(isinstance(size, int | str) for size in entry["shape"])
        for entry in found
    )
    return sound and len({entry["name"] for entry in found}) == len(found)


def tensors(inputs: Fields) -> dict[str, Tensor]:
    """What is given of the inputs of an application, by name: neither None nor empty."""
    fields = inputs._asdict().items()
    return {name: value for name, value in fields if isinstance(value, Tensor) and value.numel()}


def example(module: VisionModule) -> dict[str, Tensor]:
    """What an exported network of this application takes, by name: the inputs that the module's example
    gives."""
    with torch.random.fork_rng(devices=[]):
        return tensors(module.inputs(module.example()))


def size_names(name: str, kind: Kind | None, dimensions: int) -> dict[int, str]:
    """The dimensions of an input whose sizes the application does not fix, with their names: ``batch``;
    ``height`` and ``width`` of pictures and what is true of pixels; and lengths that samples of a batch are
    filled up to, such as ``questions_length``, which the values of boxes share with their boxes."""
    match kind:
        case Pixels() | Mask() | PixelTruth():
            return {0: "batch", dimensions - 2: "height", dimensions - 1: "width"}
        case Text():
            inner = {dim: f"{name}_length_{dim}" for dim in range(1, dimensions - 1)}
            return {0: "batch", **inner, dimensions - 1: f"{name}_length"}
        case RowsOf():
            return {0: "batch", 1: f"{kind.boxes}_length"}
        case Boxes() | Links():
            return {0: "batch", 1: f"{name}_length"}
    return {0: "batch"}


def named_sizes(module: VisionModule, inputs: dict[str, Tensor]) -> dict[str, dict[int, str]]:
    """`size_names` of each of a module's inputs."""
    known = kinds(module.input_type)
    return {name: size_names(name, known.get(name), value.ndim) for name, value in inputs.items()}


def shown(shape: list[int | str]) -> str:
    return " x ".join(map(str, shape))
