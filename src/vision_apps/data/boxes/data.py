"""What all data sets with boxes share: from what a format says to the splits that are trained on."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from vision_apps.core.conventions import height_width
from vision_apps.core.data import SPLITS, Split, TensorSamples, VisionData, split_indices
from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.core.loader import BatchLoader
from vision_apps.core.seeding import mix
from vision_apps.data.boxes import doctor
from vision_apps.data.boxes.annotation import Annotated, Annotation, BadBox, OnBadBox, clean_all
from vision_apps.data.boxes.proposal_cache import PictureProposals, proposals_of
from vision_apps.data.boxes.proposals import Mode
from vision_apps.data.boxes.samples import BoxSamples, list_annotations
from vision_apps.data.images import MAX_PIXELS
from vision_apps.data.leakage import leakage
from vision_apps.data.resizing import ResizeMode
from vision_apps.data.sizes import picture_sizes, threads

log = logging.getLogger(__name__)

# of ImageNet: what published weights were trained with
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_SHARE = 0.8  # of the machine's memory: what the pictures of a split may take
_NAMED = 10  # files in an error


class BoxData(VisionData):
    """Pictures with boxes around their objects.

    A subclass reads its format in ``read``. The rest is the same for all: pictures that are missing, boxes
    that cannot be used, splits, fitting to one size, padding to the largest number of objects. Within a split
    the order is drawn by ``seed``.

    Args:
        root: folder of the data.
        image_size: side of the square, or height and width, that pictures are fitted to, px.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest with grey, ``stretch`` does not.
        only: ``single`` leaves out pictures with more than one object.
        in_memory: decode once and keep the pictures of a split as one tensor.
        val_fraction, test_fraction: of all pictures, held out by ``seed`` where the data has no such split.
        max_pixels: a larger picture is refused before it is decoded.
        on_bad_box: what a box does that is no number, reversed or outside its picture. ``refuse`` stops,
            ``drop`` leaves it out. Boxes of no size are always left out; both are counted and named.
        proposals: selective search in its mode ``single``, ``fast`` or ``quality``; computed once and kept.
        proposals_limit: the most per picture.
        proposals_cache: folder to keep them in; by default ``.proposals`` in ``root``.
    """

    fields: ClassVar[tuple[str, ...]] = ("images", "boxes", "box_labels", "ignored", "sizes", "proposals")
    title: ClassVar[str] = "annotated pictures"
    layout: ClassVar[str]
    remedy: ClassVar[str] = "Say where the data is: data.root=/path/to/it"

    def __init__(
        self,
        root: str,
        *,
        image_size: int | Sequence[int] = 320,
        resize_mode: ResizeMode = "letterbox",
        only: Literal["single"] | None = None,
        in_memory: bool = False,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        max_pixels: int = MAX_PIXELS,
        on_bad_box: OnBadBox = "refuse",
        proposals: Mode | None = None,
        proposals_limit: int = 2000,
        proposals_cache: str | None = None,
        **loader: Any,
    ) -> None:
        super().__init__(**loader)
        sides = [image_size] if isinstance(image_size, int) else list(image_size)
        problems = []
        if len(sides) not in (1, 2) or min(sides) < 1:
            problems.append(f"data.image_size: expected one side or [height, width] in px, not {image_size}")
        for name, fraction in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
            if not 0 < fraction < 0.5:
                problems.append(
                    f"data.{name}: expected a share of more than 0 and less than 0.5, not {fraction}"
                )
        if proposals_limit < 1:
            problems.append(f"data.proposals_limit: expected at least 1, not {proposals_limit}")
        if problems:
            raise ConfigError("\n".join(problems))
        self.root = Path(root)
        self.image_size = sides[0] if len(set(sides)) == 1 else sides
        self.resize_mode = resize_mode
        self.only = only
        self.in_memory = in_memory
        self.fractions: dict[Split, float] = {"test": test_fraction, "val": val_fraction}
        self.max_pixels = max_pixels
        self.on_bad_box = on_bad_box
        self.proposals = proposals
        self.proposals_limit = proposals_limit
        self.proposals_cache = Path(proposals_cache) if proposals_cache else self.root / ".proposals"
        self.bad_boxes: list[BadBox] = []  # of all splits, known after ``prepare_data``
        self._broken: dict[str, str] = {}  # files left out before any loader saw them, and why

    def read(self) -> Annotated:
        """What the annotation files say, boxes as they stand there. A picture of unknown size has 0 x 0."""
        raise NotImplementedError

    def problem(self, what: str) -> DataError:
        return DataError(
            f"data.root: no {self.title} in {self.root.absolute()}: {what}\n"
            f"  Expected {self.layout}.\n  {self.remedy}"
        )

    def prepare_data(self) -> None:
        if not self.root.is_dir():
            raise self.problem("there is no such folder")
        self.annotations  # noqa: B018 - what is malformed is refused now, not when training starts

    @cached_property
    def annotated(self) -> Annotated:
        """What the files say of the pictures that are there, before any box is clipped or left out."""
        class_names, splits = self.read()
        if not any(splits.values()):
            raise self.problem("no picture is annotated")
        return Annotated(class_names, {split: self._present(items) for split, items in splits.items()})

    @cached_property
    def annotations(self) -> dict[Split, list[Annotation]]:
        """Per split its pictures with their usable boxes."""
        kept: dict[Split, list[Annotation]] = {}
        for split in SPLITS:
            if split in self.annotated.splits:
                kept[split] = self._usable(self.annotated.splits[split], split)
                if not kept[split]:
                    raise self.problem(f"no picture is left for {split}")
        if "train" not in kept:
            raise self.problem("there are no pictures to train on")
        everything = len(kept["train"])
        for split in ("test", "val"):  # the test does not depend on how much is held out for validation
            if split not in kept:
                kept["train"], kept[split] = self._hold_out(kept["train"], everything, split)
        return {split: self._shuffled(kept[split]) for split in SPLITS}

    def _present(self, items: list[Annotation]) -> list[Annotation]:
        """Those whose picture is there and whose size is known."""
        folders = {os.path.dirname(item.path) for item in items}
        there = {
            os.path.join(folder, name)
            for folder in folders
            if os.path.isdir(folder or ".")
            for name in os.listdir(folder or ".")
        }
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
        """Height and width from the headers, for a format that does not say. Pictures that cannot be opened
        are refused or left out as ``on_corrupt`` says; missing ones are not in the answer."""
        sizes, broken = picture_sizes(paths, self.max_pixels)
        self.leave_out(broken)
        return sizes

    def leave_out(self, broken: Iterable[CorruptSample]) -> None:
        """Files that cannot be used, counted with those that the loaders meet.

        Raises:
            DataError: names them, where ``on_corrupt`` is ``refuse``.
        """
        broken = list(broken)
        if broken and self.on_corrupt == "refuse":
            named = "\n  ".join(str(one) for one in broken[:_NAMED])
            more = f"\n  and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
            raise DataError(
                f"data: broken files:\n  {named}{more}\n"
                "  Remove or mend them, or leave them out with data.on_corrupt=skip"
            )
        for one in broken:
            if one.path not in self._broken:
                self._broken[one.path] = one.reason
                log.warning("left out a broken file (%d so far): %s", len(self._broken), one)

    def _usable(self, items: list[Annotation], split: Split) -> list[Annotation]:
        try:
            kept, bad = clean_all(items, self.on_bad_box)
        except DataError as error:
            looks = "".join(f"\n  {text}" for text in doctor.coordinates(items))
            raise DataError(f"{error}{looks}") from error
        self.bad_boxes += bad
        if self.only is None:
            return kept
        single = [item for item in kept if len(item.labels) <= 1]
        if len(single) < len(kept):
            log.info(
                "data.only=single: left out %d of %d pictures of %s with more than one object",
                len(kept) - len(single),
                len(kept),
                split,
            )
        return single

    def _hold_out(
        self, items: list[Annotation], everything: int, split: Split
    ) -> tuple[list[Annotation], list[Annotation]]:
        held_out = max(1, round(everything * self.fractions[split]))
        if held_out >= len(items):
            raise self.problem(f"{everything} pictures are too few to hold some of them out for {split}")
        kept, held = split_indices(len(items), held_out, self.seed)
        return [items[row] for row in kept.tolist()], [items[row] for row in held.tolist()]

    def _shuffled(self, items: list[Annotation]) -> list[Annotation]:
        generator = torch.Generator().manual_seed(mix(self.seed, len(items)))
        return [items[row] for row in torch.randperm(len(items), generator=generator).tolist()]

    @property
    def facts(self) -> dict[str, Any]:
        names = self.annotated.class_names
        return {
            "num_classes": len(names),
            "class_names": list(names),
            "image_size": self.image_size,
            "mean": list(_MEAN),
            "std": list(_STD),
            "resize_mode": self.resize_mode,
            "proposals": self.proposals,
        }

    @cached_property
    def most_objects(self) -> int:
        """The rows of boxes of every sample."""
        return max(1, *(len(item.labels) for items in self.annotations.values() for item in items))

    def load(self, split: Split, fields: tuple[str, ...]) -> BoxSamples | TensorSamples:
        items = self.annotations[split][: self.limits[split]]
        samples = BoxSamples(
            list_annotations(items, self.image_size, self.resize_mode),
            fields,
            self.image_size,
            self.resize_mode,
            self.most_objects,
            self.max_pixels,
        )
        if self.in_memory:
            return self._decoded(samples, items, split)
        if "proposals" in fields and self.proposals is not None:
            samples.regions = self._proposals(items, samples.picture)
        return samples

    def _decoded(self, samples: BoxSamples, items: list[Annotation], split: Split) -> TensorSamples:
        wanted, rows, found = samples.fields, list(range(len(items))), dict[str, Tensor]()
        regions = "proposals" in wanted and self.proposals is not None
        if "images" in wanted or regions:
            images, rows = self._pictures(samples, split)
            if "images" in wanted:
                found["images"] = images
        samples.fields = tuple(name for name in wanted if name != "images")
        read = [samples[row] for row in rows]
        found |= {name: torch.stack([sample[name] for sample in read]) for name in samples.fields}
        if regions:
            kept = self._proposals([items[row] for row in rows], lambda place: images[place])
            found["proposals"] = torch.stack([kept.of(place, image) for place, image in enumerate(images)])
        return TensorSamples(**found)

    def _pictures(self, samples: BoxSamples, split: Split) -> tuple[Tensor, list[int]]:
        """Those that can be read, uint8 [n, 3, H, W], and their numbers among the samples."""
        height, width = height_width(self.image_size)
        needed, memory = len(samples) * 3 * height * width, _memory()
        if needed > _SHARE * memory:
            raise ConfigError(
                f"data.in_memory: {len(samples)} pictures of {split} at {height} x {width} px take "
                f"{needed / 2**30:.1f} GiB and the machine has {memory / 2**30:.1f}; data.in_memory=false "
                "reads them anew each time"
            )
        images = torch.empty(len(samples), 3, height, width, dtype=torch.uint8)

        def decode(row: int) -> CorruptSample | None:
            try:
                images[row] = samples.picture(row)
            except CorruptSample as broken:
                return broken
            return None

        with ThreadPoolExecutor(threads()) as pool:  # decoders compute without Python's lock
            problems = list(pool.map(decode, range(len(samples))))
        self.leave_out(problem for problem in problems if problem)
        rows = [row for row, problem in enumerate(problems) if problem is None]
        if not rows:
            raise self.problem(f"every picture of {split} is broken")
        return (images if len(rows) == len(images) else images[rows]), rows

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

    def loader(self, split: Split) -> BatchLoader:
        loader = super().loader(split)
        loader.corrupt |= self._broken  # the report joins those of all splits
        return loader

    def doctor(self) -> Iterator[str]:
        raw = [item for items in self.annotated.splits.values() for item in items]
        longest = max(height_width(self.image_size))
        yield from doctor.findings(self.annotations, raw, self.annotated.class_names, longest)
        paths: dict[str, Sequence[str]] = {
            split: [item.path for item in items] for split, items in self.annotations.items()
        }
        yield from leakage(paths, max_pixels=self.max_pixels)


def _memory() -> float:
    """Of the machine, bytes; without end where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return float("inf")
