"""Pictures and masks that belong together by their names: in two folders, in one, or by lists."""

import logging
import os.path
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vision_apps.core.data import SPLITS, Split
from vision_apps.core.errors import some
from vision_apps.core.spelling import alike
from vision_apps.data.files import held_out_fractions
from vision_apps.data.images import EXTENSIONS
from vision_apps.data.masks.class_lists import CLASS_FILES
from vision_apps.data.masks.data import NAMED, MaskData, Pairs
from vision_apps.data.masks.pair_lists import listed_pairs
from vision_apps.data.named_splits import SPLIT_NAMES, split_folders
from vision_apps.data.on_disk import OnDisk, pictures_below, subfolders
from vision_apps.data.pairing import Named
from vision_apps.data.text import numbered_lines

log = logging.getLogger(__name__)

_USUAL = ("images", "masks")
_OF_VOC = ("JPEGImages", "SegmentationClass")  # as VOC, CVAT and Label Studio call the two folders
_VOC_LISTS = "ImageSets/Segmentation"
_BESIDE = "_mask"  # after a mask's name that lies beside its picture, as Roboflow has it
_BRUSH = re.compile(r"task-\d+-annotation-\d+-.*\.png")  # Label Studio's, one of each class


class MaskPairs(MaskData):
    """The pairs of each split that ``root`` has.

    Args:
        images, masks: names of the two folders.
        mask_suffix: what a mask's name has after its picture's, for instance ``_mask``.
        val_fraction, test_fraction: of all training pictures, held out where there is no such split.
    """

    def __init__(
        self,
        root: str,
        *,
        images: str,
        masks: str,
        mask_suffix: str,
        val_fraction: float,
        test_fraction: float,
        **data: Any,
    ) -> None:
        super().__init__(root, **data)
        self.folders = (images, masks)
        self.mask_suffix = mask_suffix
        self.fractions = held_out_fractions(val_fraction, test_fraction)

    def list_pairs(self) -> dict[Split, Pairs]:
        found = {split: pairs for split in SPLITS if (pairs := self._of_split(split)) is not None}
        if not found:
            pairs = self._below(self.root)
            if pairs is None:
                raise self.problem(self._nothing())
            found["train"] = pairs
        if "train" not in found:
            raise self.problem(f"found {' and '.join(found)} without train")
        return found

    def _of_split(self, split: Split) -> Pairs | None:
        disk = OnDisk()
        for name in SPLIT_NAMES[split]:
            if path := disk.find(self.root / f"{name}.txt"):
                listed = listed_pairs(Path(path), self.root, self.encoding)
                return self.existing(listed, str(Path(path).absolute()))
            if path := disk.find(self.root / _VOC_LISTS / f"{name}.txt"):
                return self._of_names(Path(path))
        folder = split_folders(self.root).get(split)
        return None if folder is None else self._below(folder)

    def _of_names(self, path: Path) -> Pairs:
        """Those of a list of names without endings, in VOC's folders."""
        if (places := self._places(self.root)) is None:
            raise self.problem(self._nothing())
        images, masks = places
        every = Named(os.path.relpath(picture, images) for picture in pictures_below(images))
        listed = []
        for _, name in numbered_lines(path, self.encoding):
            pictures = every.find(name)
            picture = pictures[0] if len(pictures) == 1 else f"{name}.jpg"
            listed.append((images / picture, masks / f"{name}{self.mask_suffix}.png"))
        return self.existing(listed, str(path.absolute()))

    def _below(self, folder: Path) -> Pairs | None:
        """Those in a folder of all pictures, or of a split's; None where it has neither two folders nor masks
        beside their pictures."""
        if (places := self._places(folder)) is not None:
            return self._matched(*places, self.mask_suffix)
        images = OnDisk().find(folder / self.folders[0])
        if images is not None and os.path.isdir(images):
            masks = folder / self.folders[1]
            own = self._by_name(Path(images), "")
            raise self.problem(f"there is no {masks.absolute()}{self._elsewhere(folder, own)}")
        suffix = self.mask_suffix or _BESIDE
        if any(
            Path(path).parent == folder and Path(path).stem.endswith(suffix)
            for path in pictures_below(folder)
        ):
            return self._matched(folder, folder, suffix)
        return None

    def _places(self, folder: Path) -> tuple[Path, Path] | None:
        """The folders of pictures and masks in it."""
        disk = OnDisk()
        for names in (self.folders, _OF_VOC) if self.folders == _USUAL else (self.folders,):
            images, masks = (disk.find(folder / name) for name in names)
            if images and masks and os.path.isdir(images) and os.path.isdir(masks):
                return Path(images), Path(masks)
        return None

    def _nothing(self) -> str:
        """What is the matter with a root that holds no pairs."""
        masks = OnDisk().find(self.root / _OF_VOC[1])
        if masks is not None and self.folders == _USUAL:
            return (
                f"{Path(masks).absolute()} has masks and there is no {_OF_VOC[0]} beside it: export the "
                f"pictures, too (in CVAT 'Save images'), or put them into {_OF_VOC[0]}"
            )
        if any(_BRUSH.fullmatch(os.path.basename(path)) for path in pictures_below(self.root)):
            return (
                "it holds Label Studio's brush masks, one for each class and without pictures; join those of "
                "a picture into one mask that has its name and the numbers of the classes, and put it into "
                "masks/, the pictures into images/"
            )
        return f"there is no {(self.root / self.folders[0]).absolute()}, and no folder or list of a split"

    def _matched(self, images: Path, masks: Path, suffix: str) -> Pairs:
        pictures = self._by_name(images, "", but=suffix if images == masks else "")
        if not pictures:
            raise self.problem(f"{images.absolute()} holds no pictures ({' '.join(EXTENSIONS)})")
        found = self._by_name(masks, suffix, told=images != masks)
        named = Named(found, extensions=False)
        own = {
            name: named.find(name) or named.find(f"{name}{path.suffix}") for name, path in pictures.items()
        }
        if missing := [pictures[name] for name, masks_of in own.items() if len(masks_of) != 1]:
            raise self.problem(
                f"{len(missing)} ({some(missing, NAMED)}) of {len(pictures)} pictures have no mask in "
                f"{masks.absolute()}; {missing[0].name} needs {missing[0].stem}{suffix}.png "
                f"(data.mask_suffix{self._other_suffix(missing[0].stem, found)})"
            )
        if len({names[0] for names in own.values()}) < len(own):
            raise self.problem(f"two pictures of {images.absolute()} have one mask in {masks.absolute()}")
        unused = set(found) - {names[0] for names in own.values()}
        if unused:
            log.warning(
                "data: %d masks in %s are of no picture, not read: %s",
                *(len(unused), masks, some(sorted(str(found[name]) for name in unused), NAMED)),
            )
        return Pairs.of((path, found[own[name][0]]) for name, path in pictures.items())

    def _elsewhere(self, folder: Path, pictures: Mapping[str, Path]) -> str:
        """Where masks may lie instead, for an error; empty where nothing is called as the pictures are."""
        for name in subfolders(folder):
            if name == self.folders[0]:
                continue
            there = Named(os.path.relpath(path, folder / name) for path in pictures_below(folder / name))
            if pictures and all(there.find(own) for own in list(pictures)[:NAMED]):
                return f"; {name}/ has pictures of the same names: data.masks={name}"
        return ""

    def _other_suffix(self, stem: str, masks: Mapping[str, Path]) -> str:
        """What the mask of a picture has after its name, for an error."""
        longer = [Path(name).name for name in masks if Path(name).name.startswith(stem)]
        return f"={longer[0].removeprefix(stem)}" if len(longer) == 1 else ""

    def _by_name(self, folder: Path, suffix: str, but: str = "", told: bool = True) -> dict[str, Path]:
        """Path below ``folder`` without ``suffix`` and extension, in one spelling, to file; sorted.

        Args:
            but: without those whose names end so.
            told: whether files that are no pictures are.
        """
        found: dict[str, Path] = {}
        others: list[str] = []
        for path in map(Path, sorted(pictures_below(folder, others=others), key=os.path.split)):
            if not path.stem.endswith(suffix) or (but and path.stem.endswith(but)):
                continue
            stem = alike(str(path.relative_to(folder).with_suffix("")).removesuffix(suffix))
            if stem in found:
                raise self.problem(f"{path} and {found[stem].name} have the same name; remove one of them")
            found[stem] = path
        if told:
            self.tell_others([path for path in others if os.path.basename(path) not in CLASS_FILES])
        return found
