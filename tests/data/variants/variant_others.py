"""Class folders, masks, and lists of labels, captions and questions."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from variant_pictures import CLASSES, COLORS, HEIGHT, SPLITS, WIDTH, Shown, Variant, save, text

FOLDER = ("classes",)
MASKS = (
    "index",
    "colour",
    "binary",
    "palette",
    "other order",
    "by colour",
    "voc",
    "lists",
    "suffix",
    "beside",
    "cvat",
)
MULTI = ("labels", "columns", "column of splits", "files")
CAPTIONS = ("csv", "jsonl", "files")
QUESTIONS = ("csv", "jsonl", "files")
_WHITE = "ground 0 0 0\nblue 30 30 220\nred 220 30 30\n"
_VALUES = "Pixel Value, Class\n0, ground\n1, blue\n2, red\n"
_LABEL_MAP = "# label:color_rgb:parts:actions\nground:0,0,0::\nblue:30,30,220::\nred:220,30,30::\n"


def _named(variant: Variant, split: str) -> str:
    return SPLITS[variant.splits].get(split, split)


def folder(root: Path, variant: Variant) -> None:
    for shown in variant.pictures:
        own = _named(variant, shown.split) if SPLITS[variant.splits] else ""
        save(root / own / shown.label / shown.file, shown)


def _mask(shown: Shown, variant: Variant) -> Image.Image:
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    x1, y1, x2, y2 = shown.box
    truth[y1:y2, x1:x2] = 1 + CLASSES.index(shown.label)
    if variant.layout == "binary":
        return Image.fromarray(np.minimum(truth, 1) * 255)
    colors = [(0, 0, 0), *(COLORS[name] for name in CLASSES)]
    if variant.layout in ("colour", "cvat"):
        return Image.fromarray(np.array(colors, np.uint8)[truth])
    order = [2, 0, 1] if variant.layout in ("other order", "by colour") else [0, 1, 2]
    image = Image.fromarray(np.array(order, np.uint8)[truth])
    if variant.layout in ("palette", "other order", "by colour"):
        image.putpalette([level for index in range(3) for level in colors[order.index(index)]])
    return image


def masks(root: Path, variant: Variant) -> None:
    layout, lines = variant.layout, dict[str, list[str]]()
    names = ("JPEGImages", "SegmentationClass") if layout in ("voc", "cvat") else ("images", "masks")
    if layout == "beside":
        names = ("", "")
    suffix = {"suffix": "_seg", "beside": "_mask"}.get(layout, "")
    if layout == "suffix":
        variant.options["mask_suffix"] = suffix
    if layout == "by colour":
        variant.options["palettes"] = "color"
    if layout == "other order" and variant.fault not in ("lost label", "wrapped"):
        variant.expected, variant.words = "refused", r"data\.palettes=color"
    for shown in variant.pictures:
        split = (
            _named(variant, shown.split)
            if SPLITS[variant.splits] and layout not in ("voc", "lists", "cvat")
            else ""
        )
        save(root / split / names[0] / shown.file, shown)
        path = root / split / names[1] / f"{shown.name}{suffix}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _mask(shown, variant).save(path)
        line = f"images/{shown.file}\tmasks/{path.name}\n"
        lines.setdefault(_named(variant, shown.split), []).append(line)
        if layout == "beside":
            text(root / split / "_classes.csv", _VALUES, variant.encoding)
    if layout == "cvat" and SPLITS[variant.splits]:
        for own, of_split in lines.items():
            stems = [Path(one.split("\t")[1].strip()).stem for one in of_split]
            text(root / "ImageSets/Segmentation" / f"{own}.txt", "\n".join(stems), variant.encoding)
    if layout == "lists":
        for own, of_split in lines.items():
            text(root / f"{own.lower()}.txt", "".join(of_split), variant.encoding)
    if layout == "cvat":
        text(root / "labelmap.txt", _LABEL_MAP, variant.encoding)
    elif layout not in ("binary", "beside"):
        text(root / "classes.txt", _WHITE, variant.encoding)


def multi(root: Path, variant: Variant) -> None:
    heading = {
        "labels": "filename,labels",
        "columns": "filename,blue,red",
        "column of splits": "file,labels,split",
    }
    lines: dict[str, list[str]] = {}
    for shown in variant.pictures:
        save(root / "images" / shown.file, shown)
        if shown.name in variant.lost and variant.fault == "lost label":
            continue
        own = _named(variant, shown.split)
        cells = [shown.file, shown.label]
        if variant.layout == "columns":
            cells = [shown.file, *(str(int(shown.label == name)) for name in CLASSES)]
        if variant.layout == "column of splits":
            cells.append(own)
        key = own if variant.layout == "files" else "labels"
        first = [heading.get(variant.layout, "filename,labels") + "\n"]
        lines.setdefault(key, first).append(",".join(cells) + "\n")
    for key, of_file in lines.items():
        text(root / f"{key}.csv", "".join(of_file), variant.encoding)


def _rows(root: Path, variant: Variant, whole: str, said: dict[str, dict[str, str]]) -> None:
    """A line for each picture, in a file of all or of its split."""
    lines: dict[str, list[str]] = {}
    for shown in variant.pictures:
        save(root / "images" / shown.file, shown)
        if shown.name in variant.lost and variant.fault == "lost label":
            continue
        row = {"image": shown.file, **said[shown.label]}
        key = _named(variant, shown.split) if variant.layout == "files" else whole
        if variant.layout == "jsonl":
            lines.setdefault(key, []).append(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            lines.setdefault(key, [",".join(row) + "\n"]).append(",".join(row.values()) + "\n")
    for key, own in lines.items():
        text(
            root / f"{key}.{'jsonl' if variant.layout == 'jsonl' else 'csv'}", "".join(own), variant.encoding
        )


def captions(root: Path, variant: Variant) -> None:
    _rows(root, variant, "captions", {name: {"caption": f"a square in {name}"} for name in CLASSES})


def questions(root: Path, variant: Variant) -> None:
    said = {name: {"question": "which colour is it?", "answer": name} for name in CLASSES}
    _rows(root, variant, "questions", said)
