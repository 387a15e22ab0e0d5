"""The experiments, executed at the smallest size."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.io import read_image

from scripts import REPOSITORY, loaded, script
from smallest import SMALLEST, WORLD, Within
from vision_apps.cli import main
from vision_apps.data.boxes.voc import VocFolder
from vision_apps.data.captions.official import KarpathyCaptions
from vision_apps.data.labels.cifar import CIFAR10
from vision_apps.sweeps import processes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn_vs_dense", "colorization_cifar10"])
def test_an_experiment_writes_its_table_and_picture(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = script(name, monkeypatch, tmp_path)
    data = CIFAR10.fake(tmp_path / "cifar")
    extra = [f"data.{key}={value}" for key, value in data.items()]
    monkeypatch.setattr(sys, "argv", ["run.py", *extra, *SMALLEST])
    experiment.main()
    written = (tmp_path / "table.md").read_text()
    assert written.count("\n|") >= 3
    assert len(list(tmp_path.glob("*.png"))) == 1
    trained = sorted(path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("best.ckpt"))
    experiment.main()  # finished runs are not trained again
    assert trained == sorted(path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("best.ckpt"))
    assert (tmp_path / "table.md").read_text() == written


@pytest.mark.slow
def test_the_ways_to_imitate_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = script("navigation_imitation", monkeypatch, tmp_path)
    monkeypatch.setattr(experiment, "SEEDS", (0, 1))
    monkeypatch.setattr(sys, "argv", ["run.py", *SMALLEST, *WORLD])
    experiment.main()
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["cloning", "dagger", "student"]
    assert (tmp_path / "curves.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("data", ["scenes", "bccd"])
def test_the_detectors_are_compared(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = script("detectors", monkeypatch, tmp_path)
    own = ["data.image_size=32", *WORLD]
    if data == "bccd":
        given = VocFolder.fake(tmp_path / "voc")
        own = [f"data.{key}={value}" for key, value in given.items()]
    monkeypatch.setattr(sys, "argv", ["run.py", data, *own, *SMALLEST])
    experiment.main()
    lines = (tmp_path / f"{data}.md").read_text().splitlines()
    assert len(lines) == 2 + len(experiment.DETECTORS) + 1
    assert all(line.count("|") == 11 for line in lines)
    told = [line.split("|")[9].strip() for line in lines[2:-1]]
    assert told[0] == "0.05, 0.3" and told[-1] == "0.01, 0.6", "what is not equal is said"
    with_recall = [line for line in lines if line.split("|")[5].strip().endswith("%")]
    assert [line.split("|")[1].strip() for line in with_recall] == ["R-CNN", "Fast R-CNN", "Faster R-CNN"]
    assert len(list(tmp_path.glob(f"{data}-*.png"))) == len(experiment.DETECTORS)


@pytest.mark.slow
def test_the_protocols_of_scene_graphs_are_in_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = script("scene_graph_protocols", monkeypatch, tmp_path)
    monkeypatch.setattr(experiment, "SEEDS", (0,))  # each takes a minute
    monkeypatch.setattr(sys, "argv", ["run.py", *WORLD, "data.image_size=32", *SMALLEST])
    experiment.main()
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert len(lines) == 2 + len(experiment.ROWS) and all(line.count("|") == 11 for line in lines)
    assert (tmp_path / "protocols.png").is_file()
    assert len(list((tmp_path / "runs").glob("*/module.debias=*.json"))) == 2


@pytest.mark.slow
def test_the_losses_are_swept_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = loaded("colorization_loss")

    def run(command: list[str], check: bool) -> None:
        assert check and command[:3] == [sys.executable, "-m", "vision_apps"]
        assert main(command[3:]) == 0

    monkeypatch.setattr(experiment, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(processes, "Process", Within)
    monkeypatch.setattr(experiment, "HERE", tmp_path)
    data = [f"data.{key}={value}" for key, value in CIFAR10.fake(tmp_path / "cifar").items()]
    small = [word.replace("max_epochs=1", "max_epochs=2") for word in SMALLEST]  # one point is no curve
    monkeypatch.setattr(sys, "argv", ["run.py", *data, "seeds=1", *small])
    experiment.main()
    table = (tmp_path / "table.md").read_text()
    assert len(re.findall(r"^\| .*experiment=colorization", table, re.MULTILINE)) == 3
    for name in ("curves.png", "pictures.png"):
        assert read_image(tmp_path / name).float().std() > 10, f"{name} is empty"


@pytest.mark.slow
def test_captioners_stand_beside_what_they_have_to_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "experiments/ucm_captions")
    experiment = script("ucm_captions", monkeypatch, tmp_path)
    data = [f"data.{key}={value}" for key, value in KarpathyCaptions.fake(tmp_path / "captions").items()]
    own = ["data.file=null", "data.images=images"]
    boxes = tmp_path / "boxes.npz"
    pictures = (tmp_path / "captions").rglob("*.jpg")
    np.savez(boxes, **{f"{path.stem}_boxes": [[0, 0, 9, 12], [4, 4, 14, 14]] for path in pictures})
    monkeypatch.setattr(sys, "argv", ["run.py", "--boxes", str(boxes), *data, *own, *SMALLEST])
    experiment.main()
    rows = [line.split("|")[1:-1] for line in (tmp_path / "table.md").read_text().splitlines()]
    assert {len(row) for row in rows} == {2 + len(experiment.METRICS)}
    titles = [row[0].strip() for row in rows[2:]]
    assert titles[:2] == ["*one caption for all pictures*", "*the nearest training picture's*"]
    assert [row[1].strip() for row in rows[2:]] == ["", "", "0", "0", "0", "0", "1", "2", "0", "0"]
    assert all(0 <= float(figure) <= 10 for row in rows[2:] for figure in row[2:])
    # what is said of a training picture is a caption, so some words of it are right of another
    assert float(rows[3][2]) > 0


def test_a_typical_caption_agrees_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "experiments/ucm_captions")
    import nearest

    planes = ["two planes", "some grey planes stand on the ground", "many planes stand on the ground"]
    assert nearest.typical([[*planes, "planes stand on the ground"], ["a river"], ["it", "a wood"]]) == [
        "planes stand on the ground",
        "a river",
        "it",
    ]


def test_the_commonest_answer_to_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "experiments/easy_vqa")
    import prior

    train = [
        ["is it red?", "no", 0],
        ["is it red?", "yes", 1],
        ["is it red?", "no", 2],
        ["what is it?", "box", 0],
    ]
    test = [
        ["is it red?", "no", 0],
        ["is it red?", "yes", 1],
        ["what is it?", "box", 1],
        ["what now?", "no", 1],
    ]
    assert prior.prior(train, test) == {"all": 3 / 4, "is it": 1 / 2, "what is": 1, "what now?": 1}


def test_boxes_are_neither_specks_nor_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "experiments/ucm_captions")
    import boxes

    speck, whole, first, second = [0, 0, 2, 2], [0, 0, 40, 20], [0, 0, 10, 10], [20, 5, 40, 20]
    found = boxes.chosen(torch.tensor([speck, first, whole, second], dtype=torch.float32), 20, 40)
    assert found.tolist() == [first, second]
    many = torch.tensor([first], dtype=torch.float32).expand(boxes.MOST + 5, 4)
    assert len(boxes.chosen(many, 20, 40)) == boxes.MOST
