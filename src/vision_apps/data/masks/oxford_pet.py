"""Oxford-IIIT Pet (Parkhi et al. 2012): 7,349 cats and dogs, cut out from their background."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data import public
from vision_apps.data.masks.coding import MaskCoding
from vision_apps.data.masks.data import MaskData, Pairs, fake_pair, fraction
from vision_apps.data.masks.pair_lists import numbered_lines

_NAME = "oxford-iiit-pet"  # the folder that torchvision makes
_PET, _BACKGROUND, _BORDER = 1, 2, 3  # in the trimaps
_CLASSES = {"background": [0, 0, 0], "pet": [230, 130, 40], "border": [250, 240, 150]}


class OxfordPet(MaskData):
    """``images/*.jpg``, ``annotations/trimaps/*.png`` and ``annotations/{trainval,test}.txt`` in ``root`` or
    in ``root/oxford-iiit-pet``.

    The official test split; ``val_fraction`` of trainval is held out by ``seed``.

    Args:
        border: the few pixels around the animal that belong to neither are ``ignore``d or a third ``class``.
        download: fetch and unpack the official archives when they are not there.
    """

    title = "Oxford-IIIT Pet"
    layout = (
        "root/images/*.jpg, root/annotations/trimaps/*.png and root/annotations/{trainval,test}.txt, or "
        f"these in root/{_NAME}"
    )
    remedy = "Download it (811 MB): data.download=true    Or say where it is: data.root=/path/to/it"

    def __init__(
        self,
        root: str,
        *,
        image_size: int | Sequence[int] = 128,
        border: Literal["ignore", "class"] = "ignore",
        download: bool = False,
        val_fraction: float = 0.1,
        **data: Any,
    ) -> None:
        super().__init__(root, image_size=image_size, **data)
        self.border = border
        self.download = download
        self.val_fraction = fraction("val_fraction", val_fraction)

    @property
    def directory(self) -> Path:
        return self.root if (self.root / "annotations").is_dir() else self.root / _NAME

    def prepare_data(self) -> None:
        if self.download and not all((self.directory / part).is_dir() for part in ("images", "annotations")):
            self._fetch()
        super().prepare_data()

    def _fetch(self) -> None:
        from torchvision.datasets import OxfordIIITPet  # slow to import, rarely needed

        for url, md5 in OxfordIIITPet._RESOURCES:
            archive = public.download([url], self.directory, url.rsplit("/", 1)[1], md5)
            public.unpack(archive, self.directory)

    def list_pairs(self) -> dict[Split, Pairs]:
        train, val = self.hold_out(self._listed("trainval"), self.val_fraction, "val")
        return {"train": train, "val": val, "test": self._listed("test")}

    def _listed(self, name: str) -> Pairs:
        annotations = self.directory / "annotations"
        path = annotations / f"{name}.txt"
        if not path.is_file():
            raise self.problem(f"there is no {path.absolute()}")
        pairs = []
        for number, line in numbered_lines(path):
            words = line.split()
            if len(words) != 4:
                raise DataError(f"{path}, line {number}: expected 'Abyssinian_100 1 1 1', found {line!r}")
            image = self.directory / "images" / f"{words[0]}.jpg"
            pairs.append((image, annotations / "trimaps" / f"{words[0]}.png"))
        return self.existing(pairs, str(path.absolute()))

    @property
    def class_names(self) -> list[str]:
        return list(_CLASSES)[: 3 if self.border == "class" else 2]

    @property
    def palette(self) -> list[list[int]]:
        return [list(_CLASSES[name]) for name in self.class_names]

    @cached_property
    def coding(self) -> MaskCoding:
        border = 2 if self.border == "class" else IGNORE_INDEX
        return MaskCoding(len(self.class_names), values={_PET: 1, _BACKGROUND: 0, _BORDER: border})

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, pictures: int = 12) -> dict[str, Any]:
        """Small pictures with trimaps in the layout of the archives."""
        annotations = root / _NAME / "annotations"
        for start, split in enumerate(("trainval", "test")):
            lines = []
            for number in range(pictures):
                name = f"Abyssinian_{start * pictures + number}"
                image, mask = root / _NAME / "images" / f"{name}.jpg", annotations / "trimaps" / f"{name}.png"
                fake_pair(image, mask, start * pictures + number, size, (_PET, _BACKGROUND, _BORDER))
                lines.append(f"{name} 1 1 1\n")
            (annotations / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
        return {"root": str(root), "image_size": size}
