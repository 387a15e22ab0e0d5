"""What cannot be learned is told before the first step, in one line each, and nothing of data that teach."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from tests.smallest import SMALLEST, WORLD

from vision_apps.cli import main
from vision_apps.core import assembly
from vision_apps.core.config import compose, options, targets
from vision_apps.core.run_folder import RunFolder
from vision_apps.data.labels.folder import fake_pictures

CONF = Path(__file__).parents[1] / "conf" / "data"
OWN = ("folder", "coco_json", "voc_folder", "yolo_folder", "csv")  # formats of users' own data
EMBEDDED = ("scenes", "babyai")  # made where they are asked for
EVERY = [
    (task, path.stem)
    for task in options.applications()
    for path in sorted(CONF.glob(f"{task}_*.yaml"))
    if path.stem.removeprefix(f"{task}_") in (*OWN, *EMBEDDED)
]


NOT_ASKED = ", of which its figures say nothing; "


def warnings_of(config: DictConfig, asked: bool = False, **data: Any) -> list[str]:
    """Of a run as it would begin, without published weights; ``asked``: also of what the few pictures of a
    validation or a test leave out."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    plain["data"] |= data
    plain["model"] = assembly.untrained(plain["model"])
    _, module = assembly.prepared(plain, channels_last=False)
    return [line for line in module.warnings if asked or NOT_ASKED not in line]


def test_every_application_is_listed() -> None:
    assert {task for task, _ in EVERY} == set(options.applications())
    assert {options.short(name) for _, name in EVERY} == {*OWN, *EMBEDDED}


@pytest.mark.parametrize(("task", "name"), EVERY, ids=[name for _, name in EVERY])
def test_data_that_teach_are_silent(task: str, name: str, tmp_path: Path) -> None:
    config = compose.compose([f"task={task}", f"data={name}"])
    fake = targets.resolve(config.data._target_).fake(tmp_path / "data")  # type: ignore[attr-defined]
    if options.short(name) in EMBEDDED:
        fake |= {"train_images": 64, "val_images": 8, "test_images": 8}
    assert warnings_of(config, **fake) == []


def folders(root: Path, **counts: int) -> Path:
    """Class folders of so many pictures, named ``split_class``."""
    for number, (name, count) in enumerate(counts.items()):
        fake_pictures(root.joinpath(*name.split("_")), count, 16, seed=number)
    return root


def test_one_class_alone(tmp_path: Path) -> None:
    folders(tmp_path, train_cats=6, train_dogs=6, val_cats=2, test_cats=2)
    config = compose.compose(["task=classification", "data=folder"])
    assert warnings_of(config, root=str(tmp_path), image_size=16) == []
    (line,) = warnings_of(config, root=str(tmp_path), image_size=16, limit_train=1)
    assert line.startswith("labels: all 1 training samples (100%) are of one class, ")
    assert "data.limit_train=null takes all" in line
    colours = compose.compose(["task=colorization", "data=folder"])
    assert warnings_of(colours, root=str(tmp_path), image_size=16) == []  # which has no use for classes


def test_classes_that_a_limit_leaves_out(tmp_path: Path) -> None:
    folders(
        tmp_path, train_cats=6, train_dogs=6, train_owls=1, val_cats=2, val_owls=2, test_cats=2, test_owls=6
    )
    config = compose.compose(["task=classification", "data=folder"])
    assert warnings_of(config, root=str(tmp_path), image_size=16) == []
    limited = next(
        found
        for limit in range(12, 1, -1)
        if (found := warnings_of(config, root=str(tmp_path), image_size=16, limit_train=limit))
    )
    assert "train has no samples of 1 of 3 classes (owls)" in limited[0]
    assert "val has 2 (50% of its samples)" in limited[0] and "test has 6 (75% of its samples)" in limited[0]
    assert limited[0].endswith("data.limit_train=null takes all")


def test_classes_that_no_figure_knows(tmp_path: Path) -> None:
    folders(tmp_path, train_cats=6, train_dogs=6, val_cats=2, val_dogs=1, test_cats=2)
    config = compose.compose(["task=classification", "data=folder"])
    (line,) = warnings_of(config, asked=True, root=str(tmp_path), image_size=16)
    assert line == (
        f"labels: test has no samples of 1 of 2 classes (dogs){NOT_ASKED}add some to test, or move them there"
    )
    line, _ = warnings_of(config, asked=True, root=str(tmp_path), image_size=16, limit_val=1)
    assert line.startswith("labels: val has no samples of 1 of 2 classes (")
    assert line.endswith("data.limit_val=1 leaves some out, data.limit_val=null takes all")


def test_pictures_without_colour(tmp_path: Path) -> None:
    from PIL import Image

    for split in ("train", "val", "test"):
        fake_pictures(tmp_path / split, 4, 16, seed=len(split))
    for path in (tmp_path / "train").iterdir():
        Image.open(path).convert("L").save(path)
    (line,) = warnings_of(
        compose.compose(["task=colorization", "data=folder"]), root=str(tmp_path), image_size=16
    )
    assert line.startswith("pictures: 4 of 4 (100%) have no colour")


def test_pictures_with_several_objects_for_a_network_of_one() -> None:
    config = compose.compose(["task=localization", "data.objects=[2,3]"])
    (line,) = warnings_of(config, train_images=16, val_images=4, test_images=4)
    assert "of 16 pictures" in line and "task=detection" in line and "data.only=single" in line


def test_a_network_that_cannot_be_matched_is_told_in_the_demo_world() -> None:
    """The generated world seen through a window detector whose windows are all as large as the picture."""
    words = ["task=detection", "model=fast_rcnn", "+model.proposer.shares=[1.0]"]
    found = warnings_of(compose.compose(words), train_images=16, val_images=4, test_images=4)
    assert any("can be matched to nothing that RegionDetector predicts with" in line for line in found)


def test_the_run_says_it_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "task=detection",
        *SMALLEST,
        *WORLD,
        "model.max_detections=1",
        "data.objects=[2,3]",
        "test=false",
    ]
    assert main(["train", *words, f"run.dir={tmp_path / 'run'}", "trainer=cpu"]) == 0
    kept = RunFolder(tmp_path / "run").record["warnings"]
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING: objects:")]
    assert [f"WARNING: {line}" for line in kept if line.startswith("objects:")] == told
    assert any("have more than model.max_detections=1 answers" in line for line in kept)
    assert "have more than model.max_detections=1" in (tmp_path / "run" / "log.txt").read_text()


def test_the_checks_of_ten_thousand_boxes_are_few_operations() -> None:
    """Neither does the network look at a picture, nor is anything computed picture by picture for YOLO."""
    from tests.applications.detection.test_yolo import small

    from vision_apps.applications.detection.learnable import findings
    from vision_apps.applications.detection.types import Target

    network = small(3)
    network.forward = None  # type: ignore[assignment, method-assign] # it would fail
    boxes = torch.tensor([[3.0, 3, 40, 40]] * 10)
    targets = [Target(boxes, torch.zeros(10).long(), torch.zeros(0, 4))] * 1000
    assert [*findings(network, targets, (320, 320), {})] == []
