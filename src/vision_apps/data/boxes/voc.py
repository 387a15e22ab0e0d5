"""Boxes in PASCAL VOC's XML (Everingham et al. 2010): any such folder, the public VOC 2007 and 2012, and how
predictions are written.

The files are parsed without entities: one with a document type is refused. ``difficult`` objects are ignored.
VOC itself counts pixels from 1 and its second corner is part of the object (``one_based``): x1 - 1, y1 - 1,
x2, y2 are our corners. Most tools that export to its format write plain coordinates.
"""

import os
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from vision_apps.core.data import Split
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.spelling import alike
from vision_apps.data import public
from vision_apps.data.boxes.annotation import Annotated, Annotation, annotation, label_of
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.fakes import CLASS_NAMES, fake_pictures
from vision_apps.data.boxes.voc_layout import Pair, Pairs, lists, places, tell
from vision_apps.data.on_disk import pictures_below, subfolders
from vision_apps.data.public import VOC_CLASSES
from vision_apps.data.text import numbered_lines


class Parsed:
    """An annotation file: the picture's size (0 where it does not say), and its objects."""

    def __init__(self, file: Path, one_based: bool) -> None:
        root = _parse(file)
        self.file = file
        self.filename = (root.findtext("filename") or "").strip()
        self.folder = (root.findtext("folder") or "").strip()
        self.height, self.width = (
            _number(root.findtext(f"size/{name}") or "0", f"size/{name}", file)
            for name in ("height", "width")
        )
        self.names: list[str] = []
        self.boxes: list[list[float]] = []
        self.difficult: list[bool] = []
        for number, found in enumerate(root.iter("object")):
            name = (found.findtext("name") or "").strip()
            if not name:
                raise DataError(f"{file}: object {number} has no <name>")
            corners = [found.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
            if None in corners:
                raise DataError(f"{file}: object {number} has no <bndbox> with xmin, ymin, xmax, ymax")
            x1, y1, x2, y2 = (_number(corner or "", "bndbox", file) for corner in corners)
            self.names.append(alike(name))
            self.boxes.append([x1 - one_based, y1 - one_based, x2, y2])
            self.difficult.append((found.findtext("difficult") or "0").strip() == "1")


class _Plain(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise ValueError("it declares a document type, which can hold entities; not read")


def _parse(file: Path) -> ET.Element:
    try:
        return ET.fromstring(file.read_bytes(), ET.XMLParser(target=_Plain()))
    except (OSError, ET.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{file}: cannot be read as XML: {error}") from error


def _number(text: str, what: str, file: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{file}: expected numbers in <{what}>, found {text!r}") from None


class VocFolder(BoxData):
    """Boxes in VOC's XML: ``root/Annotations/*.xml`` with pictures of the same names in ``JPEGImages`` or
    ``images``; or XML files beside their pictures, in ``root`` or in folders of splits.

    Splits are the folders, or the lists in ``ImageSets/Main``; one without any is held out of the training
    pictures, and without any list all pictures are for training. A picture without an XML file has no
    objects, which is told.

    Args:
        classes: names in the order of their numbers; by default those in the files, sorted.
        annotations, images: the folders of the XML files and of the pictures.
        one_based: pixels count from 1 and the second corner belongs to the object, as in VOC itself.
    """

    title = "VOC annotations"
    layout = (
        "root/Annotations/*.xml and root/JPEGImages/*.jpg (or root/images), with lists of names in "
        "root/ImageSets/Main/{train,val,test}.txt where the splits are given; or XML files beside their "
        "pictures in root or root/{train,val,test}"
    )

    def __init__(
        self,
        root: str,
        *,
        classes: Sequence[str] | None = None,
        annotations: str = "Annotations",
        images: str | None = None,
        one_based: bool = False,
        **boxes: Any,
    ) -> None:
        super().__init__(root, **boxes)
        self.folders = (annotations, images)
        self._read: dict[Path, Parsed] = {}  # files that were opened
        self.classes = list(classes) if classes is not None else None
        if self.classes is not None and (not self.classes or len(set(self.classes)) < len(self.classes)):
            raise ConfigError(f"data.classes: expected different names, not {self.classes}")
        self.one_based = one_based

    def read(self) -> Annotated:
        found = places(self.root, self.folders[0], self.folders[1])
        if not found:
            raise self.problem(self._no_files(self.root))
        listed = lists(self.root) if set(found) == {"train"} else {}
        if listed and "train" not in listed:
            raise self.problem("ImageSets/Main has neither train.txt nor trainval.txt")
        if listed:
            pairs = Pairs(found["train"], self._filename)
            self.tell_others(pairs.others)
            splits = {split: self._listed(pairs, file) for split, file in listed.items()}
            pairs.tell_unlisted(pair for own in splits.values() for pair in own)
            return self._annotated(splits)
        of_split = {split: Pairs(place, self._filename) for split, place in found.items()}
        self.tell_others([path for pairs in of_split.values() for path in pairs.others])
        return self._annotated({split: pairs.every for split, pairs in of_split.items()})

    def _no_files(self, folder: Path) -> str:
        """What is said where there are no XML files in the folder that should have them."""
        wanted = (folder / self.folders[0]).absolute()
        others = [name for name in subfolders(folder) if any(pictures_below(folder / name, (".xml",)))]
        if wanted.is_dir():
            return f"{wanted} holds no XML files"
        hint = f"; {others[0]}/ has some: data.annotations={others[0]}" if others else ""
        return f"there is no folder {wanted}{hint}"

    def _filename(self, file: Path) -> str:
        parsed = self._parsed(file)
        return f"{parsed.folder}/{parsed.filename}" if parsed.folder and parsed.filename else parsed.filename

    def _parsed(self, file: Path) -> Parsed:
        if file not in self._read:
            self._read[file] = Parsed(file, self.one_based)
        return self._read[file]

    def _listed(self, pairs: Pairs, file: Path) -> list[Pair]:
        """The pairs that a list names."""
        found = []
        for line in read_list(file, self.encoding):
            pair = pairs.of(line)
            if pair is None:
                name = line.split()[0]
                xml = pairs.place.files / f"{name}.xml"
                raise self.problem(
                    f"{name!r} is listed and has neither {xml} nor a picture in {pairs.place.pictures}"
                )
            found.append(pair)
        return found

    def _annotated(self, splits: Mapping[Split, Sequence[Pair]]) -> Annotated:
        every = [pair for own in splits.values() for pair in own]
        tell([(pair, self._filename(pair.file) if pair.file else "") for pair in every])
        files = [pair.file for pair in every if pair.file]
        names = self.classes or sorted({name for file in files for name in self._parsed(file).names})
        if not names:
            raise self.problem(
                "no file names an object, so there are no classes; data.classes=[a,b] lists them"
            )
        return Annotated(
            names,
            {split: [self._picture(pair, names) for pair in own] for split, own in splits.items()},
        )

    def _picture(self, pair: Pair, names: Sequence[str]) -> Annotation:
        path, name = pair.picture, Path(pair.picture).stem
        if pair.file is None:
            return annotation(path, (0, 0), [], [], image_id=name, source=path)
        parsed = self._parsed(pair.file)
        size = (int(parsed.height), int(parsed.width))
        labels = [label_of(own, names, parsed.file) for own in parsed.names]
        return annotation(
            path, size, parsed.boxes, labels, parsed.difficult, image_id=name, source=parsed.file
        )

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """A folder with lists of all splits; a picture without objects has no XML file."""
        _write_fake(root, {"train": 12, "val": 6, "test": 6}, CLASS_NAMES, size, one_based=False)
        return {"root": str(root), "image_size": size}


class Voc(VocFolder):
    """PASCAL VOC 2007 and 2012, 20 classes.

    ``2007`` has official lists of all splits. The test annotations of ``2012`` are not public: its val is the
    test split, and ``val_fraction`` of its train is held out. ``07+12`` trains on trainval of both, less
    ``val_fraction``, and tests on 2007.

    Args:
        root: the folder that holds ``VOCdevkit``.
        year: ``2007``, ``2012`` or ``07+12``.
        download: fetch and unpack the official archives of the year when they are not there.
    """

    title = "PASCAL VOC"
    layout = "root/VOCdevkit/VOC{2007,2012}/{Annotations,JPEGImages,ImageSets/Main}"
    remedy = public.remedy("2007: 440 + 430 MB, 2012: 1,910 MB")

    def __init__(
        self,
        root: str,
        *,
        year: Literal[2007, 2012, "07+12"] = 2007,
        download: bool = False,
        **boxes: Any,
    ) -> None:
        super().__init__(root, classes=VOC_CLASSES, one_based=True, **boxes)
        self.year = year
        self.download = download

    @property
    def lists(self) -> list[tuple[Split, str, str]]:
        """Split, year and list of each part of the data."""
        if self.year == 2007:
            return [("train", "2007", "train"), ("val", "2007", "val"), ("test", "2007", "test")]
        if self.year == 2012:
            return [("train", "2012", "train"), ("test", "2012", "val")]
        return [("train", "2007", "trainval"), ("train", "2012", "trainval"), ("test", "2007", "test")]

    def _devkit(self, year: str) -> Path:
        return self.root / "VOCdevkit" / f"VOC{year}"

    def _missing(self) -> list[Path]:
        files = [self._devkit(year) / "ImageSets" / "Main" / f"{name}.txt" for _, year, name in self.lists]
        return [file for file in files if not file.is_file()]

    def prepare_data(self) -> None:
        if self.download and self._missing():
            wanted = {"2007-test" if part[1:] == ("2007", "test") else part[1] for part in self.lists}
            public.fetch_voc(sorted(wanted), self.root)
        if missing := self._missing():
            raise self.problem(f"there is no {', '.join(str(file) for file in missing)}")
        super().prepare_data()

    def read(self) -> Annotated:
        splits: dict[Split, list[Pair]] = {}
        for split, year, name in self.lists:
            found = places(self._devkit(year), *self.folders)
            if not found:
                raise self.problem(self._no_files(self._devkit(year)))
            file = self._devkit(year) / "ImageSets" / "Main" / f"{name}.txt"
            splits.setdefault(split, []).extend(self._listed(Pairs(found["train"], self._filename), file))
        return self._annotated(splits)

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        for seed, year in enumerate(("2007", "2012")):
            counts = {"train": 12, "val": 6} | ({"test": 6} if year == "2007" else {})
            folder = root / "VOCdevkit" / f"VOC{year}"
            _write_fake(folder, counts, VOC_CLASSES[:2], size, one_based=True, seed=10 * seed)
        return {"root": str(root), "image_size": size}


def read_list(file: Path, encoding: str | None = None) -> list[str]:
    """The lines of a list: a name each, after which lists of one class have a column more (-1, 0, 1)."""
    return [line for _, line in numbered_lines(file, encoding)]


def to_xml(
    file: str,
    width: int,
    height: int,
    objects: Iterable[Mapping[str, Any]],
    *,
    one_based: bool = False,
) -> bytes:
    """The objects of one picture as a VOC annotation file, to hundredths of a pixel. Elements that readers
    ask for, and of which nothing is known, have the values that say so: not segmented, no pose specified.

    Args:
        objects: each with ``class`` (a name), ``box`` (x1, y1, x2, y2 in pixels) and, where there are,
            ``score`` and ``ignored``.
        one_based: pixels count from 1 and the second corner belongs to the object, as in VOC itself.
    """
    root = ET.Element("annotation")
    folder, name = os.path.split(file)
    if os.path.basename(folder):
        ET.SubElement(root, "folder").text = os.path.basename(folder)
    ET.SubElement(root, "filename").text = name
    size = ET.SubElement(root, "size")
    for key, value in (("width", width), ("height", height), ("depth", 3)):
        ET.SubElement(size, key).text = str(value)
    ET.SubElement(root, "segmented").text = "0"
    for found in objects:
        node = ET.SubElement(root, "object")
        ET.SubElement(node, "name").text = found["class"]
        ET.SubElement(node, "pose").text = "Unspecified"
        ET.SubElement(node, "truncated").text = "0"
        ET.SubElement(node, "difficult").text = str(int(found.get("ignored", False)))
        if "score" in found:
            ET.SubElement(node, "score").text = str(found["score"])
        box = ET.SubElement(node, "bndbox")
        x1, y1, x2, y2 = found["box"]
        corners = (x1 + one_based, y1 + one_based, x2, y2)
        for key, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            ET.SubElement(box, key).text = f"{round(corner, 2):g}" if abs(corner) < 1e4 else f"{corner:.2f}"
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8")
    return content + b"\n"


def _write_fake(
    folder: Path,
    counts: Mapping[str, int],
    class_names: Sequence[str],
    size: int,
    *,
    one_based: bool,
    seed: int = 0,
) -> None:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    listed: dict[str, list[str]] = {}
    for shift, (split, count) in enumerate(counts.items()):
        listed[split] = [f"{seed + shift:02d}{number:04d}" for number in range(count)]
        for name, picture in zip(listed[split], fake_pictures(count, size, seed + shift), strict=True):
            picture.image.save(folder / "JPEGImages" / f"{name}.jpg")
            if picture.labels:
                objects = picture.objects(class_names)
                content = to_xml(f"{name}.jpg", *picture.image.size, objects, one_based=one_based)
                (folder / "Annotations" / f"{name}.xml").write_bytes(content)
    listed["trainval"] = listed["train"] + listed["val"]
    for split, names in listed.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
