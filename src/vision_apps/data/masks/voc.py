"""PASCAL VOC 2012 (Everingham et al. 2010), segmentation: 20 kinds of objects and the background."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data import public
from vision_apps.data.masks.coding import MaskCoding, voc_colours
from vision_apps.data.masks.data import MaskData, Pairs, fake_pair, fraction
from vision_apps.data.masks.pair_lists import numbered_lines

_CLASSES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()
_YEAR = Path("VOCdevkit") / "VOC2012"  # inside the archive


class VOCSegmentation(MaskData):
    """``JPEGImages``, ``SegmentationClass`` and ``ImageSets/Segmentation/{train,val}.txt`` in ``root`` or in
    ``root/VOCdevkit/VOC2012``.

    The official validation pictures are the test split: their masks are the only public ones that results
    are reported on, so choosing a checkpoint needs other pictures: ``val_fraction`` of the training ones. The
    border around objects (255) is ignored.

    Args:
        download: fetch and unpack the official archive when it is not there.
    """

    title = "VOC 2012"
    layout = (
        "root/VOCdevkit/VOC2012/{JPEGImages,SegmentationClass} and ImageSets/Segmentation/{train,val}.txt "
        "there, or these folders in root itself"
    )
    remedy = "Download it (2,000 MB): data.download=true    Or say where it is: data.root=/path/to/it"

    def __init__(
        self,
        root: str,
        *,
        image_size: int | Sequence[int] = 320,
        download: bool = False,
        val_fraction: float = 0.1,
        **data: Any,
    ) -> None:
        super().__init__(root, image_size=image_size, **data)
        self.download = download
        self.val_fraction = fraction("val_fraction", val_fraction)

    @property
    def directory(self) -> Path:
        return self.root if (self.root / "JPEGImages").is_dir() else self.root / _YEAR

    def prepare_data(self) -> None:
        if self.download and not (self.directory / "JPEGImages").is_dir():
            self._fetch()
        super().prepare_data()

    def _fetch(self) -> None:
        from torchvision.datasets.voc import DATASET_YEAR_DICT  # slow to import, rarely needed

        known = DATASET_YEAR_DICT["2012"]
        archive = public.download([known["url"]], self.root, known["filename"], known["md5"])
        public.unpack(archive, self.root)

    def list_pairs(self) -> dict[Split, Pairs]:
        train, val = self.hold_out(self._listed("train"), self.val_fraction, "val")
        return {"train": train, "val": val, "test": self._listed("val")}

    def _listed(self, name: str) -> Pairs:
        path = self.directory / "ImageSets" / "Segmentation" / f"{name}.txt"
        if not path.is_file():
            raise self.problem(f"there is no {path.absolute()}")
        pairs = []
        for number, line in numbered_lines(path):
            if len(line.split()) != 1:
                raise DataError(f"{path}, line {number}: expected a name such as 2007_000032, found {line!r}")
            image = self.directory / "JPEGImages" / f"{line}.jpg"
            pairs.append((image, self.directory / "SegmentationClass" / f"{line}.png"))
        return self.existing(pairs, str(path.absolute()))

    @property
    def class_names(self) -> list[str]:
        return list(_CLASSES)

    @property
    def palette(self) -> list[list[int]]:
        return voc_colours(len(_CLASSES))

    @cached_property
    def coding(self) -> MaskCoding:
        return MaskCoding(len(_CLASSES))

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, pictures: int = 12) -> dict[str, Any]:
        """Small pictures with palette masks of some of the classes in the layout of the archive."""
        folder = root / _YEAR
        lists = folder / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True)
        for start, split in enumerate(("train", "val")):
            names = [f"2007_{start * pictures + number:06d}" for number in range(pictures)]
            for number, name in enumerate(names):
                image, mask = (
                    folder / "JPEGImages" / f"{name}.jpg",
                    folder / "SegmentationClass" / f"{name}.png",
                )
                values = (0, IGNORE_INDEX, 1 + number % 20, 20)
                fake_pair(image, mask, start * pictures + number, size, values, palette=True)
            (lists / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        return {"root": str(root), "image_size": size}
