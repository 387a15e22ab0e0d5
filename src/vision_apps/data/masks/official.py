"""Public sets whose archives have lists of names: of the pictures to train on, and of those to report on."""

import re
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.files import held_out_fractions
from vision_apps.data.masks.data import MaskData, Pairs, fake_pair
from vision_apps.data.text import numbered_lines


class OfficialSplits(MaskData):
    """Pictures and masks in the layout of an archive, with two lists of names. Below ``root``, or in the
    archive's folder there; ``val_fraction`` of the training list is held out by name and
    ``split_seed``."""

    inside: ClassVar[str]  # folder that the archive is unpacked to, below ``root``
    parts: ClassVar[tuple[str, ...]]  # folders in it
    train_list: ClassVar[str]  # file in it
    test_list: ClassVar[str]
    line: ClassVar[str]  # of the lists, an example: a name and perhaps more words
    values: ClassVar[tuple[tuple[int, ...], ...]]  # numbers of masks, for fakes
    grey: ClassVar[bool] = False  # masks without a palette

    def __init__(self, root: str, *, download: bool = False, val_fraction: float = 0.1, **data: Any) -> None:
        super().__init__(root, **data)
        self.download = download
        self.fractions = held_out_fractions(val_fraction)

    @property
    def directory(self) -> Path:
        return self.root if (self.root / self.parts[0]).is_dir() else self.root / self.inside

    @property
    def base(self) -> Path:
        return self.directory

    def prepare_data(self) -> None:
        if self.download and not all((self.directory / part).is_dir() for part in self.parts):
            self.fetch()
        super().prepare_data()

    @abstractmethod
    def fetch(self) -> None:
        """Download the archives and unpack them."""

    @abstractmethod
    def files(self, name: str) -> tuple[Path, Path]:
        """Picture and mask of a name in the lists."""

    def list_pairs(self) -> dict[Split, Pairs]:
        return {"train": self._listed(self.train_list), "test": self._listed(self.test_list)}

    def _listed(self, file: str) -> Pairs:
        path = self.directory / file
        if not path.is_file():
            raise self.problem(f"there is no {path.absolute()}")
        pairs = []
        for number, line in numbered_lines(path, "utf-8"):
            words = line.split()
            if len(words) != len(self.line.split()):
                raise DataError(
                    f"{path}, line {number}: expected a line such as {self.line!r}, found {line!r}"
                )
            pairs.append(self.files(words[0]))
        return self.existing(pairs, str(path.absolute()))

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, pictures: int = 12) -> dict[str, object]:
        """Small pictures with masks, and both lists, in the layout of the archive."""
        data = cls(str(root))
        for start, file in enumerate((cls.train_list, cls.test_list)):
            numbers = range(start * pictures, (start + 1) * pictures)
            lines = [re.sub(r"_\d+", f"_{number:06d}", cls.line) for number in numbers]
            for number, line in zip(numbers, lines, strict=True):
                values = cls.values[number % pictures % len(cls.values)]
                fake_pair(*data.files(line.split()[0]), number, size, values, palette=not cls.grey)
            path = data.directory / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"root": str(root), "image_size": size}
