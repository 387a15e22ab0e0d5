"""Two hundred data sets as people have them: each is read right or refused by name, none silently wrong."""

import logging
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import variant_boxes as of_boxes
import variant_others as others
from variant_pictures import Variant, draw, link_folders, litter, save, seen

from vision_apps.core.errors import UserError
from vision_apps.data.boxes.coco import CocoJson
from vision_apps.data.boxes.csv import BoxCsv
from vision_apps.data.boxes.voc import VocFolder
from vision_apps.data.boxes.yolo import YoloFolder
from vision_apps.data.captions.table import CaptionTableFiles
from vision_apps.data.images import read_image
from vision_apps.data.labels.folder import ImageFolder
from vision_apps.data.labels.multi_label import MultiLabelCsv
from vision_apps.data.masks.coding import read_mask
from vision_apps.data.masks.folder import MaskFolder
from vision_apps.data.questions.rows import QuestionRows

COUNT = 200


class Batch(NamedTuple):
    """What every application asks for."""

    images: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor
    box_labels: torch.Tensor
    masks: torch.Tensor
    multi_hot: torch.Tensor
    captions: torch.Tensor
    questions: torch.Tensor


class Format(NamedTuple):
    write: Any
    data: Any
    layouts: tuple[str, ...]
    faults: tuple[str, ...]
    words: dict[str, tuple[str, str]]  # of a fault: what is expected, and the words of it


MISSING = ("refused", "not there")
FORMATS = {
    "folder": Format(others.folder, ImageFolder, others.FOLDER, ("stray file", "wrapped", "loose"), {}),
    "yolo": Format(
        of_boxes.yolo,
        YoloFolder,
        of_boxes.YOLO,
        ("lost label", "stray label", "stray file", "wrapped", "raw", "upright", "undeclared", "latin"),
        {
            "lost label": ("told", r"1 of \d+ pictures have no text file"),
            "stray label": ("told", "1 text files are of no picture"),
            "undeclared": ("told", "turned by their EXIF orientation"),
        },
    ),
    "voc": Format(
        of_boxes.voc,
        VocFolder,
        of_boxes.VOC,
        ("lost picture", "lost label", "stray label", "stray file", "wrapped", "raw", "upright"),
        {
            "lost picture": ("refused", r"not there|have no XML file|is listed and has neither"),
            "lost label": ("told", r"1 of \d+ pictures have no XML file"),
            "stray label": ("refused", "gone.jpg.* not there"),
        },
    ),
    "coco": Format(
        of_boxes.coco,
        CocoJson,
        of_boxes.COCO,
        ("lost picture", "lost label", "stray file", "wrapped", "raw", "upright"),
        {"lost picture": MISSING, "lost label": ("told", "1 lie beside those that are used")},
    ),
    "csv": Format(
        of_boxes.boxes_csv,
        BoxCsv,
        of_boxes.CSV,
        ("lost picture", "lost label", "wrapped", "latin"),
        {"lost picture": MISSING, "lost label": ("told", "1 lie beside those that are used")},
    ),
    "masks": Format(
        others.masks,
        MaskFolder,
        others.MASKS,
        ("lost picture", "lost label", "stray file", "wrapped"),
        {
            "lost picture": ("told", r"1 masks in .* are of no picture|are not there"),
            "lost label": ("refused", r"1 \(.*\) of \d+ pictures have no mask|are not there"),
        },
    ),
    "multi": Format(
        others.multi,
        MultiLabelCsv,
        others.MULTI,
        ("lost picture", "lost label", "wrapped", "latin"),
        {"lost picture": MISSING, "lost label": ("told", "1 lie beside those that are used")},
    ),
    "captions": Format(
        others.captions,
        CaptionTableFiles,
        others.CAPTIONS,
        ("lost picture", "lost label", "wrapped", "latin"),
        {"lost picture": MISSING, "lost label": ("told", "1 lie beside those that are used")},
    ),
    "questions": Format(
        others.questions,
        QuestionRows,
        others.QUESTIONS,
        ("lost picture", "lost label", "wrapped", "latin"),
        {"lost picture": MISSING, "lost label": ("told", "1 lie beside those that are used")},
    ),
}


def variant_of(number: int) -> Variant:
    """The variant with this number, with at most one fault, and what has to become of it."""
    variant = draw(number, tuple(FORMATS))
    kind = FORMATS[variant.kind]
    step, steps = number // len(FORMATS), COUNT // len(FORMATS)
    variant.layout = kind.layouts[step] if step < len(kind.layouts) else variant.rng.choice(kind.layouts)
    if step >= steps - len(kind.faults):  # each once at least
        variant.fault = kind.faults[step - steps]
    elif variant.rng.random() < 0.3:
        variant.fault = variant.rng.choice(kind.faults)
    fault = variant.fault
    if fault in kind.words:
        variant.expected, variant.words = kind.words[fault]
    if (variant.kind, variant.layout, fault) == ("masks", "lists", "lost picture"):
        variant.expected, variant.words = MISSING
    if (variant.kind, variant.layout, fault) == ("voc", "lists", "stray label"):
        variant.expected, variant.words = "told", r"1 XML files .*stray\.xml"
    if fault == "stray file":
        variant.expected, variant.words = "told", r"left out 1 file that are no pictures \(\.psd 1\)"
    if fault == "wrapped":
        variant.expected, variant.words = "refused", r"data\.root=.*inner"
    if fault == "loose":
        variant.expected, variant.words = "told", "left out 1 pictures that lie in"
    if fault == "latin":
        variant.style, variant.encoding = "accents", "latin-1"
        variant.layout = "lists" if variant.kind == "yolo" else variant.layout  # others hold no names
        if variant.rng.random() < 0.5:
            variant.options["encoding"] = "latin-1"
        else:
            variant.expected, variant.words = "refused", r"expected UTF-8 text.*data\.encoding=latin-1"
    if fault in ("raw", "upright", "undeclared"):
        variant.turned = "upright" if fault == "upright" else "raw"
        variant.options |= {} if fault == "undeclared" else {"labels_on": fault}
    if fault.startswith("lost"):
        variant.lost = {variant.pictures[0].name}
    return variant


def rework(variant: Variant) -> None:
    """Names that all layouts can hold."""
    if variant.fault == "latin":
        for n, shown in enumerate(variant.pictures):
            shown.name, shown.file = f"Bär {n}", f"Bär {n}.png"
    if variant.turned:  # formats of which Pillow writes the tag as it is
        for shown in variant.pictures:
            shown.file = f"{shown.name}.jpg"


def write(root: Path, variant: Variant) -> Path:
    kind = FORMATS[variant.kind]
    rework(variant)
    kind.write(root, variant)
    first = variant.pictures[0]
    everywhere = [path for path in root.rglob("*") if path.is_file()]
    picture = next(path for path in everywhere if path.name == first.file)
    if variant.fault == "lost picture":
        picture.unlink()
    if variant.fault == "lost label" and variant.kind in ("yolo", "voc", "masks"):
        endings = {"yolo": (".txt",), "voc": (".xml",), "masks": (".png",)}[variant.kind]
        label = next(
            path
            for path in everywhere
            if path != picture
            and path.suffix.lower() in endings
            and re.match(re.escape(first.name) + r"(\W|_seg|$)|0_labels", path.stem)
        )
        label.unlink()
    if variant.fault == "stray label":
        label = next(
            path
            for path in everywhere
            if path.stem in (first.name, first.file, "0_labels") and path != picture
        )
        (label.parent / f"stray{label.suffix}").write_bytes(
            re.sub(b"<filename>.*</filename>", b"<filename>gone.jpg</filename>", label.read_bytes())
        )
    if variant.fault == "stray file":
        (picture.parent / "drawing.psd").write_bytes(b"8BPS")
    if variant.fault == "loose":
        save(picture.parent.parent / "loose.png", first)
    if variant.rng.random() < 0.5:
        litter(root)
    if variant.rng.random() < 0.4:
        link_folders(root, root.parent / "away")
    if variant.fault == "wrapped":
        outer = root.parent / "outer"
        outer.mkdir()
        root.rename(outer / "inner")
        return outer
    return root


def read(data: Any) -> Iterator[tuple[str, str, tuple[int, ...] | None]]:
    """Of each picture its path, its class, and its box where the format says one."""
    for split in ("train", "val", "test"):
        if isinstance(data, ImageFolder):
            listing = data.listings[split]
            assert listing.labels is not None
            for path, label in zip(listing.pictures, listing.labels.tolist(), strict=True):
                yield path, data.facts["class_names"][label], None  # type: ignore[index]
        elif isinstance(data, MultiLabelCsv):
            listing = data.listings[split]
            assert listing.labels is not None
            for path, row in zip(listing.pictures, listing.labels.tolist(), strict=True):
                (label,) = [name for name, there in zip(data.labels.class_names, row, strict=True) if there]
                yield path, label, None
        elif isinstance(data, MaskFolder):
            for path, mask in data.pairs[split].paths():
                classes = read_mask(mask, data.coding).numpy()
                rows, columns = np.nonzero(classes)
                box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                name = data.class_names[int(classes.max())]
                yield path, name, box
        elif isinstance(data, CaptionTableFiles):
            for item in data.descriptions[split].items:
                yield item.path, item.captions[0][-1], None
        elif isinstance(data, QuestionRows):
            for path, asked in data.listings[split].items:
                yield path, asked[0].answers[0], None
        else:
            for item in data.annotations[split]:
                if len(item.labels):
                    name = data.annotated.class_names[item.labels[0]]
                    yield item.path, name, tuple(item.boxes[0].tolist())


def read_all(data: Any) -> list[tuple[str, str, tuple[int, ...] | None]]:
    data.prepare_data()
    return list(read(data))


@pytest.mark.parametrize("number", range(COUNT))
def test_read_right_or_refused_by_name(tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture) -> None:
    variant = variant_of(number)
    root = write(tmp_path / "root", variant)
    kind = FORMATS[variant.kind]
    data = kind.data(str(root), image_size=32, split_seed=1, **variant.options)
    data.batch_type = Batch
    if variant.expected == "refused":
        with pytest.raises(UserError, match=re.compile(variant.words, re.DOTALL)):
            read_all(data)
        return
    with caplog.at_level(logging.INFO):
        found = read_all(data)
        told = "\n".join([caplog.text, *data.doctor()])
    assert re.search(variant.words, told), f"{variant}: {told}"
    names = {Path(path).stem for path, *_ in found}
    assert len(names) == len(found), variant  # each once
    if variant.fault != "undeclared":  # it is told that the boxes may be wrong
        for path, label, box in found:
            name, shown = seen(read_image(path).numpy())
            assert label == name or (variant.layout == "binary" and label == "object"), (str(variant), path)
            assert box is None or np.abs(np.subtract(box, shown)).max() <= 1.5, (
                str(variant),
                path,
                box,
                shown,
            )
    kept = {shown.name for shown in variant.pictures if shown.name not in variant.lost}
    assert {_plain(name) for name in names} == {_plain(name) for name in kept}, variant
    given = {shown.split for shown in variant.pictures}
    if _has_splits(variant):
        assert set(data.drawn) == {"train", "val", "test"} - given, variant


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _has_splits(variant: Variant) -> bool:
    """Whether the layout says which picture is in which split."""
    without = {
        "voc": ("standard", "beside", "renamed", "jpg.xml", "wrong extension"),
        "coco": ("label studio", "cvat", "root category", "foreign path"),
        "csv": ("one", "heading"),
        "masks": ("voc",),
        "multi": ("labels", "columns"),
        "captions": ("csv", "jsonl"),
        "questions": ("csv", "jsonl"),
    }
    return variant.splits != "none" and variant.layout not in without.get(variant.kind, ())


def test_the_variants_cover_what_they_are_for() -> None:
    """Every layout, every fault and every outcome is among them."""
    every = [variant_of(number) for number in range(COUNT)]
    for name, kind in FORMATS.items():
        own = [variant for variant in every if variant.kind == name]
        assert {variant.layout for variant in own} == set(kind.layouts)
        assert {variant.fault for variant in own} == {"none", *kind.faults}
    assert {variant.expected for variant in every} == {"read", "told", "refused"}
