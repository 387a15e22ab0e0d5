"""Published sets laid out as a person's own folders, with pictures to learn from and pictures to test on.

Each function fills a new folder from a published one and leaves that as it is. No validation pictures are set
apart: the data sets draw them from the training pictures.
"""

import csv
import os
import random
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from vision_apps.data.labels.cifar import CIFAR10

UCM_CLASSES = (
    "agricultural airplane baseballdiamond beach buildings chaparral denseresidential forest freeway "
    "golfcourse harbor intersection mediumresidential mobilehomepark overpass parkinglot river runway "
    "sparseresidential storagetanks tenniscourt"
).split()
UCM_PER_CLASS, UCM_FIRST_TESTED = 100, 70
CAMVID_CLASSES = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist".split()
_VOID = 255  # of mask folders: not counted
_LEAST_OF_A_CLASS = 5  # pictures, before a small folder has one more class
Write = Callable[[Path], None]
Item = TypeVar("Item", int, str, Path, list[str])


def once(to: Path, write: Write) -> Path:
    """``to``, which ``write`` fills where it is not there yet: as a whole or not at all."""
    if not to.is_dir():
        to.parent.mkdir(parents=True, exist_ok=True)
        begun = to.with_name(f".{to.name}.{os.getpid()}")
        try:
            begun.mkdir()
            write(begun)
            begun.rename(to)
        finally:
            shutil.rmtree(begun, ignore_errors=True)
    return to


def bccd(source: Path, to: Path) -> None:
    """A VOC folder with the published lists: ``trainval``, 292 pictures, and ``test``, 72.

    Args:
        source: has ``Annotations``, ``JPEGImages`` and ``ImageSets/Main``.
    """
    _copy_voc(source, to, _lists(source))


def caltech3(source: Path, to: Path) -> None:
    """Pictures with ``train.csv`` and ``test.csv``; every fifth picture of each class is tested on.

    Args:
        source: has ``annotations/<class>.csv`` with lines ``filename,x0,y0,x1,y1,class``, and
            ``images/<class>/``.
    """
    splits: dict[str, list[list[str]]] = {"train": [], "test": []}
    for file in _some((source / "annotations").glob("*.csv"), source, "annotations/<class>.csv"):
        for number, (name, *box, label) in enumerate(_rows(file)):
            _copy(source / "images" / label / name, to / "images" / label)
            splits["test" if number % 5 == 4 else "train"].append([f"{label}/{name}", *box, label])
    _write_csv(to, splits)


def camvid(source: Path, to: Path) -> None:
    """Folders of pictures and masks: SegNet's training and validation frames together, 468, and its 233 test
    frames. Unlabelled pixels are 255, as a mask folder has it.

    Args:
        source: has ``train``, ``trainannot`` and so on for ``val`` and ``test``.
    """
    for split, folder in (("train", "train"), ("val", "train"), ("test", "test")):
        for picture in _some((source / split).iterdir(), source, f"{split}/<frame>"):
            _copy(picture, to / folder / "images")
            with Image.open(_there(source / f"{split}annot" / f"{picture.stem}.png")) as image:
                mask = np.array(image)
            mask[mask >= len(CAMVID_CLASSES)] = _VOID
            _save(mask, to / folder / "masks" / f"{picture.stem}.png")
    (to / "classes.txt").write_text("\n".join(CAMVID_CLASSES) + "\n", encoding="utf-8")


def ucm(source: Path, to: Path, per_class: int) -> None:
    """Aerial pictures by class, in an order that is drawn once for all classes: the first ``per_class`` of
    each to learn from, and the last 30 to test on, 630. In the published order pictures are like their
    neighbours: with 50 a class a logistic regression on frozen features has 0.87 there and 0.96 here.

    Args:
        source: the published folder with ``Images/<class>/<class>00.tif`` and so on; or that of its captions
            with ``imgs/1.jpg`` to ``imgs/2100.jpg``, which are the classes in order, 100 pictures each.
    """
    if not 0 < per_class <= UCM_FIRST_TESTED:
        raise ValueError(f"per_class: expected 1 to {UCM_FIRST_TESTED}, not {per_class}")
    for row, label in enumerate(UCM_CLASSES):
        order = mixed(range(UCM_PER_CLASS))
        for place in (*range(per_class), *range(UCM_FIRST_TESTED, UCM_PER_CLASS)):
            number = order[place]
            picture = source / "Images" / label / f"{label}{number:02d}.tif"
            if not (source / "Images").is_dir():
                picture = source / "imgs" / f"{row * UCM_PER_CLASS + number + 1}.jpg"
            _copy(picture, to / ("train" if place < per_class else "test") / label)


def cifar(source: Path, to: Path, per_class: int, tested: int = 1000) -> None:
    """Photographs of 32 px by class: the first ``per_class`` training pictures of each class, and the first
    ``tested`` test pictures of all.

    Args:
        source: has ``cifar-10-batches-py``.
    """
    data = CIFAR10(str(source))
    if missing := data.missing():
        raise FileNotFoundError(f"{data.directory} has no {', '.join(missing)}")
    for split, most in (("train", None), ("test", tested)):
        images, labels = data.read(split).values()  # type: ignore[arg-type]
        found = dict.fromkeys(data.names, 0)
        for number, row in enumerate(labels.tolist()[:most]):
            name = data.names[row]
            found[name] += 1
            if split == "test" or found[name] <= per_class:
                _save(images[number].permute(1, 2, 0).numpy(), to / split / name / f"{number:05d}.png")


def few_photos(whole: Path, to: Path, number: int, seed: int) -> None:
    """``number`` training pictures of a folder by class, the classes in turn, and all test pictures of these
    classes: of so many that each has five pictures, and at least of two. Which, the ``seed`` draws."""
    classes = sorted(path.name for path in (whole / "train").iterdir())
    classes = sorted(mixed(classes, seed)[: classes_of(number, len(classes))])
    every = {label: mixed((whole / "train" / label).iterdir(), seed) for label in classes}
    for picture in in_turn(every)[:number]:
        _copy(picture, to / "train" / picture.parent.name)
    for label in classes:
        for picture in (whole / "test" / label).iterdir():
            _copy(picture, to / "test" / label)


def classes_of(number: int, most: int) -> int:
    """How many classes ``number`` pictures are of, where there are ``most``."""
    return min(most, max(2, number // _LEAST_OF_A_CLASS))


def few_csv(whole: Path, to: Path, number: int, seed: int) -> None:
    """``number`` training pictures of `caltech3`, which the ``seed`` draws, the classes in turn, and all test
    pictures."""
    every: dict[str, list[list[str]]] = {}
    for row in _rows(whole / "annotations/train.csv"):
        every.setdefault(row[-1], []).append(row)
    splits = {
        "train": in_turn({label: mixed(rows, seed) for label, rows in every.items()})[:number],
        "test": _rows(whole / "annotations/test.csv"),
    }
    for row in (row for rows in splits.values() for row in rows):
        _copy(whole / "images" / row[0], (to / "images" / row[0]).parent)
    _write_csv(to, splits)


def few_voc(whole: Path, to: Path, number: int, seed: int) -> None:
    """``number`` training pictures of `bccd`, which the ``seed`` draws, and all test pictures."""
    lists = _lists(whole)
    _copy_voc(whole, to, lists | {"trainval": mixed(lists["trainval"], seed)[:number]})


def few_masks(whole: Path, to: Path, number: int, seed: int) -> None:
    """``number`` training pictures of `camvid`, which the ``seed`` draws, and all test pictures."""
    kept = {path.stem for path in mixed((whole / "train/images").iterdir(), seed)[:number]}
    for split in ("train", "test"):
        for folder in ("images", "masks"):
            for path in (whole / split / folder).iterdir():
                if split == "test" or path.stem in kept:
                    _copy(path, to / split / folder)
    _copy(whole / "classes.txt", to)


def mixed(items: Iterable[Item], seed: int = 0) -> list[Item]:
    """In an order that only depends on what there is, and the seed: the first n are among the first n + 1."""
    found = sorted(items)
    random.Random(seed).shuffle(found)
    return found


def in_turn(groups: Mapping[str, Sequence[Item]]) -> list[Item]:
    """The first of each group, then the second of each that has one, and so on."""
    longest = max(map(len, groups.values()))
    return [items[place] for place in range(longest) for items in groups.values() if place < len(items)]


def _lists(source: Path) -> dict[str, list[str]]:
    files = {name: source / "ImageSets/Main" / f"{name}.txt" for name in ("trainval", "test")}
    return {name: _there(file).read_text(encoding="utf-8").split() for name, file in files.items()}


def _copy_voc(source: Path, to: Path, lists: Mapping[str, Sequence[str]]) -> None:
    (to / "ImageSets/Main").mkdir(parents=True)
    for split, names in lists.items():
        (to / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(sorted(names)) + "\n", encoding="utf-8")
        for name in names:
            if (file := source / "Annotations" / f"{name}.xml").is_file():  # none: no objects
                _copy(file, to / "Annotations")
            _copy(source / "JPEGImages" / f"{name}.jpg", to / "JPEGImages")


def _write_csv(to: Path, splits: Mapping[str, Iterable[Sequence[str]]]) -> None:
    (to / "annotations").mkdir()
    for split, rows in splits.items():
        with open(to / "annotations" / f"{split}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)


def _rows(file: Path) -> list[list[str]]:
    with open(_there(file), encoding="utf-8", newline="") as lines:
        return [row for row in csv.reader(lines) if row]


def _some(paths: Iterable[Path], source: Path, what: str) -> list[Path]:
    try:
        found = sorted(paths)
    except FileNotFoundError:
        found = []
    if not found:
        raise FileNotFoundError(f"{source} has no {what}")
    return found


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    return path


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / file.name).exists():
        raise FileExistsError(f"{file}: another file of this name is in {folder} already")
    shutil.copyfile(_there(file), folder / file.name)


def _save(pixels: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
