"""Oxford-IIIT Pet (Parkhi et al. 2012): 7,349 cats and dogs, cut out from their background."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torchvision import datasets

from vision_apps.core.conventions import IGNORE_INDEX, Size
from vision_apps.data import public
from vision_apps.data.masks.coding import MaskCoding
from vision_apps.data.masks.official import OfficialSplits

_NAME = "oxford-iiit-pet"  # the folder that torchvision makes
_PET, _BACKGROUND, _BORDER = 1, 2, 3  # in the trimaps
_CLASSES = {"background": [0, 0, 0], "pet": [230, 130, 40], "border": [250, 240, 150]}


class OxfordPet(OfficialSplits):
    """``images/*.jpg``, ``annotations/trimaps/*.png`` and ``annotations/{trainval,test}.txt`` in ``root`` or
    in ``root/oxford-iiit-pet``.

    The official test split; ``val_fraction`` of trainval is held out by ``split_seed``.

    Args:
        root: the folder that holds ``oxford-iiit-pet``, or that folder itself.
        border: the few pixels around the animal that belong to neither are ``ignore``d or a third ``class``.
        download: fetch and unpack the official archives when they are not there.
        val_fraction: of the training pictures.
    """

    title = "Oxford-IIIT Pet"
    layout = (
        "root/images/*.jpg, root/annotations/trimaps/*.png and root/annotations/{trainval,test}.txt, or "
        f"these in root/{_NAME}"
    )
    remedy = public.remedy("811 MB")

    classes = _CLASSES
    inside = _NAME
    parts = ("annotations", "images")
    train_list, test_list = "annotations/trainval.txt", "annotations/test.txt"
    line = "Abyssinian_100 1 1 1"
    values, grey = ((_PET, _BACKGROUND, _BORDER),), True

    def __init__(
        self, root: str, *, image_size: Size = 128, border: Literal["ignore", "class"] = "ignore", **data: Any
    ) -> None:
        super().__init__(root, image_size=image_size, **data)
        self.border = border

    def fetch(self) -> None:
        for url, md5 in datasets.OxfordIIITPet._RESOURCES:
            archive = public.download([url], self.directory, url.rsplit("/", 1)[1], md5)
            public.unpack(archive, self.directory)

    def files(self, name: str) -> tuple[Path, Path]:
        return (
            self.directory / "images" / f"{name}.jpg",
            self.directory / "annotations" / "trimaps" / f"{name}.png",
        )

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
