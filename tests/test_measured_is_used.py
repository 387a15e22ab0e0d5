"""What ``predict`` writes of the test split's own files, scored by readers that know nothing of ours, has the
figures that ``test`` printed: for every application, found by listing, on pictures of unequal shapes.
"""

import contextlib
import io
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import average_precision_score, f1_score

import voc_schema
from unequal import (
    NAMES,
    QUESTION,
    Made,
    in_a_list,
    in_class_folders,
    in_sentences,
    labels_of,
    made,
    sentences_of,
    with_boxes,
    with_masks,
    with_questions,
    with_relations,
)
from vision_apps.cli import main
from vision_apps.core.config import options
from vision_apps.trained import evaluate

# independent readers: from the folder of a prediction to figures by their names in test.json


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    lines = (out / "predictions.jsonl").read_text().splitlines()
    return {Path(row["file"]).name: row for row in map(json.loads, lines)}


def coco(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """By pycocotools, of the results beside the person's own annotation file; VOC's files say the same."""
    results = json.loads((out / "results.json").read_text())
    truth = json.loads((root / "annotations" / "test.json").read_text())
    class_of = {category["name"]: category["id"] for category in truth["categories"]}
    for image in truth["images"]:
        found = [entry for entry in results if entry["image_id"] == image["id"]]
        for x, y, width, height in (entry["bbox"] for entry in found):  # what is found lies in its picture
            assert x >= 0 and y >= 0 and width > 0 and height > 0
            assert x + width <= image["width"] + 1e-3 and y + height <= image["height"] + 1e-3
        voc = voc_schema.read(out / "Annotations" / f"{Path(image['file_name']).stem}.xml")
        assert (voc["filename"], voc["size"]["width"]) == (Path(image["file_name"]).name, image["width"])
        assert [class_of[thing["name"]] for thing in voc["object"]] == [one["category_id"] for one in found]
        for thing, (x, y, width, height) in zip(voc["object"], (one["bbox"] for one in found), strict=True):
            assert list(thing["bndbox"].values()) == pytest.approx([x, y, x + width, y + height], abs=0.006)
    with contextlib.redirect_stdout(io.StringIO()):
        truths = COCO(str(root / "annotations" / "test.json"))
        evaluator = COCOeval(truths, truths.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    sizes = ("small", "medium", "large")
    names = ["ap", "ap50", "ap75", *(f"ap_{size}" for size in sizes)]
    names += ["ar1", "ar10", "ar100", *(f"ar_{size}" for size in sizes)]
    return {name: value for name, value in zip(names, evaluator.stats, strict=True) if value >= 0}


def localized(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the rows."""
    rows, overlaps, right, errors = rows_of(out), [], [], []
    for path, picture in files.items():
        row = rows[path.name]
        x, y, width, height = picture.box
        truth, found = np.array([x, y, x + width, y + height]), np.array(row["box"])
        sides = np.minimum(truth[2:], found[2:]) - np.maximum(truth[:2], found[:2])
        both = sides.clip(0).prod()
        overlaps.append(both / ((found[2:] - found[:2]).prod() + width * height - both))
        right.append(row["class"] == NAMES[picture.label])
        frame = np.array(picture.pixels.shape[1::-1] * 2)
        errors.append(((found - truth) / frame) ** 2)
    ious = np.array(overlaps)
    return {
        "mean_iou": ious.mean(),
        "class_accuracy": np.mean(right),
        "loc_accuracy": np.mean(np.array(right) & (ious > 0.5)),
        "box_mse": np.mean(errors),
        "presence_accuracy": np.mean([row["object"] for row in rows.values()]),
    }


def classified(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the rows."""
    rows = rows_of(out)
    right = [rows[path.name]["class"] == NAMES[picture.label] for path, picture in files.items()]
    losses = []
    for path, picture in files.items():
        shares = {one["class"]: one["probability"] for one in rows[path.name]["top5"]}
        losses.append(-np.log(shares[NAMES[picture.label]]))
    return {"accuracy": np.mean(right), "loss": np.mean(losses)}


def answered(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the rows."""
    rows = rows_of(out)
    right = [rows[path.name]["answer"] == NAMES[picture.label] for path, picture in files.items()]
    losses = []
    for path, picture in files.items():
        (said,) = rows[path.name]["answers"]
        shares = {one["answer"]: one["probability"] for one in said["top"]}
        losses.append(-np.log(shares[NAMES[picture.label]]))
    return {"accuracy": np.mean(right), "accuracy_what_color": np.mean(right), "loss": np.mean(losses)}


def labelled(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the rows, by scikit-learn."""
    rows, names = rows_of(out), sorted([*NAMES, "wide"])
    truth = np.array([[name in labels_of(picture) for name in names] for picture in files.values()])
    found = [rows[path.name] for path in files]
    scores = np.array([[row["probabilities"][name] for name in names] for row in found])
    said = np.array([[name in {one["class"] for one in row["labels"]} for name in names] for row in found])
    aps = average_precision_score(truth, scores, average=None)
    return {
        "mAP": aps.mean(),
        "f1": f1_score(truth, said, average="macro", zero_division=0),
        "loss": -np.log(np.where(truth, scores, 1 - scores)).mean(),
        **{f"ap_{name}": ap for name, ap in zip(names, aps, strict=True)},
    }


def segmented(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the masks' numbers."""
    counts = np.zeros((3, 3), np.int64)
    for path, picture in files.items():
        found = np.asarray(Image.open(out / "masks" / path.name))
        assert found.shape == picture.mask.shape
        counted = picture.mask != 255
        np.add.at(counts, (picture.mask[counted], found[counted]), 1)
    right = counts.diagonal()
    ious = right / (counts.sum(0) + counts.sum(1) - right)
    return {
        "accuracy": right.sum() / counts.sum(),
        "miou": ious.mean(),
        "dice": np.mean(2 * right / (counts.sum(0) + counts.sum(1))),
        **{f"iou_{name}": iou for name, iou in zip(("nothing", *NAMES), ious, strict=True)},
    }


def colored(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the pictures: Hasler and Suesstrunk 2003 for colourfulness."""
    rows, noise, gaps = rows_of(out), [], []

    def colorfulness(pixels: np.ndarray) -> float:
        red, green, blue = np.moveaxis(pixels.astype(float), -1, 0)
        first, second = np.abs(red - green), np.abs((red + green) / 2 - blue)
        return float(np.hypot(first.std(), second.std()) + 0.3 * np.hypot(first.mean(), second.mean()))

    for path, picture in files.items():
        found = np.asarray(Image.open(out / rows[path.name]["picture"]))
        assert found.shape == picture.pixels.shape
        error = np.square(found.astype(float) - picture.pixels).mean()
        noise.append(10 * np.log10(255**2 / max(error, 1 / 12)))
        gaps.append(colorfulness(found))
    return {"psnr": np.mean(noise), "colorfulness_absolute": np.mean(gaps)}


def captioned(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the rows: n-grams counted by scikit-learn."""
    rows = rows_of(out)
    said = [rows[path.name]["caption"] for path in files]
    truth = [
        [text.lower().translate(str.maketrans("", "", "!,.")) for text in sentences_of(path, picture)]
        for path, picture in files.items()
    ]
    counter = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 4)).fit(
        said + [text for own in truth for text in own]
    )
    lengths = np.array([len(name.split()) for name in counter.get_feature_names_out()])
    found = counter.transform(said).toarray()
    wanted = np.array([counter.transform(own).toarray() for own in truth])  # [picture, reference, n-gram]
    rare = np.log(len(files) / np.maximum(1, (wanted.max(1) > 0).sum(0)))
    nearest = [
        min((abs(len(text.split()) - len(one.split())), len(text.split())) for text in own)[1]
        for one, own in zip(said, truth, strict=True)
    ]
    total, gap = sum(len(one.split()) for one in said), found[:, lengths == 2].sum(1)[:, None]
    brevity = min(0.0, 1 - sum(nearest) / total)
    apart = np.exp(-((gap - wanted[:, :, lengths == 2].sum(2)) ** 2) / 72)
    cosines, shares = [], []
    for n in range(1, 5):
        one, other = (
            found[:, None, lengths == n] * rare[lengths == n],
            wanted[:, :, lengths == n] * rare[lengths == n],
        )
        norms = np.linalg.norm(one, axis=2) * np.linalg.norm(other, axis=2)
        both = (np.minimum(one, other) * other).sum(2)
        cosines.append(np.divide(both, norms, out=np.zeros_like(both), where=norms > 0) * apart)
        right = np.minimum(found, wanted.max(1))[:, lengths == n].sum()
        shares.append((right + 1e-15) / (found[:, lengths == n].sum() + 1e-9))  # the trifles of COCO
    bleu = {f"bleu{n}": np.exp(np.log(shares[:n]).mean() + brevity) for n in range(1, 5)}
    return bleu | {
        "cider": 10 * np.mean(cosines),
        "exact": np.mean([one in own for one, own in zip(said, truth, strict=True)]),
        "distinct": len({*said}) / len(said),
    }


def seeds(root: Path) -> tuple[list[str], dict[Path, Made]]:
    """Episodes of the test split by their seeds, as rows to ask."""
    root.mkdir()
    rows = root / "episodes.jsonl"
    rows.write_text("".join(json.dumps({"seed": 2 + 3 * number}) + "\n" for number in range(16)))
    words = ["data.level=GoToRedBallGrey", "data.train_images=64", "data.val_images=8", "data.test_images=16"]
    words.append("trainer.max_epochs=8")
    return [*words, f"data.cache={root / 'cache'}"], {rows: made(0, 0)}  # of which nothing is read


def walked(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the rows, by Minigrid itself: the actions that are told are done there."""
    from minigrid.core.constants import DIR_TO_VEC

    from vision_apps.data.episodes import levels

    numbers = {
        "turn left": 0,
        "turn right": 1,
        "go forward": 2,
        "open or close": 6,
        "stop": 6,
    }  # nothing opens
    environment, rows = levels.make("GoToRedBallGrey"), (out / "predictions.jsonl").read_text().splitlines()
    right, lengths, nearest = [], [], []
    for row in map(json.loads, rows):
        environment.reset(seed=int(row["seed"]))
        poses = [(*environment.agent_pos, environment.agent_dir)]
        for action in row["actions"]:
            environment.step(numbers[action])
            poses.append((*environment.agent_pos, environment.agent_dir))
        assert [[*map(int, pose)] for pose in poses] == row["path"]
        targets = {tuple(map(int, place)) for place in environment.instrs.desc.obj_poss}
        faced = [(int(x + DIR_TO_VEC[way][0]), int(y + DIR_TO_VEC[way][1])) in targets for x, y, way in poses]
        right.append(faced[-1] and row["actions"][-1] == "stop")
        nearest.append(any(faced))
        lengths.append(sum(one != other for one, other in itertools.pairwise(poses)))
    return {
        "success": np.mean(right),
        "oracle_success": np.mean(nearest),
        "trajectory_length": np.mean(lengths),
    }


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two boxes x1, y1, x2, y2."""
    sides = [max(0, min(one[k + 2], other[k + 2]) - max(one[k], other[k])) for k in (0, 1)]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return sides[0] * sides[1] / (sum(areas) - sides[0] * sides[1])


def related(out: Path, root: Path, files: dict[Path, Made]) -> dict[str, float]:
    """Of the rows: of the surest relations, one of each pair, those that ``rel.json`` has; of another object
    of its class that overlaps it by half, one is true as well."""
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    truth = json.loads((root / "rel.json").read_text())
    names, figures = truth["rel_categories"], {}
    for k in (2, 10):
        shares, pooled = [], {number: [] for number in range(len(names))}
        for row, own in zip(rows, truth["test"].values(), strict=True):
            things = [(thing["class"], thing["box"]) for thing in row["objects"]]
            alike = [[a[0] == b[0] and iou(a[1], b[1]) >= 0.5 for b in things] for a in things]
            told = [(one["subject"], one["object"], one["predicate"]) for one in row["relations"][:k]]
            found = [
                any(alike[one][a] and alike[other][b] and names[said] == word for a, b, word in told)
                for one, other, said in own
            ]
            for (_, _, said), hit in zip(own, found, strict=True):
                pooled[said].append(hit)
            shares += [np.mean(found)] if own else []
        figures[f"predcls_recall_{k}"] = np.mean(shares)
        figures[f"predcls_mean_recall_pooled_{k}"] = np.mean([np.mean(own) for own in pooled.values()])
    return figures


class Case(NamedTuple):
    data: str
    write: Callable[[Path], tuple[list[str], dict[Path, Made]]]
    read: Callable[[Path, Path, dict[Path, Made]], dict[str, float]]
    words: tuple[str, ...] = ()  # of the training
    asked: tuple[str, ...] = ()  # of the prediction
    settings: tuple[tuple[str, ...], ...] = ((),)  # with which it is tested and asked, one after the other
    on_disk: bool = True  # the data lie below a root


CASES = {
    "captioning": Case("csv", in_sentences, captioned, ("model=attention", "model.backbone.width=16")),
    "detection": Case(
        "coco_json",
        with_boxes,
        coco,
        ("model=yolo", "model.backbone.width=16", "model.width=16"),
        ("module.score_threshold=0", "--coco", "{root}/annotations/test.json"),
    ),
    "localization": Case("coco_json", with_boxes, localized),
    "segmentation": Case(
        "folder", with_masks, segmented, settings=((), ("module.tile=64", "module.overlap=16"))
    ),
    "colorization": Case("folder", in_class_folders, colored),
    "classification": Case("folder", in_class_folders, classified),
    "multi_label": Case("csv", in_a_list, labelled),
    "navigation": Case("babyai", seeds, walked, on_disk=False),
    "scene_graphs": Case(
        "coco",
        with_relations,
        related,
        ("model=transformer", "module.recall_at=[2,10,20]"),
        settings=(("module.score_threshold=0", "module.max_relations=100"),),
        on_disk=False,
    ),
    "vqa": Case("rows", with_questions, answered, ("model=film",), ("--with", f"question={QUESTION}")),
}


@pytest.mark.slow
@pytest.mark.parametrize("application", sorted(options.of_group("task")))
def test_what_is_measured_is_what_is_answered(application: str, tmp_path: Path) -> None:
    case = CASES[application]  # a new application comes with an independent reader of what it writes
    words, files = case.write(tmp_path / "data")
    run = tmp_path / "run"
    training = [
        f"task={application}",
        f"data={case.data}",
        *([f"data.root={tmp_path / 'data'}", "data.augment.flip=null"] if case.on_disk else []),
        "data.image_size=64",
        "data.workers=0",
        "data.batch_size=8",
        "trainer=cpu",
        "trainer.max_epochs=30",
        "callbacks.pictures=null",
        "logger=csv",
        f"run.dir={run}",
        *words,
        *case.words,
    ]
    assert main(["train", *training]) == 0
    for number, settings in enumerate(case.settings):
        out = tmp_path / f"out{number}"
        measured = evaluate.test(str(run), list(settings))
        given = [word.format(root=tmp_path / "data") for word in case.asked]
        asked = ["predict", str(run), *map(str, files), "--out", str(out), *given, *settings]
        assert main(asked) == 0
        read = case.read(out, tmp_path / "data", files)
        told = {name: measured[f"test/{name}"] for name in read}
        assert told == pytest.approx(read, abs=1e-4), settings
