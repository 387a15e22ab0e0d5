"""The published sets as folders of small pictures, on which a run takes a minute or a few.

Each function fills a new folder from a published one, as those of `prepare` do, with pictures of at most
128 px: whoever has pictures of that size meets the same defaults.
"""

import csv
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import prepare
from PIL import Image

from vision_apps.data.boxes.voc import to_xml

SIDE = 96  # px, the longest of a picture
TEST_OF_A_CLASS = 80  # pictures of objects
_STRIPS = 3  # of a frame, one beside the other
_STRIP = (56, 128)  # px, width and height of each


def ucm(source: Path, to: Path) -> None:
    """Aerial pictures by class: 70 of each class to learn from and 30 to test on (`prepare.ucm`)."""
    with tempfile.TemporaryDirectory() as folder:
        prepare.ucm(source, whole := Path(folder), prepare.UCM_FIRST_TESTED)
        for picture in sorted(whole.glob("*/*/*")):
            _shrink(picture, to / picture.relative_to(whole).with_suffix(".jpg"))


def boxes(source: Path, to: Path) -> None:
    """`prepare.caltech3` as CSV files: 1,627 pictures to learn from, and of each class the first 80 to test
    on."""
    (to / "annotations").mkdir()
    for split, rows in _located(source, to / "images").items():
        with open(to / "annotations" / f"{split}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [row.name, *(f"{at:.2f}" for at in row.box), row.label] for row in rows
            )


def objects(source: Path, to: Path) -> None:
    """The pictures of `boxes` as a VOC folder: the objects are to be found."""
    for folder in ("Annotations", "ImageSets/Main"):
        (to / folder).mkdir(parents=True)
    for split, rows in _located(source, to / "JPEGImages").items():
        for row in rows:
            with Image.open(to / "JPEGImages" / row.name) as image:
                content = to_xml(row.name, *image.size, [{"class": row.label, "box": row.box}])
            (to / "Annotations" / row.name).with_suffix(".xml").write_bytes(content)
        listed = to / "ImageSets/Main" / ("trainval.txt" if split == "train" else "test.txt")
        listed.write_text("".join(f"{Path(row.name).stem}\n" for row in rows), encoding="utf-8")


def strips(source: Path, to: Path) -> None:
    """`prepare.camvid` in upright strips: of each frame to learn from three, 1,404 together, and of each test
    frame one, the left, the middle and the right in turn."""
    with tempfile.TemporaryDirectory() as folder:
        prepare.camvid(source, whole := Path(folder))
        for split in ("train", "test"):
            for number, picture in enumerate(sorted((whole / split / "images").iterdir())):
                of = range(_STRIPS) if split == "train" else [number % _STRIPS]
                mask = whole / split / "masks" / f"{picture.stem}.png"
                for kind, file in (("images", picture), ("masks", mask)):
                    (to / split / kind).mkdir(parents=True, exist_ok=True)
                    for place in of:
                        _strip(file, place).save(to / split / kind / f"{picture.stem}-{place}.png")
        (to / "classes.txt").write_text((whole / "classes.txt").read_text(encoding="utf-8"), encoding="utf-8")


class Located(NamedTuple):
    """A picture with one object."""

    name: str
    box: tuple[float, ...]  # x0, y0, x1, y1 in px
    label: str


def _located(source: Path, images: Path) -> dict[str, list[Located]]:
    """The rows of `prepare.caltech3` by split, their pictures shrunk into ``images``."""
    found: dict[str, list[Located]] = {"train": [], "test": []}
    with tempfile.TemporaryDirectory() as folder:
        prepare.caltech3(source, whole := Path(folder))
        for split, rows in found.items():
            of_class: Counter[str] = Counter()
            with open(whole / "annotations" / f"{split}.csv", encoding="utf-8", newline="") as lines:
                for name, *corners, label in csv.reader(lines):
                    of_class[label] += 1
                    if split == "train" or of_class[label] <= TEST_OF_A_CLASS:
                        own = name.replace("/", "-")
                        scale = _shrink(whole / "images" / name, images / own)
                        rows.append(Located(own, tuple(scale * float(at) for at in corners), label))
    return found


def _shrink(picture: Path, to: Path) -> float:
    """Save a picture with its longest side at `SIDE`; returns the scale."""
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    scale = SIDE / max(image.size)
    to.parent.mkdir(parents=True, exist_ok=True)
    image.resize((round(scale * image.width), round(scale * image.height)), Image.Resampling.LANCZOS).save(
        to, quality=95
    )
    return scale


def _strip(file: Path, place: int) -> Image.Image:
    """The strip at ``place``, from the left, of a picture or, by its nearest pixels, of a mask."""
    with Image.open(file) as image:
        width, height = image.size
        left, right = (width * edge // _STRIPS for edge in (place, place + 1))
        how = Image.Resampling.NEAREST if image.mode in "LP" else Image.Resampling.LANCZOS
        return image.crop((left, 0, right, height)).resize(_STRIP, how)
