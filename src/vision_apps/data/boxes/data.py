"""What all data sets with boxes share: from what a format says to the splits that are trained on."""

import logging
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from vision_apps.core.conventions import Auto, Size, height_width, size_problems
from vision_apps.core.data import SPLITS, Split, TensorSamples
from vision_apps.core.errors import CorruptSample, DataError, require_no
from vision_apps.data import turning
from vision_apps.data.boxes import doctor
from vision_apps.data.boxes.annotation import (
    Annotated,
    Annotation,
    Annotations,
    BadBox,
    OnBadBox,
    clean_all,
)
from vision_apps.data.boxes.proposal_cache import PictureProposals, proposals_of
from vision_apps.data.boxes.proposals import Mode
from vision_apps.data.boxes.samples import BoxSamples, list_annotations
from vision_apps.data.files import ResizedData, fraction_problems
from vision_apps.data.images import Header
from vision_apps.data.on_disk import OnDisk
from vision_apps.data.sizes import headers
from vision_apps.data.turning import LabelsOn, turned_boxes

log = logging.getLogger(__name__)


class BoxData(ResizedData):
    """Pictures with boxes around their objects.

    A subclass reads its format in ``read``. The rest is the same for all: pictures that are missing, boxes
    that cannot be used, splits, resizing to one size, padding to the largest number of objects. Within a
    split the order is drawn by ``split_seed``.

    Args:
        root: folder of the data.
        image_size: of the results in pixels: a side, height and width, or ``auto``.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest with grey, ``stretch`` does not.
        only: ``single`` leaves out pictures with more than one object.
        in_memory: decode once and keep all samples of a split: 3 bytes for every pixel.
        val_fraction, test_fraction: of all training pictures, held out by their names and ``split_seed``
            where the data has no such split, as `data.splits.draw` says.
        on_bad_box: what a box does that is no number, reversed or outside its picture. ``refuse`` stops,
            ``drop`` leaves it out. Boxes of no size are always left out; both are counted and named.
        labels_on: what the boxes of pictures that EXIF says to turn were made on: the pixels as they are
            stored (``raw``) or as they are seen (``upright``, which is also meant where it is not said, and
            told then).
        proposals: selective search in its mode ``single``, ``fast`` or ``quality``; computed once and kept.
        proposals_limit: the most per picture.
        proposals_cache: folder to keep them in; by default ``.proposals`` in ``root``.
    """

    fields: ClassVar[tuple[str, ...]] = (
        *("images", "boxes", "box_labels", "ignored", "areas", "sizes", "proposals"),
    )
    fact_names: ClassVar[tuple[str, ...]] = (
        *("num_classes", "class_names", "training_pictures", "image_size", "mean", "std"),
        *("resize_mode", "proposals"),
    )
    title = "annotated pictures"
    remedy = "Say where the data is: data.root=/path/to/it"

    def __init__(
        self,
        root: str,
        *,
        image_size: Size | Auto = 320,
        only: Literal["single"] | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        on_bad_box: OnBadBox = "refuse",
        labels_on: LabelsOn | None = None,
        proposals: Mode | None = None,
        proposals_limit: int = 2000,
        proposals_cache: str | None = None,
        **files: Any,
    ) -> None:
        problems = [] if image_size == "auto" else size_problems(image_size, "data.image_size")
        problems += fraction_problems(val_fraction=val_fraction, test_fraction=test_fraction)
        if proposals_limit < 1:
            problems.append(f"data.proposals_limit: expected at least 1, not {proposals_limit}")
        require_no(problems)
        super().__init__(root, image_size=image_size, **files)
        self.only = only
        self.fractions: dict[Split, float] = {"test": test_fraction, "val": val_fraction}
        self.on_bad_box = on_bad_box
        self.labels_on = labels_on
        self._headers: dict[str, Header] = {}  # of pictures that were looked at
        self.proposals = proposals
        self.proposals_limit = proposals_limit
        self.proposals_cache = Path(proposals_cache) if proposals_cache else self.root / ".proposals"
        self.bad_boxes: list[BadBox] = []  # of all splits, known after ``prepare_data``
        self.disk = OnDisk()  # as it is when the files are read

    @abstractmethod
    def read(self) -> Annotated:
        """What the annotation files say, boxes as they stand there. A picture of unknown size has 0 x 0."""

    def prepare_data(self) -> None:
        super().prepare_data()
        self.annotations  # noqa: B018 - what is malformed is refused now, not when training starts

    @cached_property
    def annotated(self) -> Annotated:
        """What the files say of the pictures that are there, before any box is clipped or left out."""
        class_names, splits = self.read()
        if not any(splits.values()):
            raise self.problem("no picture is annotated")
        for items in splits.values():
            items[:] = [item._replace(path=self.disk.find(item.path) or item.path) for item in items]
            _require_one_name(items)
        every = (item for items in splits.values() for item in items)
        sizes = self.sizes_of(item.path for item in every if not (item.height and item.width))
        for items in splits.values():
            items[:] = [item.sized(*sizes.get(item.path, (item.height, item.width))) for item in items]
        if self.labels_on == "raw":
            self.sizes_of(item.path for items in splits.values() for item in items)
            for items in splits.values():
                items[:] = [self._turned(item) for item in items]
        return Annotated(class_names, {split: self._present(items) for split, items in splits.items()})

    @cached_property
    def annotations(self) -> dict[Split, Annotations]:
        """Per split its pictures with their usable boxes."""
        kept: dict[Split, Annotations] = {}
        for split in SPLITS:
            if split in self.annotated.splits:
                kept[split] = self._usable(self.annotated.splits[split], split)
                if not kept[split]:
                    raise self.problem(f"no picture is left for {split}")
        if "train" not in kept:
            raise self.problem("there are no pictures to train on")
        return self.split_up(kept, self.fractions)

    def _present(self, items: list[Annotation]) -> list[Annotation]:
        """Those whose picture is there and whose size is known."""
        there = {item.path for item in items if self.disk.find(item.path) == item.path}
        missing = [item for item in items if item.path not in there]
        if missing and self.on_corrupt == "refuse":
            count = "" if len(missing) == 1 else f" ({len(missing)} pictures are missing)"
            raise DataError(
                f"data: {missing[0].source}: its picture {missing[0].path} is not there{count}\n"
                "  Bring it, remove the annotation, or leave such pictures out: data.on_corrupt=skip"
            )
        self.leave_out(CorruptSample(item.path, "the annotated picture is not there") for item in missing)
        return [item for item in items if item.path in there and item.height and item.width]

    def sizes_of(self, paths: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Height and width from the headers of what boxes are measured on, for a format that does not say.
        Pictures that cannot be opened are refused or left out as ``on_corrupt`` says; missing ones are not in
        the answer."""
        asked = list(paths)
        found, broken = headers((path for path in asked if path not in self._headers), self.max_pixels)
        self.leave_out(broken)
        self._headers |= found
        known = {path: self._headers[path] for path in asked if path in self._headers}
        if self.labels_on == "raw":
            return {path: one.stored for path, one in known.items()}
        return {path: (one.height, one.width) for path, one in known.items()}

    def _turned(self, item: Annotation) -> Annotation:
        """What was measured on the stored pixels, on the picture as it is seen."""
        header = self._headers.get(item.path)
        if header is None or header.orientation == 1:
            return item
        on_its_side = header.stored != (header.height, header.width)
        size = (item.width, item.height) if on_its_side else (item.height, item.width)
        return item._replace(boxes=turned_boxes(item.boxes, header)).sized(*size)

    def _usable(self, items: list[Annotation], split: Split) -> Annotations:
        try:
            kept, bad = clean_all(items, self.on_bad_box)
        except DataError as error:
            looks = "".join(f"\n  {text}" for text in doctor.coordinates(items))
            raise DataError(f"{error}{looks}") from error
        self.bad_boxes += bad
        if self.only is None:
            return Annotations(kept)
        single = [item for item in kept if len(item.labels) <= 1]
        if len(single) < len(kept):
            log.warning(
                "data.only=single: left out %d of %d pictures of %s with more than one object",
                len(kept) - len(single),
                len(kept),
                split,
            )
        return Annotations(single)

    @property
    def facts(self) -> dict[str, object]:
        names = self.annotated.class_names
        return super().facts | {
            "num_classes": len(names),
            "class_names": list(names),
            "training_pictures": len(self.annotations["train"][: self.limits["train"]]),
            "resize_mode": self.resize_mode,
            "proposals": self.proposals,
        }

    def load(self, split: Split, fields: tuple[str, ...]) -> BoxSamples | TensorSamples:
        items = self.annotations[split][: self.limits[split]]
        samples = self.samples_of(items, fields)
        proposals = self.proposals if "proposals" in fields else None
        if not self.in_memory:
            if proposals is not None:
                samples.regions = self._proposals(items, samples.picture)
            return samples
        if proposals is not None:  # they are computed from the pictures, also where nobody asks for these
            samples.fields = tuple({*fields, "images"})
        found, rows, _ = self.decoded(samples, split)
        if proposals is not None:
            images = found["images"]
            kept = self._proposals([items[row] for row in rows], lambda place: images[place])
            found["proposals"] = torch.stack([kept.of(place, image) for place, image in enumerate(images)])
        return TensorSamples(**{name: found[name] for name in fields})

    def samples_of(self, items: Sequence[Annotation], fields: tuple[str, ...]) -> BoxSamples:
        """The pictures of a split as they are read."""
        return BoxSamples(
            list_annotations(items, self.image_size, self.resize_mode),
            fields,
            self.image_size,
            self.resize_mode,
            max(1, *(len(item.labels) for own in self.annotations.values() for item in own)),
            self.max_pixels,
            levels=self.levels,
        )

    def _proposals(self, items: Sequence[Annotation], picture: Callable[[int], Tensor]) -> PictureProposals:
        assert self.proposals is not None
        height, width = height_width(self.image_size)
        return proposals_of(
            [os.path.relpath(item.path, self.root) for item in items],
            picture,
            self.proposals,
            self.proposals_limit,
            self.proposals_cache / f"{height}x{width}-{self.resize_mode}",
            skip_broken=self.on_corrupt == "skip",
        )

    def obstacles(self) -> Iterator[str]:
        if "box_labels" not in self.batch_type._fields:  # type: ignore[attr-defined] # pictures alone
            return
        seen = {split: items[: self.limits[split]] for split, items in self.annotations.items()}
        yield from doctor.obstacles(seen, self.annotated.class_names, self.more_to)
        yield from doctor.vanishing(seen["train"], max(height_width(self.image_size)), doctor.NEARLY_NONE)
        yield from turning.told(self.spread(), self.labels_on, self.max_pixels)

    def known_pictures(self) -> Iterator[str]:
        return (item.path for items in self.annotated.splits.values() for item in items)

    def doctor(self) -> Iterator[str]:
        raw = [item for items in self.annotated.splits.values() for item in items]
        longest, names = max(height_width(self.image_size)), self.annotated.class_names
        yield from doctor.findings(self.annotations, raw, names, longest, self.more_to)
        every = [item.path for items in self.annotations.values() for item in items]
        yield from turning.told(every, self.labels_on, self.max_pixels)
        yield from self.about_pictures()


def _require_one_name(items: Sequence[Annotation]) -> None:
    """`DataError` where two of a split are one picture under two names: each would say of the other's objects
    that they are none, and one might be measured that the other is trained on."""
    seen: dict[str, Annotation] = {}
    for item in items:
        first = seen.setdefault(os.path.normpath(item.path), item)
        if (first.path, first.source) != (item.path, item.source):
            raise DataError(
                f"{item.source}: {item.path} is the picture of {first.source} already; put all objects of a "
                "picture under one name"
            )
