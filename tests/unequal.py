"""Small pictures of one rectangle, of unequal shapes and with all that can be asked of them, written in the
formats that the applications read."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

NAMES = ["red", "blue"]
COLORS = np.array([[220, 40, 40], [40, 60, 230]])
SHAPES = [(48, 96), (120, 50), (64, 64), (40, 130), (90, 70)]  # height, width
COUNTS = {"train": 24, "val": 4, "test": 11}


class Made(NamedTuple):
    """A picture of noise with one coloured rectangle."""

    pixels: np.ndarray  # uint8 [H, W, 3]
    box: tuple[int, int, int, int]  # x, y, width, height
    label: int

    @property
    def mask(self) -> np.ndarray:
        """uint8 [H, W]: 0 where nothing is, else 1 + the label; 255 at the left edge."""
        x, y, width, height = self.box
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        mask[y : y + height, x : x + width] = 1 + self.label
        mask[:, :2] = 255
        return mask


def made(number: int, seed: int) -> Made:
    rng = np.random.default_rng((seed, number))
    rows, columns = SHAPES[number % len(SHAPES)]
    pixels = rng.integers(90, 160, (rows, columns, 3))
    height, width = (int(rng.integers(side // 3, 2 * side // 3)) for side in (rows, columns))
    y, x = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, columns - width + 1))
    label = int(rng.integers(2))
    pixels[y : y + height, x : x + width] = COLORS[label] + rng.integers(-30, 25, (height, width, 3))
    return Made(pixels.clip(0, 255).astype(np.uint8), (x, y, width, height), label)


PICTURES = {
    split: [made(number, seed) for number in range(count)]
    for seed, (split, count) in enumerate(COUNTS.items())
}


def write(root: Path, split: str, folder: str) -> dict[Path, Made]:
    """The pictures of a split as PNG files in ``folder``, in which ``{}`` is the name of the class."""
    files = {}
    for number, picture in enumerate(PICTURES[split]):
        path = root / folder.format(NAMES[picture.label]) / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.pixels).save(path)
        files[path] = picture
    return files


def with_boxes(root: Path) -> tuple[list[str], dict[Path, Made]]:
    """COCO's files; an object's area is three quarters of its box."""
    for split in COUNTS:
        files = write(root, split, f"images/{split}")
        sizes = [picture.pixels.shape[:2] for picture in files.values()]
        content = {
            "images": [
                {"id": n, "file_name": path.name, "height": size[0], "width": size[1]}
                for n, (path, size) in enumerate(zip(files, sizes, strict=True), 1)
            ],
            "annotations": [
                {
                    "id": n,
                    "image_id": n,
                    "category_id": 1 + picture.label,
                    "bbox": list(picture.box),
                    "area": 0.75 * picture.box[2] * picture.box[3],
                    "iscrowd": 0,
                }
                for n, picture in enumerate(files.values(), 1)
            ],
            "categories": [{"id": n, "name": name} for n, name in enumerate(NAMES, 1)],
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return [], files


def with_relations(root: Path) -> tuple[list[str], dict[Path, Made]]:
    """COCO's files with three more boxes in each picture, parts of it, and a ``rel.json``; and, to ask with,
    a line for each test picture with its objects."""
    _, files = with_boxes(root)
    told: dict[str, object] = {"rel_categories": ["left of", "above"]}
    for split in COUNTS:
        file = root / "annotations" / f"{split}.json"
        content = json.loads(file.read_text())
        content["annotations"], told[split], rows = [], {}, []
        for image, picture in zip(content["images"], PICTURES[split], strict=True):
            H, W = image["height"], image["width"]
            parts = [(0, 0, W // 2, H // 3), (W // 2, 0, W // 2, H // 2), (W // 4, H // 2, W // 2, H // 2)]
            objects = [
                (picture.label, picture.box),
                *((number % 2, part) for number, part in enumerate(parts)),
            ]
            for label, box in objects:
                number = len(content["annotations"]) + 1
                content["annotations"].append(
                    {"id": number, "image_id": image["id"], "category_id": 1 + label, "bbox": box}
                )
            middles = [(x + w / 2, y + h / 2) for _, (x, y, w, h) in objects]
            told[split][str(image["id"])] = [  # type: ignore[index]
                [one, other, axis]
                for one in range(4)
                for other in range(4)
                for axis in (0, 1)
                if middles[other][axis] - middles[one][axis] > (W, H)[axis] / 4
            ]
            texts = [f"{NAMES[label]} {x},{y},{x + w},{y + h}" for label, (x, y, w, h) in objects]
            rows.append({"image": f"images/{split}/{image['file_name']}", "objects": "; ".join(texts)})
        file.write_text(json.dumps(content))
        (root / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (root / "rel.json").write_text(json.dumps(told))
    return [f"data.root={root}", "trainer.max_epochs=2"], {root / "test.jsonl": next(iter(files.values()))}


def in_class_folders(root: Path) -> tuple[list[str], dict[Path, Made]]:
    for split in COUNTS:
        files = write(root, split, f"{split}/{{}}")
    return [], files


def labels_of(picture: Made) -> list[str]:
    """Its colour and, of a wide one, that."""
    return [NAMES[picture.label], *["wide"] * (picture.pixels.shape[1] > picture.pixels.shape[0])]


def in_a_list(root: Path) -> tuple[list[str], dict[Path, Made]]:
    for split in COUNTS:
        files = write(root, split, f"images/{split}")
        lines = [f"{path.name},{'|'.join(labels_of(picture))}" for path, picture in files.items()]
        (root / f"{split}.csv").write_text("\n".join(["image,tags", *lines]))
    return [], files


def in_sentences(root: Path) -> tuple[list[str], dict[Path, Made]]:
    """Two captions a picture; one has a word that only its own picture has."""
    rows = ["image,caption,split"]
    for split in COUNTS:
        files = write(root, split, f"images/{split}")
        for path, picture in files.items():
            for text in sentences_of(path, picture):
                rows.append(f'{split}/{path.name},"{text}",{split}')
    (root / "captions.csv").write_text("\n".join(rows))
    return [], files


def sentences_of(path: Path, picture: Made) -> list[str]:
    shape = "wide" if picture.pixels.shape[1] > picture.pixels.shape[0] else "narrow"
    return [f"A {NAMES[picture.label]} box!", f"There is a box in picture {path.stem}, a {shape} one."]


QUESTION = "what color is it?"


def with_questions(root: Path) -> tuple[list[str], dict[Path, Made]]:
    for split in COUNTS:
        files = write(root, split, f"images/{split}")
        rows = [
            {"image": f"{split}/{path.name}", "question": QUESTION, "answer": NAMES[picture.label]}
            for path, picture in files.items()
        ]
        (root / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return [], files


def with_masks(root: Path) -> tuple[list[str], dict[Path, Made]]:
    """Of three classes, and ignored pixels."""
    for split in COUNTS:
        files = write(root, split, f"{split}/images")
        for path, picture in files.items():
            mask = root / split / "masks" / path.name
            mask.parent.mkdir(exist_ok=True)
            Image.fromarray(picture.mask).save(mask)
    (root / "classes.txt").write_text("nothing\nred\nblue\n")
    return [], files
