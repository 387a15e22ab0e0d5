"""What an augmentation does to pictures, held against what the fields of a batch are (``core.fields``).

This is the one place where a transform is refused: the field that would no longer be true after it is told by
name, and what to use instead.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import TypeVar

import torch
from torch import Tensor

from vision_apps.core.augmentation import Augmentation
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import (
    Boxes,
    Fields,
    FieldsT,
    Kind,
    Label,
    Links,
    Mask,
    Pixels,
    PixelTruth,
    RowsOf,
    Stays,
    Text,
    kinds,
    with_fields,
)
from vision_apps.data.augmentation.objects import Objects, has_area

KindT = TypeVar("KindT", bound=Kind)


class Effect(Flag):
    """What becomes of pictures, beside that pixels go elsewhere as they are or are cut off, which any field
    can follow."""

    TURNS = auto()  # they are mirrored or turned
    BLENDS = auto()  # pixels become means of their neighbours
    OUTSIDE = auto()  # pixels come in from outside
    REPEATS = auto()  # parts are shown again
    DEFORMS = auto()  # straight lines are bent
    COVERS = auto()  # parts are painted over
    COLORS = auto()  # colours change
    ALONE = auto()  # pixels move, and what lies over them is not taken along
    MIXES = auto()  # two pictures lie over each other
    TILES = auto()  # several pictures lie side by side


# what a transform does, which kinds are not true after it, why and what to use; the first that fits is told
_UNTRUE: tuple[tuple[Effect, type[Kind] | tuple[type[Kind], ...], str], ...] = (
    (Effect.TILES, Label, "four pictures have no single class; use CutMix"),
    (Effect.TILES, Text, "four pictures have no single text; use RandomZoom"),
    (Effect.MIXES, (Mask, Boxes), "two pictures over each other have no single truth per pixel; use Mosaic"),
    (Effect.MIXES, PixelTruth, "two pictures over each other have no single truth per pixel; use Flip"),
    (Effect.MIXES, Text, "two pictures over each other have no single text; use ColorJitter"),
    (Effect.ALONE, (Mask, Boxes), "it moves the pictures alone; use RandomZoom and ColorJitter"),
    (Effect.ALONE, PixelTruth, "it moves the pictures alone; use Flip"),
    (Effect.COVERS, (Mask, Boxes), "it would describe pixels that can no longer be seen; use RandomZoom"),
    (Effect.COVERS, PixelTruth, "it would describe pixels that can no longer be seen; use Flip"),
    (Effect.COLORS, PixelTruth, "it may depend on the colours, which change; use Flip"),
    (Effect.DEFORMS, Boxes, "a deformed box is no longer the smallest around its object; use RandomZoom"),
    (Effect.BLENDS, PixelTruth, "blended pixels have no truth; use RandomCrop with mode: reflect, or Flip"),
    (Effect.OUTSIDE, PixelTruth, "a constant border has no truth; use mode: reflect"),
    (Effect.REPEATS, Boxes, "a reflected border shows objects again, without boxes; use mode: constant"),
)
_DIRECTIONS = (
    "it may say left and right, and pictures are mirrored or turned; use RandomZoom, or say directions: "
    "false of Flip and Rotate90 where yours says none (directional=False in its kind where none does)"
)
_KNOWN = (Pixels, Mask, PixelTruth, Boxes, RowsOf, Links, Text, Label, Stays)


def untrue(kind: Kind, effects: Effect) -> str | None:
    """Why a field of this kind is no longer true after such a transform, and what to use; none: it is."""
    if Effect.TURNS in effects and isinstance(kind, Text | Links | Label) and kind.directional:
        return _DIRECTIONS
    return next((why for one, those, why in _UNTRUE if one in effects and isinstance(kind, those)), None)


@dataclass(frozen=True)
class Parts:
    """The fields that a batch has, and their kinds."""

    fields: Mapping[str, Tensor]
    kinds: Mapping[str, Kind]

    def of(self, kind: type[KindT]) -> dict[str, tuple[Tensor, KindT]]:
        """The fields of one kind."""
        return {
            name: (self.fields[name], said) for name, said in self.kinds.items() if isinstance(said, kind)
        }

    @functools.cached_property
    def pictures(self) -> dict[str, Tensor]:
        """[B, 3, H, W] by their names: one, or several of one size that are changed alike."""
        return {name: picture for name, (picture, _) in self.of(Pixels).items()}

    @property
    def size(self) -> tuple[int, int, int]:
        """B, H, W."""
        B, _, H, W = next(iter(self.pictures.values())).shape
        return B, H, W

    @property
    def device(self) -> torch.device:
        return next(iter(self.pictures.values())).device

    @property
    def objects(self) -> list[Objects]:
        """Every field of boxes with what belongs to it."""
        found = []
        for name, (boxes, kind) in self.of(Boxes).items():
            there = has_area(boxes) if kind.present is None else self.fields[kind.present] >= 0
            ignored = self.fields.get(kind.ignored or "")
            rows = {row: pair for row, pair in self.of(RowsOf).items() if pair[1].boxes == name}
            links = {link: pair for link, pair in self.of(Links).items() if pair[1].boxes == name}
            found.append(Objects(name, kind, boxes, there, ignored, rows, links))
        return found


class BatchTransform(Augmentation):
    """An augmentation that says what it does to pictures, and is given only batches that stay true."""

    effects: Effect

    @functools.cached_property
    def name(self) -> str:
        """What it is called, in errors."""
        return type(self).__name__

    def __call__(self, batch: FieldsT) -> FieldsT:
        """`ConfigError` where a field would no longer be true, its kind is not said, or what it belongs to is
        missing."""
        return with_fields(batch, self.changed(parts_of(batch, self)))

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        """The fields that are new."""
        raise NotImplementedError


def parts_of(batch: Fields, transform: BatchTransform) -> Parts:
    """The batch by the kinds of its fields. `ConfigError` as `BatchTransform` says."""
    fields: dict[str, Tensor] = {key: value for key, value in batch._asdict().items() if value is not None}
    name = transform.name
    parts = Parts(fields, accepted(type(batch), tuple(fields), name, transform.effects))
    first, picture = next(iter(parts.pictures.items()))
    for field, kind in parts.kinds.items():
        shape, other = fields[field].shape, None
        if isinstance(kind, Pixels | Mask | PixelTruth) and shape[-2:] != picture.shape[-2:]:
            other = f"the pixels of {first!r} {list(picture.shape)}"
        elif isinstance(kind, RowsOf) and shape[:2] != fields[kind.boxes].shape[:2]:
            other = f"the rows of {kind.boxes!r} {list(fields[kind.boxes].shape)}"
        if other:
            raise ConfigError(_refused(name, field, f"it is {list(shape)}, which are not {other}"))
    return parts


@functools.cache
def accepted(batch: type, fields: tuple[str, ...], transform: str, effects: Effect) -> Mapping[str, Kind]:
    """The kinds of those fields of a batch class that are there. `ConfigError` as `BatchTransform` says.

    Args:
        transform: its name, for errors.
    """
    known = kinds(batch)
    for field in fields:
        kind = known.get(field)
        if not isinstance(kind, _KNOWN):
            example = "Text" if any(isinstance(said, Pixels) for said in known.values()) else "Pixels"
            why: str | None = (
                f"its kind is not said; say it in {batch.__name__}, for instance "
                f"`{field}: Annotated[Tensor, {example}()]`, with one of vision_apps.core.fields: "
                + ", ".join(kind.__name__ for kind in _KNOWN)
            )
        else:
            why = untrue(kind, effects)
        if why is None and isinstance(kind, Boxes | RowsOf | Links):
            needed, role = (kind.present, RowsOf) if isinstance(kind, Boxes) else (kind.boxes, Boxes)
            if needed is not None and (needed not in fields or not isinstance(known.get(needed), role)):
                why = f"it cannot follow its objects without {needed!r}, a field of kind {role.__name__}"
        if why is not None:
            raise ConfigError(_refused(transform, field, why))
    if not any(isinstance(known[field], Pixels) for field in fields):
        raise ConfigError(
            f"data.augment: {transform} changes pictures, and {batch.__name__} has no field of kind Pixels"
        )
    return {field: known[field] for field in fields}


def _refused(transform: str, field: str, why: str) -> str:
    return f"data.augment: {transform} does not fit data that offers {field!r}: {why}"
