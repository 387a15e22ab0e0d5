"""Cityscapes (Cordts et al. 2016): 3,475 finely labelled street scenes of 21 cities, 19 classes."""

from functools import cached_property
from pathlib import Path
from typing import Any

from torchvision import datasets

from vision_apps.core.conventions import IGNORE_INDEX, Size
from vision_apps.core.data import Split
from vision_apps.data.files import held_out_fractions
from vision_apps.data.masks.coding import MaskCoding
from vision_apps.data.masks.data import MaskData, Pairs, fake_pair
from vision_apps.data.splits import place

# of cityscapesScripts' labels.py, in order of "trainId"
_CLASSES = [known for known in datasets.Cityscapes.classes if not known.ignore_in_eval]
_IDS = 34  # 0 to 33; those that are no class above are not evaluated
_IMAGE, _MASK = "_leftImg8bit.png", "_gtFine_labelIds.png"


class Cityscapes(MaskData):
    """``root/leftImg8bit/<split>/<city>/*_leftImg8bit.png`` and
    ``root/gtFine/<split>/<city>/*_gtFine_labelIds.png``.

    The official validation pictures are the test split, since the masks of the official test pictures are
    not public. To choose a checkpoint, whole training cities are held out by ``split_seed`` until
    they are
    ``val_fraction`` of the pictures: pictures of one drive resemble each other.
    """

    title = "Cityscapes"
    classes = {known.name: known.color for known in _CLASSES}  # noqa: RUF012
    why_no_folds = (
        "pictures of one drive resemble each other, and a fold would hold out neighbours of those that are "
        "trained on; runs with other seeds are what it has: vision-apps sweep seeds=5, or data.folds=null"
    )
    layout = (
        "root/leftImg8bit/{train,val}/<city>/*_leftImg8bit.png and "
        "root/gtFine/{train,val}/<city>/*_gtFine_labelIds.png"
    )
    remedy = (
        "Cityscapes has terms of its own and is not fetched for you: leftImg8bit_trainvaltest.zip (11 GB) "
        "and gtFine_trainvaltest.zip (241 MB) from https://www.cityscapes-dataset.com; unpack both into one "
        "folder, then data.root=/path/to/it"
    )

    def __init__(
        self,
        root: str,
        *,
        image_size: Size = (512, 1024),
        val_fraction: float = 0.1,
        **data: Any,
    ) -> None:
        super().__init__(root, image_size=image_size, **data)
        self.fractions = held_out_fractions(val_fraction)

    def list_pairs(self) -> dict[Split, Pairs]:
        cities = self._cities("train")
        names = sorted(cities)
        if len(names) < 2:
            raise self.problem("train needs at least 2 cities, one of them to hold out for val")
        wanted = self.fractions["val"] * sum(map(len, cities.values()))
        held: list[tuple[Path, Path]] = []
        kept = sorted(names, key=lambda name: place(name, self.split_seed))
        while len(kept) > 1 and len(held) < wanted:
            held += cities[kept.pop()]
        train = [pair for name in sorted(kept) for pair in cities[name]]
        test = [pair for pairs in self._cities("val").values() for pair in pairs]
        self.drawn = ("val",)
        return {"train": Pairs.of(train), "val": Pairs.of(held), "test": Pairs.of(test)}

    def _cities(self, split: str) -> dict[str, list[tuple[Path, Path]]]:
        images, masks = self.root / "leftImg8bit" / split, self.root / "gtFine" / split
        for folder in (images, masks):
            if not folder.is_dir():
                raise self.problem(f"there is no {folder.absolute()}")
        found: dict[str, list[tuple[Path, Path]]] = {}
        for path in sorted(images.glob(f"*/*{_IMAGE}")):
            mask = masks / path.parent.name / (path.name.removesuffix(_IMAGE) + _MASK)
            found.setdefault(path.parent.name, []).append((path, mask))
        self.existing([pair for pairs in found.values() for pair in pairs], str(images.absolute()))
        return found

    @cached_property
    def coding(self) -> MaskCoding:
        classes = {known.id: index for index, known in enumerate(_CLASSES)}
        return MaskCoding(len(_CLASSES), values=dict.fromkeys(range(_IDS), IGNORE_INDEX) | classes)

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, pictures: int = 6) -> dict[str, object]:
        """Small pictures of two cities to train on and one to measure with."""
        numbers = [0, 3, *(known.id for known in _CLASSES)]
        for start, (split, city) in enumerate((("train", "aachen"), ("train", "bochum"), ("val", "lindau"))):
            for number in range(pictures):
                name = f"{city}/{city}_{number:06d}_000019"
                image = root / "leftImg8bit" / split / f"{name}{_IMAGE}"
                mask = root / "gtFine" / split / f"{name}{_MASK}"
                seed = start * pictures + number
                fake_pair(image, mask, seed, size, numbers[seed % 5 :][:16])
        return {"root": str(root), "image_size": size}
