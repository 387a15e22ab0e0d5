"""The user's own pictures with any number of labels each, which a CSV file lists."""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vision_apps.core.class_names import absent
from vision_apps.core.data import SPLITS, Split
from vision_apps.core.errors import CorruptSample, DataError, some
from vision_apps.data.images import EXTENSIONS
from vision_apps.data.labels.folder import fake_pictures
from vision_apps.data.labels.squares import LabelledFiles, SquarePictures
from vision_apps.data.labels.tables import Asked, Labels, Row, read_labels, twice
from vision_apps.data.named_splits import SPLIT_NAMES, split_files
from vision_apps.data.on_disk import OnDisk
from vision_apps.data.rows import files_below

_FOLDERS = ("", "annotations", "labels")  # below ``root``, where CSV files are looked for
_NAMED = 10  # classes in a finding


class MultiLabelCsv(SquarePictures):
    """Pictures with any number of labels, as CSV files of ``root`` list them: a line a picture, and either a
    column ``labels`` (``cat;dog``, empty for none) or a column of 0 and 1 for each class.

    Offers ``multi_hot`` uint8 [K] beside the pictures. ``train.csv``, ``val.csv`` (or ``valid``,
    ``validation``) and ``test.csv`` are the splits; of one file its column ``split`` says them. A split that
    none gives is drawn from the training pictures as `data.splits.draw` says. Pictures are looked for in
    ``root/images``, ``root`` and folders there that are called as the split or the file, by their names with
    or without an extension.

    Args:
        csv: one file, below ``root``; by default those that are there.
        images: folder of the pictures, below ``root``.
        file_column, label_column: what these columns are called; by default one of the usual names.
        separator: what stands between two labels; by default the one of ``;``, ``|`` and ``,`` that is there.
        classes: names in the order of their numbers; by default those in the files: sorted, or as their
            columns stand. Columns that are none of them are not read.
    """

    fields = ("images", "multi_hot", "sizes", "files")
    fact_names = ("num_classes", "class_names", "class_shares", "image_size", "resize", "mean", "std")
    truth = "multi_hot"
    title = "pictures with labels"
    layout = (
        "root/labels.csv, or root/train.csv, root/val.csv and root/test.csv, with a line a picture: "
        "'filename,labels' ('a.jpg,cat;dog'), or 'filename,cat,dog' with 0 and 1; and root/images/"
    )
    remedy = "Say where it is: data.root=/path/to/it    Or name the file: data.csv=my.csv"

    def __init__(
        self,
        root: str,
        *,
        csv: str | None = None,
        images: str = "images",
        file_column: str | None = None,
        label_column: str | None = None,
        separator: str | None = None,
        classes: Sequence[str] | None = None,
        **squares: Any,
    ) -> None:
        super().__init__(root, **squares)
        self.csv = csv
        self.images = self.root / images
        self.asked = Asked(file_column, label_column, separator, classes)
        self.disk = OnDisk()  # as it is when the files are read

    def files(self) -> dict[Split | None, Path]:
        """The CSV file of each split; one file for no split in particular."""
        if self.csv is not None:
            if not (self.root / self.csv).is_file():
                raise self.problem(f"data.csv: there is no file {(self.root / self.csv).absolute()}")
            return {None: self.root / self.csv}
        for folder in _FOLDERS:
            there = files_below(self.root / folder, (".csv",))
            if splits := split_files(there):
                return splits
            if len(there) == 1:
                return {None: next(iter(there.values()))}
            if there:
                names = some([path.name for path in there.values()], _NAMED)
                raise self.problem(
                    f"there are {names}, and no train.csv; which one is it? data.csv={next(iter(there))}.csv"
                )
        raise self.problem("there is no CSV file")

    @cached_property
    def labels(self) -> Labels:
        return read_labels(self.files().values(), self.asked, self.encoding)

    @cached_property
    def listings(self) -> dict[Split, LabelledFiles]:
        rows: dict[Split, list[tuple[str, Row]]] = {}
        missing: list[CorruptSample] = []
        for of_file, path in self.files().items():
            lines: dict[str, Row] = {}  # of this file, by the picture
            for row in self.labels.rows[path]:
                if of_file and row.split and row.split != of_file:
                    raise DataError(f"{row.source}: its split is {row.split}, in the file of {of_file}")
                split = of_file or row.split or "train"
                picture = self._picture(row, path, split)
                if picture is None:
                    missing.append(CorruptSample(row.filename, f"is not there, which {row.source} names"))
                else:
                    if (first := lines.setdefault(os.path.realpath(picture), row)) is not row:
                        raise DataError(twice(row, first))
                    rows.setdefault(split, []).append((picture, row))
        if missing and not rows:
            raise self.problem(f"none of the pictures is there: {missing[0]}, looked for in {self.images}")
        self.leave_out(missing)
        if "train" not in rows:
            raise self.problem("there are no pictures to train on")
        return self.split_up({split: self._listing(own) for split, own in rows.items()}, self.fractions)

    def _picture(self, row: Row, file: Path, split: Split) -> str | None:
        """Where a picture is; none where it is nowhere."""
        folders = ("", file.stem, *SPLIT_NAMES[split])
        places = [base / folder / row.filename for base in (self.images, self.root) for folder in folders]
        known = row.filename.lower().endswith(EXTENSIONS)
        for ending in ("",) if known else ("", *EXTENSIONS):
            for place in places:
                found = self.disk.find(f"{place}{ending}")
                if found and os.path.isfile(found):
                    return found
        return None

    def _listing(self, rows: Sequence[tuple[str, Row]]) -> LabelledFiles:
        numbers = {name: number for number, name in enumerate(self.labels.class_names)}
        labels = torch.zeros(len(rows), len(numbers), dtype=torch.uint8)
        for place, (_, row) in enumerate(rows):
            labels[place, [numbers[name] for name in row.labels]] = 1
        return LabelledFiles(np.array([os.fsencode(path) for path, _ in rows]), labels)

    @property
    def facts(self) -> dict[str, object]:
        names, labels = self.labels.class_names, self._truth("train")
        return super().facts | {
            "num_classes": len(names),
            "class_names": list(names),
            "class_shares": labels.double().mean(0).tolist(),
        }

    def _truth(self, split: Split) -> torch.Tensor:
        """uint8 [N, K]."""
        labels = self.listings[split].labels
        assert labels is not None  # every picture has a line
        return labels[: self.limits[split]]

    def obstacles(self) -> Iterator[str]:
        if self.truth not in self.batch_type._fields:  # type: ignore[attr-defined] # pictures alone
            return
        names = self.labels.class_names
        counts: dict[Split, list[int]] = {
            split: self._truth(split).sum(0, dtype=torch.int64).tolist() for split in SPLITS
        }
        yield from absent(counts, names, "labels", self.more_to)
        total = len(self._truth("train"))
        if everywhere := [name for name, n in zip(names, counts["train"], strict=True) if n == total]:
            yield (
                f"labels: all {total} training samples (100%) have {some(everywhere, _NAMED)}: there is "
                f"nothing to tell it from; {self.more_to('train')}"
            )

    def doctor(self) -> Iterator[str]:
        for split in SPLITS:
            labels = self._truth(split)
            if none := int((labels.sum(1) == 0).sum()):
                yield f"{split}: {none} of {len(labels)} pictures have no label"
        yield from self.obstacles()
        yield from self.about_pictures()

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, count: int = 32) -> dict[str, object]:
        """Small pictures in several formats, shapes and modes with none to three labels each."""
        fake_pictures(root / "images", count, size, seed=0)
        rng = np.random.default_rng(0)
        lines = ["filename,labels"]
        for path in sorted((root / "images").iterdir()):
            there = rng.random(3) < (0.6, 0.4, 0.2)
            own = [name for name, is_there in zip(("cat", "dog", "bird"), there, strict=True) if is_there]
            lines.append(f"{path.name},{';'.join(own)}")
        (root / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"root": str(root), "image_size": size}
