"""Data sets that lie in files: what is the same whether their pictures have classes, boxes or masks."""

import logging
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import torch
from torch import Tensor

from vision_apps.core.conventions import Auto, Size, height_width
from vision_apps.core.data import SPLITS, Split, VisionData
from vision_apps.core.errors import CorruptSample, DataError, require_no, some
from vision_apps.core.loader import BatchLoader
from vision_apps.core.spelling import alike
from vision_apps.data import auto, beside
from vision_apps.data.folds import hold_out
from vision_apps.data.images import MAX_PIXELS, Levels
from vision_apps.data.leakage import leakage
from vision_apps.data.levels import measured, require_range
from vision_apps.data.memory import Decoded, FileSamples, decode
from vision_apps.data.on_disk import entries, other_files
from vision_apps.data.resizing import ResizeMode
from vision_apps.data.sizes import picture_sizes
from vision_apps.data.splits import draw, place
from vision_apps.data.text import require_encoding

log = logging.getLogger(__name__)

# of ImageNet's training images: what published weights were trained with
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NAMED = 10  # broken files in an error
_LOOKED_AT = 200  # pictures, before a size is chosen for all
_MEASURED = 2000  # pictures whose levels say what is white


class Listing(Protocol):
    """The files of a split."""

    def __len__(self) -> int: ...

    @property
    def pictures(self) -> list[str]:
        """Their paths."""

    @property
    def classes(self) -> list[int] | None:
        """Of each the class, where it has one."""

    def joined(self, more: Self) -> Self:
        """These files and, after them, those."""

    def take(self, rows: Tensor) -> Self:
        """The files with these numbers, int64 [n], in their order."""


AnyListing = TypeVar("AnyListing", bound=Listing)


class FolderData(VisionData):
    """Data below a folder. A subclass says what it expects there."""

    title: ClassVar[str]  # of the data, in errors
    layout: ClassVar[str]  # what is expected in ``root``
    remedy: ClassVar[str]  # what to do where it is not
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    image_size: int | list[int]

    def __init__(self, root: str, **loader: Any) -> None:
        super().__init__(**loader)
        self.root = Path(root)

    def problem(self, what: str) -> DataError:
        """The error for a folder that does not hold what is expected."""
        return DataError(
            f"data.root: no {self.title} in {self.root.absolute()}: {what}{self._one_too_many()}\n"
            f"  Expected {self.expected}.\n  {self.remedy}"
        )

    def _one_too_many(self) -> str:
        """What is added to an error where all lies in a folder of its own, as archives are unpacked."""
        try:
            found = entries(self.root)
        except DataError:
            return ""
        if len(found) != 1 or not found[0].is_dir() or found[0].name.lower() in self.layout.lower():
            return ""
        return f"; only the folder {found[0].name}/ is there: data.root={self.root / found[0].name}"

    @property
    def expected(self) -> str:
        """What ``root`` should hold, in errors."""
        return self.layout

    @property
    def facts(self) -> dict[str, object]:
        return {"image_size": self.image_size, "mean": list(self.mean), "std": list(self.std)}


class FileData(FolderData):
    """Pictures in files below a folder. A subclass lists the files of each split.

    Args:
        root: folder of the data.
        batch_size: ``auto``: as `data.auto.batch_size` says.
        max_pixels: a larger picture is refused before it is decoded.
        levels: black and white of pictures with more than 8 bits; ``auto``: as `data.levels.measured` in the
            training pictures.
        encoding: of text files that are neither UTF-8 nor UTF-16, for instance ``latin-1``.
    """

    why_no_folds: ClassVar[str | None] = None
    full_batch_from: ClassVar[int] = 256  # training samples from which `auto` makes batches of 32

    def __init__(
        self,
        root: str,
        *,
        batch_size: int | Auto = 64,
        max_pixels: int = MAX_PIXELS,
        levels: Levels | Auto | None = None,
        encoding: str | None = None,
        **loader: Any,
    ) -> None:
        super().__init__(root, batch_size=1 if batch_size == "auto" else batch_size, **loader)
        self.autos = {"batch_size"} if batch_size == "auto" else set()  # arguments that `settle` chooses
        self.max_pixels = max_pixels
        require_encoding(encoding)
        self.encoding = encoding
        self.levels: list[float] | None = None
        if levels == "auto":
            self.autos.add("levels")
        elif levels is not None:
            self.levels = require_range(levels)
        self._in_splits: dict[Split, list[str]] = {}
        self._files: dict[Split, Listing] = {}
        self.others: list[str] = []  # files that lie among the pictures and are not read
        self._broken: dict[str, str] = {}  # files left out before any loader saw them, and why

    def prepare_data(self) -> None:
        if not self.root.is_dir():
            raise self.problem("there is no such folder")

    def settle(self) -> dict[str, Any]:
        if "batch_size" in self.autos:
            self.batch_size = auto.batch_size(len(self.sample_names("train")), self.full_batch_from)
        if "levels" in self.autos:
            self.levels = measured(self.spread(), self.max_pixels)
            if self.levels is not None:
                every = len(self._files["train"].pictures)
                self.levels = measured(self.spread(_MEASURED), self.max_pixels, every)
        found = {name: getattr(self, name) for name in sorted(self.autos)}
        return {name: value for name, value in found.items() if value is not None}  # 8 bits have no levels

    def spread(self, most: int = _LOOKED_AT) -> list[str]:
        """At most so many training pictures, over all of the split."""
        every = self._files["train"].pictures[: self.limits["train"]]
        return every[:: -(-len(every) // most)]

    def some_sizes(self) -> list[tuple[int, int]]:
        """Height and width of training pictures that are spread over the split. `DataError` where none of
        them can be opened."""
        paths = self.spread()
        sizes, broken = picture_sizes(paths, self.max_pixels)
        if not sizes:
            raise self.problem(f"none of {len(paths)} pictures can be opened, such as {broken[0]}")
        return list(sizes.values())

    def split_up(
        self, found: Mapping[Split, AnyListing], fractions: Mapping[Split, float]
    ) -> dict[Split, AnyListing]:
        """All splits, each in an order that ``split_seed`` draws. A missing one is drawn from the training
        files by their names below ``root``, as `data.splits.draw` says; with ``folds`` as
        `data.folds.hold_out` does, of the files of training and validation together. `DataError` where there
        are too few of them."""
        if self.folds is not None:
            found = self._unfolded(found)
        asked = {split: fractions[split] for split in SPLITS if split not in found}
        whole = found["train"]
        names = self._named(whole)
        drawn = self._draw(names, asked, whole) if asked else []
        for split in asked:
            if split not in drawn:
                raise self.problem(f"{len(names)} pictures are too few to hold some of them out for {split}")
        splits: dict[Split, AnyListing] = {}
        for split in SPLITS:
            if split in found and not (asked and split == "train"):
                listing = found[split]
            else:
                listing = whole.take(torch.tensor([row for row, own in enumerate(drawn) if own == split]))
            names = self._named(listing)
            order = sorted(
                range(len(names)), key=lambda row: (place(names[row], self.split_seed), names[row])
            )
            splits[split] = listing.take(torch.tensor(order))
            self._in_splits[split] = [names[row] for row in order]
        self.drawn += tuple(asked)
        self._files = dict(splits)
        self._tell_shared()
        return splits

    def _unfolded(self, found: Mapping[Split, AnyListing]) -> dict[Split, AnyListing]:
        """What is cut into folds, as training files, each once; and the test split where it has one."""
        every = found["train"].joined(found["val"]) if "val" in found else found["train"]
        rows = {name: row for row, name in reversed([*enumerate(self._named(every))])}
        assert self.folds is not None
        if len(rows) < self.folds:
            raise self.problem(f"{len(rows)} pictures are too few for data.folds={self.folds}")
        own = {"test": found["test"]} if "test" in found else {}
        return {"train": every.take(torch.tensor(sorted(rows.values()))), **own}  # type: ignore[dict-item]

    def _draw(self, names: Sequence[str], asked: Mapping[Split, float], whole: Listing) -> list[Split]:
        sets = getattr(whole, "class_sets", None)  # of listings with any number of classes a file
        each = sets is not None and getattr(whole, "each_validates", True)
        if self.folds is None or self.fold is None:
            return draw(names, asked, self.split_seed, whole.classes, self.drawn_before, sets, each)
        # a test split of its own measures all runs, and the fold is what they choose by
        held: Split = "test" if "test" in asked else "val"
        return hold_out(
            names,
            self.fold,
            self.folds,
            self.split_seed,
            held=held,
            val_fraction=asked["val"] if held == "test" else 0.0,
            classes=whole.classes,
            class_sets=sets if each else None,
            known=self.drawn_before,
        )

    def _tell_shared(self) -> None:
        """Lists of splits may name a file twice: what is trained on says nothing when it is measured."""
        train = set(self._in_splits["train"])
        for split in SPLITS[1:]:
            if shared := [name for name in self._in_splits.get(split, ()) if name in train]:
                log.warning(
                    "data: %d of %d samples of %s are trained on too: %s",
                    *(len(shared), len(self._in_splits[split]), split, some(shared, 3)),
                )

    @property
    def left_out(self) -> dict[str, str]:
        return self._broken | dict.fromkeys(self.others, "is no picture that is read")

    def doctor(self) -> Iterator[str]:
        yield from self.obstacles()
        yield from self.about_pictures()

    def about_pictures(self) -> Iterator[str]:
        """What looks wrong in the pictures of all splits, whatever is said of them, a line each."""
        if self.levels is not None:
            yield (
                f"levels: of pictures with more than 8 bits, {self.levels[0]:g} becomes black and "
                f"{self.levels[1]:g} white (data.levels)"
            )
        yield from self.unused()
        paths: dict[str, Sequence[str]] = {split: own.pictures for split, own in self._files.items()}
        yield from leakage(paths, max_pixels=self.max_pixels, levels=self.levels)

    def unused(self) -> Iterator[str]:
        """A line where files lie beside the pictures that are used and are not."""
        yield from beside.unused([*self.known_pictures(), *self._broken], self.others)

    def known_pictures(self) -> Iterable[str]:
        """Paths of all pictures that the data set names, used or not."""
        return (path for own in self._files.values() for path in own.pictures)

    def tell_others(self, paths: Sequence[str]) -> None:
        """Count files that lie among the pictures and are none."""
        if paths:
            log.warning("data: left out %s", other_files(paths))
            self.others += paths

    def classes_of(self, split: Split) -> Tensor | None:
        classes = self._files[split].classes
        return None if classes is None else torch.tensor(classes)[: self.limits[split]]

    @property
    def base(self) -> Path:
        """The folder below which a file's name is its own, wherever the data lie."""
        return self.root

    def sample_names(self, split: Split) -> list[str]:
        return self._in_splits[split][: self.limits[split]]

    def picture_files(self, split: Split) -> list[str]:
        return self._files[split].pictures[: self.limits[split]]

    def _named(self, listing: Listing) -> list[str]:
        """Paths below ``base``, the same on every system."""
        start = os.path.join(self.base, "")
        below = (
            path.removeprefix(start) if path.startswith(start) else os.path.relpath(path, self.base)
            for path in listing.pictures
        )
        return [alike(path.replace(os.sep, "/")) for path in below]

    def leave_out(self, broken: Iterable[CorruptSample]) -> None:
        """Files that cannot be used, counted with those that the loaders meet. `DataError`, which names them,
        where ``on_corrupt`` is ``refuse``."""
        broken = list(broken)
        if broken and self.on_corrupt == "refuse":
            count = "1 file is" if len(broken) == 1 else f"{len(broken)} files are"
            named = "\n  ".join(str(one) for one in broken[:_NAMED])
            more = f"\n  and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
            raise DataError(
                f"data: {count} broken:\n  {named}{more}\n"
                "  Remove or mend them, or leave them out with data.on_corrupt=skip"
            )
        for one in broken:
            if one.path not in self._broken:
                self._broken[one.path] = one.reason
                log.warning("left out a broken file (%d so far): %s", len(self._broken), one)

    def require_given(self, given: Iterable[Split], found: Container[Split]) -> None:
        """`DataError` where the files give a split other than train and nothing of it that can be used was
        ``found``: it would be drawn from the training pictures in its place."""
        if lost := [split for split in given if split != "train" and split not in found]:
            raise DataError(
                f"data: nothing of {lost[0]} in {self.root} can be used; expected some that can, or files "
                f"without {lost[0]}, which is then drawn from the training pictures"
            )

    def loader(self, split: Split) -> BatchLoader:
        loader = super().loader(split)
        loader.corrupt |= self._broken  # the report joins those of all splits
        return loader


class ResizedData(FileData):
    """Pictures that are brought to one size together with what lies over their pixels.

    Args:
        image_size: ``auto``: as `data.auto.height_and_width` says, between ``size_limits``.
        size_limits: the least and the largest longer side of it, pixels.
    """

    full_batch_from = 1280  # boxes and masks teach more than a class does: more steps, of fewer pictures

    def __init__(
        self,
        root: str,
        *,
        image_size: Size | Auto = 320,
        size_limits: tuple[int, int] = (128, 320),
        resize_mode: ResizeMode = "letterbox",
        in_memory: bool = False,
        **files: Any,
    ) -> None:
        super().__init__(root, **files)
        self.size_limits = size_limits
        if image_size == "auto":
            self.autos.add("image_size")
            image_size = size_limits[1]  # until the pictures are known
        height, width = height_width(image_size, "data.image_size")
        self.image_size = height if height == width else [height, width]
        self.resize_mode = resize_mode
        self.in_memory = in_memory

    def settle(self) -> dict[str, Any]:
        if "image_size" in self.autos:
            self.image_size = auto.height_and_width(self.some_sizes(), *self.size_limits)
        return super().settle()

    def decoded(self, samples: FileSamples, split: Split) -> Decoded:
        """All samples that can be read; the others are left out, or refused. `ConfigError` where they take
        more memory than the machine can spare; `DataError` where none can be read, or one cannot and
        ``on_corrupt`` is ``refuse``."""
        found = decode(samples, split)
        self.leave_out(found.broken)
        if not found.rows:
            raise self.problem(f"no picture of {split} can be read")
        return found


def fraction_problems(**fractions: float) -> list[str]:
    """What is wrong with shares of the training files that are to be held out, a text for each; ``fractions``
    are called as in the configuration."""
    return [
        f"data.{name}: expected a share of more than 0 and less than 0.5, not {value}"
        for name, value in fractions.items()
        if not 0 < value < 0.5
    ]


def held_out_fractions(val_fraction: float, test_fraction: float | None = None) -> dict[Split, float]:
    """The share of the training files that is held out for each split. `ConfigError` where a share is not
    between 0 and 0.5."""
    given = {"val": val_fraction} | ({} if test_fraction is None else {"test": test_fraction})
    require_no(fraction_problems(**{f"{split}_fraction": share for split, share in given.items()}))
    return dict(zip(SPLITS[1:], given.values(), strict=False))
