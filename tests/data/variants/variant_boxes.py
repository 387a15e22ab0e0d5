"""The formats of boxes, in the layouts of the tools that write them."""

import json
import os
from pathlib import Path

from variant_pictures import CLASSES, HEIGHT, SPLITS, WIDTH, Shown, Variant, raw_box, save, text

YOLO = (
    "yaml",
    "roboflow",
    "beside",
    "classes.txt",
    "darknet",
    "lists",
    "kpt_shape",
    "polygons",
    "scored",
    "pose",
)
VOC = ("standard", "lists", "beside", "splits", "renamed", "jpg.xml", "wrong extension")
COCO = ("annotations", "2017", "roboflow", "label studio", "cvat", "root category", "foreign path")
CSV = ("one", "splits", "heading")


def _named(variant: Variant, split: str) -> str:
    return SPLITS[variant.splits].get(split, split)


def _by_split(variant: Variant) -> dict[str, list[Shown]]:
    found: dict[str, list[Shown]] = {}
    for shown in variant.pictures:
        found.setdefault(shown.split, []).append(shown)
    return found


def _turn(variant: Variant, number: int) -> int:
    return (3, 6, 8)[number % 3] if variant.turned else 1


def _box(variant: Variant, number: int, shown: Shown) -> tuple[tuple[int, int, int, int], int, int]:
    """What the labels say of a picture: the box, and the width and height that it was drawn on."""
    turn = _turn(variant, number)
    if variant.turned != "raw":
        return shown.box, WIDTH, HEIGHT
    width, height = (HEIGHT, WIDTH) if turn in (6, 8) else (WIDTH, HEIGHT)
    return raw_box(shown, turn), width, height


def _line(variant: Variant, number: int, shown: Shown) -> str:
    (x1, y1, x2, y2), width, height = _box(variant, number, shown)
    label = CLASSES.index(shown.label)
    values = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
    if variant.layout in ("kpt_shape", "pose"):
        cx, cy, w, h = values
        for dx, dy in ((-0.3, -0.3), (0.2, -0.1), (0.1, 0.3)):
            values += [cx + dx * w, cy + dy * h]
    if variant.layout == "scored":
        values.append(0.75)
    if variant.layout == "polygons":
        corners = [(x1, y1), (x2, y1), (x2, (y1 + y2) / 2), (x2, y2), (x1, y2)][: 4 + number % 2]
        corners = [*corners[:-1], (x2, y2), (x1, y2)]
        values = [share for x, y in corners for share in (x / width, y / height)]
    return " ".join([str(label), *(f"{value:.6f}" for value in values)]) + "\n"


def yolo(root: Path, variant: Variant) -> None:
    layout, names = variant.layout, ", ".join(CLASSES)
    more = "kpt_shape: [3, 2]\n" if layout == "kpt_shape" else ""
    if layout == "scored":
        variant.options["lines"] = "scored"
    if layout == "pose":
        variant.expected, variant.words = "refused", r"data\.lines=pose, or data\.lines=segments"
    entries: dict[str, list[str]] = {}
    for number, shown in enumerate(variant.pictures):
        own = _named(variant, shown.split)
        if layout == "roboflow":
            picture, label = root / own / "images" / shown.file, root / own / "labels" / f"{shown.name}.txt"
            entries[shown.split] = [f"../{own}/images"]
        elif layout == "beside":
            picture, label = root / "images" / own / shown.file, root / "images" / own / f"{shown.name}.txt"
            entries[shown.split] = [f"images/{own}"]
        elif layout == "darknet":
            picture, label = root / "obj_data" / shown.file, root / "obj_data" / f"{shown.name}.txt"
            entries.setdefault(shown.split, []).append(f"data/obj_data/{shown.file}")
        else:
            picture, label = root / "images" / own / shown.file, root / "labels" / own / f"{shown.name}.txt"
            folder, line = [f"images/{own}"], f"./images/{own}/{shown.file}"
            entries[shown.split] = [*entries.get(shown.split, []), line] if layout == "lists" else folder
        save(picture, shown, _turn(variant, number))
        text(label, _line(variant, number, shown), variant.encoding)
    if layout in ("lists", "darknet"):
        for split, lines in entries.items():
            text(root / f"{split}.txt", "".join(f"{line}\n" for line in lines), variant.encoding)
        entries = {split: [f"{split}.txt"] for split in entries}
    if layout == "darknet":
        lines = [f"{'valid' if split == 'val' else split} = data/{split}.txt\n" for split in entries]
        text(root / "obj.data", "".join([*lines, "names = data/obj.names\n"]), variant.encoding)
        text(root / "obj.names", "".join(f"{name}\n" for name in CLASSES), variant.encoding)
    elif layout == "classes.txt":
        text(root / "classes.txt", "".join(f"{name}\n" for name in CLASSES), variant.encoding)
    else:
        lines = [f"{split}: {own[0]}\n" for split, own in entries.items()]
        text(root / "data.yaml", "".join([*lines, f"names: [{names}]\n", more]), variant.encoding)


def _xml(variant: Variant, number: int, shown: Shown, filename: str) -> str:
    (x1, y1, x2, y2), width, height = _box(variant, number, shown)
    return (
        f"<annotation><filename>{filename}</filename><size><width>{width}</width><height>{height}</height></size>"
        f"<object><name>{shown.label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox></object></annotation>"
    )


def voc(root: Path, variant: Variant) -> None:
    layout = variant.layout
    for number, shown in enumerate(variant.pictures):
        own, filename = _named(variant, shown.split), shown.file
        pictures, files, name = root / "JPEGImages", root / "Annotations", shown.name
        if layout == "beside":
            pictures = files = root
        elif layout == "splits":
            pictures = files = root / own
        elif layout == "renamed":
            name = f"{number}_labels"
        elif layout == "jpg.xml":
            name = shown.file
        elif layout == "wrong extension":
            name, filename = f"{number}_labels", f"{shown.name}.xyz"
        save(pictures / shown.file, shown, _turn(variant, number))
        files.mkdir(parents=True, exist_ok=True)
        (files / f"{name}.xml").write_text(_xml(variant, number, shown, filename), encoding="utf-8")
    if layout == "lists":
        for split, pictures_of in _by_split(variant).items():
            ending = variant.rng.choice(["", "ext"])
            lines = [f"{one.file if ending else one.name}\n" for one in pictures_of]
            file = root / "ImageSets" / "Main" / f"{_named(variant, split)}.txt"
            text(file, "".join(lines), variant.encoding)


def coco(root: Path, variant: Variant) -> None:
    layout = variant.layout
    floats, texts = variant.rng.random() < 0.5, variant.rng.random() < 0.5
    whole = layout in ("label studio", "cvat", "root category", "foreign path")
    categories: list[dict[str, object]] = [{"id": n + 1, "name": name} for n, name in enumerate(CLASSES)]
    if layout == "root category":
        categories = [{"id": 0, "name": "things", "supercategory": "none"}]
        categories += [
            {"id": n + 1, "name": name, "supercategory": "things"} for n, name in enumerate(CLASSES)
        ]
    for split, shown_of in _by_split(variant).items() if not whole else [("train", variant.pictures)]:
        own = _named(variant, split)
        places = {
            "annotations": (root / "images" / own, root / "annotations" / f"{own}.json"),
            "2017": (root / f"{split}2017", root / "annotations" / f"instances_{split}2017.json"),
            "roboflow": (root / own, root / own / "_annotations.coco.json"),
            "label studio": (root / "images", root / "result.json"),
            "cvat": (root / "images", root / "annotations" / "instances_default.json"),
            "root category": (root / "images", root / "annotations.json"),
            "foreign path": (root / "images", root / "annotations.json"),
        }
        folder, file = places[layout]
        prefix = {"label studio": "images\\", "foreign path": "C:\\data\\shots\\"}.get(layout, "")
        images, annotations = [], []
        for number, shown in enumerate(shown_of):
            number_of = variant.pictures.index(shown)
            save(folder / shown.file, shown, _turn(variant, number_of))
            if shown.name in variant.lost and variant.fault == "lost label":
                continue
            (x1, y1, x2, y2), width, height = _box(variant, number_of, shown)
            id_of = float(number + 7) if floats else number + 7
            size = {"width": width, "height": height}
            images.append({"id": id_of, "file_name": f"{prefix}{shown.file}", **size})
            annotations.append(
                {
                    "id": number + 1,
                    "image_id": number + 7,
                    "category_id": CLASSES.index(shown.label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "iscrowd": "0" if texts else 0,
                }
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"images": images, "annotations": annotations, "categories": categories}
        file.write_bytes(json.dumps(content).encode("utf-8-sig" if texts else "utf-8"))


def boxes_csv(root: Path, variant: Variant) -> None:
    lines: dict[str, list[str]] = {}
    for shown in variant.pictures:
        save(root / "images" / shown.file, shown)
        if shown.name in variant.lost and variant.fault == "lost label":
            continue
        key = (
            _named(variant, shown.split)
            if variant.layout == "splits" and SPLITS[variant.splits]
            else "labels"
        )
        start = ["filename,xmin,ymin,xmax,ymax,class\n"] if variant.layout == "heading" else []
        row = ",".join(map(str, (shown.file, *shown.box, shown.label)))
        lines.setdefault(key, start).append(f"{row}\n")
    for key, own in lines.items():
        text(root / f"{key}.csv", "".join(own), variant.encoding)


def lose(root: Path, variant: Variant, shown: Shown, extensions: tuple[str, ...]) -> None:
    """Take away a file of a picture that ends in one of these."""
    for folder, _, names in os.walk(root):
        for name in names:
            stem, ending = os.path.splitext(name)
            if stem in (shown.name, shown.file) and ending.lower() in extensions:
                (Path(folder) / name).unlink()
