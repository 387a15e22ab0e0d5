"""What all data sets with captions share: from what a format says to the splits that are trained on."""

import logging
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.conventions import Auto, Size, size_problems
from vision_apps.core.data import SPLITS, Split, TensorSamples
from vision_apps.core.errors import CorruptSample, DataError, require_no
from vision_apps.data.captions import region_source
from vision_apps.data.captions.detected import FOLDER, kept_regions
from vision_apps.data.captions.region_source import Source, fitted, of_files, read_files, source_of
from vision_apps.data.captions.regions import PictureRegions
from vision_apps.data.captions.samples import CaptionSamples, table
from vision_apps.data.captions.words import SPECIAL, numbered, vocabulary_of, words_of
from vision_apps.data.files import ResizedData, fraction_problems
from vision_apps.data.on_disk import OnDisk
from vision_apps.data.sizes import picture_sizes

log = logging.getLogger(__name__)

_RARE = 0.2  # of the words of a split: so many unknown ones are told


class Captioned(NamedTuple):
    """A picture, and the captions that a file gives it."""

    paths: tuple[str, ...]  # places where it may be, the likeliest first
    captions: tuple[str, ...]
    source: str  # the file, and where in it


class Described(NamedTuple):
    """A picture that is there, and the words of each of its captions."""

    path: str
    captions: list[list[str]]


class Descriptions:
    """The pictures of a split."""

    classes = None

    def __init__(self, items: Sequence[Described]) -> None:
        self.items = list(items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def pictures(self) -> list[str]:
        return [item.path for item in self.items]

    def joined(self, more: Self) -> Self:
        return type(self)([*self.items, *more.items])

    def take(self, rows: Tensor) -> Self:
        return type(self)([self.items[row] for row in rows.tolist()])


class CaptionData(ResizedData):
    """Pictures with one or more captions each. A subclass reads its format in ``read``.

    Offers ``images`` uint8 [3, H, W]; ``captions`` int64 [R, L] as `words.encoded` has them; to measure
    ``references`` uint8 [r, M] as `words.as_bytes` has them; with ``regions`` these, float32 [N, 4], and
    where a file knows more of each ``region_features`` [N, D], see `regions.PictureRegions`. The vocabulary
    is that of the training captions, or the one of the run that is gone on with.

    Args:
        root: folder of the data.
        least_count: words that the training captions have less often are unknown ones.
        max_words: of a caption; of a longer one the first are learned. References stay whole.
        image_size: of the results in pixels: a side, height and width, or ``auto``.
        val_fraction, test_fraction: of all training pictures, held out by their names and ``split_seed``
            where the data has no such split, as `data.splits.draw` says.
        regions: boxes to look at: of a run of detection, its folder or a checkpoint; or in files, see
            `regions.RegionFiles`. A picture that the files do not have counts as a broken one.
        most_regions: of a picture, the best ones.
        regions_cache: folder to keep found boxes in; by default ``.regions`` in ``root``.
    """

    fields = ("images", "captions", "references", *region_source.FIELDS)
    to_measure = ("references",)
    fact_names = (
        *("vocabulary", "max_words", "image_size", "mean", "std", "resize_mode"),
        *region_source.FACTS,
    )
    title = "pictures with captions"
    remedy = "Say where the data is: data.root=/path/to/it"

    def __init__(
        self,
        root: str,
        *,
        least_count: int = 1,
        max_words: int = 50,
        image_size: Size | Auto = 192,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        regions: str | None = None,
        most_regions: int = 20,
        regions_cache: str | None = None,
        **files: Any,
    ) -> None:
        problems = [] if image_size == "auto" else size_problems(image_size, "data.image_size")
        problems += fraction_problems(val_fraction=val_fraction, test_fraction=test_fraction)
        counts = {"least_count": least_count, "max_words": max_words, "most_regions": most_regions}
        problems += [f"data.{name}: {n}; expected at least 1" for name, n in counts.items() if n < 1]
        require_no(problems)
        super().__init__(root, image_size=image_size, **files)
        self.least_count = least_count
        self.max_words = max_words
        self.fractions: dict[Split, float] = {"test": test_fraction, "val": val_fraction}
        self.regions = regions
        self.most_regions = most_regions
        self.regions_cache = Path(regions_cache) if regions_cache else self.root / FOLDER
        self.disk = OnDisk()  # as it is when the files are read

    @abstractmethod
    def read(self) -> Mapping[Split, Sequence[Captioned]]:
        """What the files say, of each split that they know."""

    def prepare_data(self) -> None:
        super().prepare_data()
        self.descriptions  # noqa: B018 - what is malformed is refused now, not when training starts

    @cached_property
    def descriptions(self) -> dict[Split, Descriptions]:
        found: dict[Split, Descriptions] = {}
        unusable: list[CorruptSample] = []
        given = self.read()
        for split, items in given.items():
            usable: dict[str, Described] = {}  # by the picture, which several lines may describe
            for item in items:
                described = self._described(item)
                if isinstance(described, CorruptSample):
                    unusable.append(described)
                else:
                    own = usable.setdefault(described.path, Described(described.path, []))
                    own.captions.extend(described.captions)
            if usable:
                found[split] = Descriptions(list(usable.values()))
        found = self._with_regions(found, unusable)
        if unusable and not found:
            raise self.problem(f"none of {len(unusable)} pictures can be used: {unusable[0]}")
        self.leave_out(unusable)
        self.require_given(given, found)
        if "train" not in found:
            raise self.problem("there are no pictures to train on")
        found = self.split_up(found, self.fractions)
        counts = (
            f"{split} {sum(len(item.captions) for item in own.items):,} of {len(own):,} pictures"
            for split, own in found.items()
        )
        log.info("captions  %s", " · ".join(counts))
        return found

    @cached_property
    def region_source(self) -> Source | None:
        return source_of(self.regions, self.most_regions, self.known_facts) if self.regions else None

    def _with_regions(
        self, found: dict[Split, Descriptions], unusable: list[CorruptSample]
    ) -> dict[Split, Descriptions]:
        """The pictures that files of regions have, if there are such files; the others are broken."""
        files = self.region_source.files if self.region_source else None
        self.listed: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        if files is None:
            return found
        every = Descriptions([item for own in found.values() for item in own.items])
        self.sizes, broken = picture_sizes(every.pictures, self.max_pixels)
        names = dict(zip(every.pictures, self._named(every), strict=True))
        self.listed, without = read_files(files, self.sizes, names, self.most_regions)
        unusable += [*broken, *without]
        kept = {
            split: Descriptions([item for item in own.items if item.path in self.listed])
            for split, own in found.items()
        }
        return {split: own for split, own in kept.items() if own.items}

    def _regions(self, split: Split) -> PictureRegions | None:
        """Those of the pictures of a split, once resized."""
        source, paths = self.region_source, self.picture_files(split)
        if source is None or source.known is not None:
            return None
        names, fit = self.sample_names(split), (self.most_regions, self.image_size, self.resize_mode)
        if source.files is not None:
            boxes = [self.listed[path][0] for path in paths]
            sizes = torch.tensor([self.sizes[path] for path in paths])
            return of_files(source.files, self.listed, paths, names, fitted(boxes, sizes, *fit))
        assert source.detector is not None
        title = f"regions of {split}"
        found, sizes = kept_regions(
            source.detector, paths, names, self.regions_cache, self.max_pixels, title, self.levels
        )
        return PictureRegions(fitted(found, sizes, *fit))

    @property
    def offers(self) -> tuple[str, ...]:
        there = self.region_source.offers if self.region_source else ()
        return tuple(name for name in self.fields if name in there or name not in region_source.FIELDS)

    def _described(self, item: Captioned) -> Described | CorruptSample:
        path = next((own for own in map(self.disk.find, item.paths) if own and os.path.isfile(own)), None)
        if path is None:
            return CorruptSample(item.paths[0], f"is not there, which {item.source} names")
        captions = [words for words in map(words_of, item.captions) if words]
        return (
            Described(path, captions) if captions else CorruptSample(path, f"{item.source}: has no caption")
        )

    @cached_property
    def vocabulary(self) -> list[str]:
        if self.known_facts is not None and "vocabulary" in self.known_facts:
            return list(self.known_facts["vocabulary"])
        items = self.descriptions["train"].items[: self.limits["train"]]
        found = vocabulary_of((words for item in items for words in item.captions), self.least_count)
        if len(found) == len(SPECIAL):
            raise DataError(
                f"data.least_count: no word of the training captions is there {self.least_count} times; "
                "data.least_count=1 takes all"
            )
        return found

    @property
    def facts(self) -> dict[str, object]:
        items = self.descriptions["train"].items[: self.limits["train"]]
        longest = max(len(words) for item in items for words in item.captions)
        if self.known_facts is not None and "max_words" in self.known_facts:
            longest = self.known_facts["max_words"]
        own = {"vocabulary": self.vocabulary, "max_words": min(longest, self.max_words)}
        found = self.region_source.facts if self.region_source else dict.fromkeys(region_source.FACTS)
        return super().facts | own | {"resize_mode": self.resize_mode} | found

    def load(self, split: Split, fields: tuple[str, ...]) -> CaptionSamples | TensorSamples:
        items = self.descriptions[split].items[: self.limits[split]]
        captions = [item.captions for item in items]
        most = self.facts["max_words"]
        assert isinstance(most, int)
        samples = CaptionSamples(
            table([item.path for item in items], captions, numbered(self.vocabulary)),
            fields,
            self.image_size,
            self.resize_mode,
            max(len(item.captions) for own in self.descriptions.values() for item in own.items),
            most,
            self.max_pixels,
            self._regions(split) if {*fields} & {*region_source.FIELDS} else None,
            self.levels,
        )
        return TensorSamples(**self.decoded(samples, split).fields) if self.in_memory else samples

    def obstacles(self) -> Iterator[str]:
        if "captions" not in self.batch_type._fields:  # type: ignore[attr-defined] # pictures alone
            return
        numbers = numbered(self.vocabulary)
        for split in SPLITS:
            items = self.descriptions[split].items[: self.limits[split]]
            words = [word for item in items for caption in item.captions for word in caption]
            unknown = sum(word not in numbers for word in words)
            if unknown >= _RARE * len(words):
                yield (
                    f"captions: {unknown} of {len(words)} words of {split} ({unknown / len(words):.0%}) are "
                    f"not among the {len(numbers)} of the vocabulary and are never said; more captions, or "
                    f"a smaller data.least_count={self.least_count}, teach more"
                )

    def doctor(self) -> Iterator[str]:
        for split in SPLITS:
            captions = [words for item in self.descriptions[split].items for words in item.captions]
            if cut := sum(len(words) > self.max_words for words in captions):
                yield (
                    f"{split}: {cut} of {len(captions)} captions have more than {self.max_words} words, of "
                    "which the first are learned; data.max_words says how many"
                )
        yield from self.obstacles()
        yield from self.about_pictures()
