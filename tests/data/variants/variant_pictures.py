"""Seeded data sets as people have them: what all formats share, and how a picture shows its own truth."""

import os
import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("blue", "red")  # in order of name
COLORS = {"blue": (30, 30, 220), "red": (220, 30, 30)}
WIDTH, HEIGHT = 48, 36
SPLITS: dict[str, dict[str, str]] = {  # as people call them
    "plain": {"train": "train", "val": "val", "test": "test"},
    "kaggle": {"train": "Training", "test": "Testing"},
    "capitals": {"train": "TRAIN", "val": "VALID", "test": "TEST"},
    "words": {"train": "train", "val": "Validation", "test": "testing"},
    "dev": {"train": "training", "val": "dev", "test": "Test"},
    "none": {},
}
STYLES: dict[str, Callable[[int], str]] = {  # of the names of pictures
    "plain": lambda n: f"{n:03d}",
    "spaces": lambda n: f"my photo {n}",
    "dots": lambda n: f"a.{n}.b",
    "accents": lambda n: f"Bär {n}",
    "two characters": lambda n: unicodedata.normalize("NFD", f"Bär{n}"),
    "capitals": lambda n: f"IMG_{n:04d}",
}
EXTENSIONS = (".jpg", ".JPG", ".jpeg", ".jfif", ".png", ".PNG", ".webp", ".bmp", ".tif", ".avif")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be-mark")
_UNDO = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


@dataclass
class Shown:
    """A picture and what is in it."""

    name: str  # without an extension
    file: str
    split: str
    label: str
    box: tuple[int, int, int, int]


@dataclass
class Variant:
    """A data set to write, and what has to become of it.

    Args:
        expected: ``read``: right, all of it; ``told``: right, and what is left out is told as ``words`` say;
            ``refused``: with an error as ``words`` say.
    """

    number: int
    kind: str  # the format
    rng: random.Random
    style: str
    splits: str
    encoding: str
    fault: str = "none"
    turned: str = ""  # what labels of turned pictures were made on
    layout: str = ""
    expected: str = "read"
    words: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    pictures: list[Shown] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)  # names of pictures that need not be read

    def __str__(self) -> str:
        return f"{self.number:03d}-{self.kind}-{self.layout}-{self.fault}".replace(" ", "_")


def draw(number: int, kinds: tuple[str, ...]) -> Variant:
    rng = random.Random(number)
    variant = Variant(
        number,
        kinds[number % len(kinds)],
        rng,
        rng.choice(list(STYLES)),
        rng.choice(list(SPLITS)),
        rng.choice(ENCODINGS),
    )
    extension = rng.choice(EXTENSIONS)
    splits = list(SPLITS[variant.splits]) or ["train"]
    for n in range(10):
        split = splits[0] if n < 5 else splits[n % len(splits)]
        name = STYLES[variant.style](n)
        own = extension if rng.random() < 0.8 else rng.choice(EXTENSIONS)
        x, y = rng.randint(1, WIDTH // 2), rng.randint(1, HEIGHT // 2)
        box = (x, y, x + rng.randint(12, WIDTH // 2 - 2), y + rng.randint(10, HEIGHT // 2 - 2))
        variant.pictures.append(Shown(name, f"{name}{own}", split, CLASSES[n % 2], box))
    return variant


def save(path: Path, shown: Shown, orientation: int = 1) -> None:
    """The picture, stored as a camera that was turned does it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    x1, y1, x2, y2 = shown.box
    pixels[y1:y2, x1:x2] = COLORS[shown.label]
    image = Image.fromarray(pixels)
    tags = Image.Exif()
    if orientation != 1:
        image = image.transpose(_UNDO[orientation])
        tags[0x0112] = orientation
    suffix = path.suffix.lower()
    image.save(
        path,
        {".jfif": "JPEG"}.get(suffix),
        **({"quality": 98, "subsampling": 0} if suffix in (".jpg", ".jpeg", ".jfif") else {}),
        **({"lossless": True} if suffix == ".webp" else {}),
        **({"exif": tags} if orientation != 1 else {}),
    )


def seen(pixels: np.ndarray) -> tuple[str, tuple[int, int, int, int]]:
    """The class and the box that pixels [3, H, W] show."""
    bright = pixels.max(0) > 120
    rows, columns = np.nonzero(bright)
    color = pixels[:, bright].mean(1)
    label = "red" if color[0] > color[2] else "blue"
    return label, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def raw_box(shown: Shown, orientation: int) -> tuple[int, int, int, int]:
    """The box over the pixels as they are stored."""
    x1, y1, x2, y2 = shown.box
    return {
        1: (x1, y1, x2, y2),
        3: (WIDTH - x2, HEIGHT - y2, WIDTH - x1, HEIGHT - y1),
        6: (y1, WIDTH - x2, y2, WIDTH - x1),
        8: (HEIGHT - y2, x1, HEIGHT - y1, x2),
    }[orientation]


def text(path: Path, content: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = "\ufeff" if encoding.endswith("-mark") else ""
    path.write_bytes((mark + content.replace("\n", "\r\n")).encode(encoding.removesuffix("-mark")))


def litter(root: Path) -> None:
    """What systems leave in folders."""
    for folder in [root, *(path for path in sorted(root.rglob("*")) if path.is_dir())]:
        (folder / ".DS_Store").write_bytes(b"\0\1")
        (folder / "Thumbs.db").write_bytes(b"\xd0\xcf")
        files = [
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "Thumbs"))
        ]
        for path in files[:2]:
            (folder / f"._{path.name}").write_bytes(b"\0\5\x16\7")
        for name in ("@eaDir", ".ipynb_checkpoints", "__MACOSX"):
            (folder / name).mkdir()
            for path in files[:1]:
                (folder / name / path.name).write_bytes(b"\0")


def link_folders(root: Path, away: Path) -> None:
    """Every second folder with files becomes a link to where it is kept."""
    folders = [path for path in sorted(root.rglob("*")) if path.is_dir() and not path.is_symlink()]
    leaves = [path for path in folders if not any(own.is_dir() for own in path.iterdir())]
    for number, path in enumerate(leaves[::2]):
        kept = away / str(number)
        away.mkdir(exist_ok=True)
        path.rename(kept)
        os.symlink(kept, path, target_is_directory=True)
