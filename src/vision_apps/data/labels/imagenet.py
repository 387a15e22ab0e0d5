"""ImageNet, ILSVRC 2012 (Russakovsky et al. 2015), in its folder layout."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.labels.folder import ImageFolder, fake_pictures
from vision_apps.data.text import numbered_lines

_NAMES_FILE = "LOC_synset_mapping.txt"
_WNID = re.compile(r"n\d{8}")


class ImageNet(ImageFolder):
    """``root/train/<wnid>/*.JPEG`` and ``root/val/<wnid>/*.JPEG``.

    The official validation images are the test split: their labels are the only public ones that results are
    reported on, so choosing a checkpoint needs other images: ``val_fraction`` of the training images. Class
    names come from ``LOC_synset_mapping.txt`` in ``root`` where it exists.
    """

    title = "ImageNet"
    layout = "root/train/<wnid>/*.JPEG and root/val/<wnid>/*.JPEG (wnid: n01440764 and the like)"
    remedy = (
        "ImageNet has terms of its own and is not fetched for you: 138 GB (train) and 6.3 GB (val) from "
        "https://image-net.org/download-images; unpack one folder per class, then data.root=/path/to/it"
    )

    def __init__(
        self,
        root: str,
        *,
        image_size: int = 224,
        resize: int | None = 256,
        train_size: int | None = 256,
        val_fraction: float = 0.01,
        **folder: Any,
    ) -> None:
        super().__init__(
            root,
            image_size=image_size,
            resize=resize,
            train_size=train_size,
            val_fraction=val_fraction,
            **folder,
        )

    def split_folders(self) -> dict[Split, Path]:
        return {"train": self.root / "train", "test": self.root / "val"}

    def prepare_data(self) -> None:
        for folder in self.split_folders().values():
            if not folder.is_dir():
                raise self.problem(f"there is no folder {folder.absolute()}")
            names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
            if strange := [name for name in names if not _WNID.fullmatch(name)]:
                raise self.problem(
                    f"{folder.absolute()} has folders that are no classes: {', '.join(strange[:5])}"
                )
            if not names:
                raise self.problem(
                    f"{folder.absolute()} has no class folders; move each picture into its class's"
                )
        super().prepare_data()

    @cached_property
    def _names(self) -> dict[str, str]:
        path = self.root / _NAMES_FILE
        if not path.is_file():
            return {}
        names = {}
        for number, line in numbered_lines(path, "utf-8"):
            wnid, _, synonyms = line.partition(" ")
            if not _WNID.fullmatch(wnid) or not synonyms:
                raise DataError(
                    f"{path}, line {number}: expected 'n01440764 tench, Tinca tinca', found {line!r}"
                )
            names[wnid] = synonyms.split(",")[0].strip()
        return names

    def display_name(self, folder: str) -> str:
        return self._names.get(folder, folder)

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, per_class: int = 8) -> dict[str, object]:
        """Two classes of small JPEG pictures with their names."""
        lines = []
        for seed, (wnid, names) in enumerate(
            (("n01440764", "tench, Tinca tinca"), ("n01443537", "goldfish"))
        ):
            fake_pictures(root / "train" / wnid, per_class, size, seed, (".JPEG",))
            fake_pictures(root / "val" / wnid, per_class // 2, size, seed + 10, (".JPEG",))
            lines.append(f"{wnid} {names}\n")
        (root / _NAMES_FILE).write_text("".join(lines), encoding="utf-8")
        return {"root": str(root), "image_size": size, "resize": size + 4}
