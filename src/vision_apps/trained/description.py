"""What a file of ``vision-apps export`` says of itself, as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor

from vision_apps.core import fields
from vision_apps.core.errors import CheckpointError
from vision_apps.core.fields import Fields, Kind, RowsOf
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
    """The description that a file carries. `CheckpointError` where it has none, or one that this version
    cannot read.
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
    if sound and version != VERSION:
        told = "older", "export the run again: vision-apps export RUN"
        if version > VERSION:
            by = content.get("vision_apps")
            told = "newer", f"pip install --upgrade vision-apps (it was written by {by})"
        raise CheckpointError(
            f"{path}: format {version} is {told[0]} than what this version reads ({VERSION}); {told[1]}"
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
        and all(isinstance(size, str) or (isinstance(size, int) and size >= 0) for size in entry["shape"])
        for entry in found
    )
    return sound and len({entry["name"] for entry in found}) == len(found)


def tensors(inputs: Fields) -> dict[str, Tensor]:
    """What is given of the inputs of an application, by name: neither None nor empty."""
    given = inputs._asdict().items()
    return {name: value for name, value in given if isinstance(value, Tensor) and value.numel()}


def example(module: VisionModule) -> dict[str, Tensor]:
    """What an exported network of this application takes, by name: the inputs that the module's example
    gives."""
    with torch.random.fork_rng(devices=[]):
        return tensors(module.inputs(module.example()))


def entries_of(module: VisionModule, values: Mapping[str, Tensor]) -> list[Entry]:
    """Inputs of a module, in which every size is named that the application does not fix: ``batch``;
    ``height`` and ``width`` of pictures and of what is true of pixels; and lengths that samples of a batch
    are filled up to, such as ``questions_length``, which the values of boxes share with their boxes."""
    known = fields.kinds(module.input_type)
    return [as_entry(name, value, _sizes(name, known.get(name), value)) for name, value in values.items()]


def _sizes(name: str, kind: Kind | None, value: Tensor) -> list[int | str]:
    _, *sizes = value.shape
    match kind:
        case fields.Pixels() | fields.Mask() | fields.PixelTruth():
            return ["batch", *sizes[:-2], "height", "width"]
        case fields.Text():
            return ["batch", *(f"{name}_length_{dim}" for dim in range(1, len(sizes))), f"{name}_length"]
        case fields.Boxes() | RowsOf() | fields.Links():
            return ["batch", f"{kind.boxes if isinstance(kind, RowsOf) else name}_length", *sizes[1:]]
    return ["batch", *sizes]


def as_entry(name: str, value: Tensor, shape: Sequence[int | str]) -> Entry:
    return {"name": name, "dtype": str(value.dtype).removeprefix("torch."), "shape": list(shape)}


def filled(value: Tensor, entry: Entry, kind: Kind | None) -> Tensor:
    """Up to the lengths that the entry fixes, where the kind says what with."""
    if kind is None or kind.padding is None or value.ndim != len(entry["shape"]):
        return value
    return fields.padded([value, value.new_empty(fixed(value, entry))], entry["name"], kind)[0]


def fixed(value: Tensor, entry: Entry) -> list[int]:
    """The shape that a tensor needs to go in: its own where the entry fixes nothing."""
    return [
        size if isinstance(size, int) else n for n, size in zip(value.shape, entry["shape"], strict=False)
    ]


def told(entry: Entry) -> str:
    """All but its sizes."""
    return f"{entry['name']} ({entry['dtype']}, {len(entry['shape'])} dimensions)"


def shown(shape: Sequence[int | str]) -> str:
    return " x ".join(map(str, shape))
