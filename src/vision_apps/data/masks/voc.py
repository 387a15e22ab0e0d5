"""PASCAL VOC 2012 (Everingham et al. 2010), segmentation: 20 kinds of objects and the background."""

from functools import cached_property
from pathlib import Path

from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.data import public
from vision_apps.data.masks.coding import MaskCoding, voc_colors
from vision_apps.data.masks.official import OfficialSplits

_NAMES = ["background", *public.VOC_CLASSES]
_CLASSES = dict(zip(_NAMES, voc_colors(len(_NAMES)), strict=True))


class VOCSegmentation(OfficialSplits):
    """``JPEGImages``, ``SegmentationClass`` and ``ImageSets/Segmentation/{train,val}.txt`` in ``root`` or in
    ``root/VOCdevkit/VOC2012``.

    The official validation pictures are the test split: their masks are the only public ones that results
    are reported on, so choosing a checkpoint needs other pictures: ``val_fraction`` of the training ones. The
    border around objects (255) is ignored.

    Args:
        root: the folder that holds ``VOCdevkit``, or the folder of the year itself.
        download: fetch and unpack the official archive when it is not there.
        val_fraction: of the training pictures, held out by ``split_seed``.
    """

    title = "VOC 2012"
    layout = (
        "root/VOCdevkit/VOC2012/{JPEGImages,SegmentationClass} and ImageSets/Segmentation/{train,val}.txt "
        "there, or these folders in root itself"
    )
    remedy = public.remedy("2,000 MB")

    classes = _CLASSES
    inside = "VOCdevkit/VOC2012"
    parts = ("JPEGImages",)
    train_list, test_list = "ImageSets/Segmentation/train.txt", "ImageSets/Segmentation/val.txt"
    line = "2007_000032"
    values = tuple((0, IGNORE_INDEX, kind, 20) for kind in range(1, 21))

    def fetch(self) -> None:
        public.fetch_voc(["2012"], self.root)

    def files(self, name: str) -> tuple[Path, Path]:
        return (
            self.directory / "JPEGImages" / f"{name}.jpg",
            self.directory / "SegmentationClass" / f"{name}.png",
        )

    @cached_property
    def coding(self) -> MaskCoding:
        return MaskCoding(len(_CLASSES))
