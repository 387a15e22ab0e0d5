"""What is written into a stranger's folder stays in it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vision_apps.cli import main
from vision_apps.core.errors import CheckpointError
from vision_apps.core.plain_files import refuse_links, write_whole

VICTIM = Path("home/.bashrc")
RUN = Path("run")


@pytest.fixture
def victim() -> None:
    VICTIM.parent.mkdir()
    VICTIM.write_text("as it was")


def test_whole_and_through_no_link(victim: None) -> None:
    for name in ("a.txt", f".a.txt.{os.getpid()}"):
        Path(name).symlink_to(VICTIM)
    write_whole(Path("a.txt"), "new")
    assert (Path("a.txt").read_text(), VICTIM.read_text()) == ("new", "as it was")
    assert not Path("a.txt").is_symlink() and sorted(os.listdir()) == ["a.txt", "home"]


def test_links_that_stay_inside_are_no_matter(victim: None) -> None:
    folder = Path("run")
    (folder / "wandb/run-1").mkdir(parents=True)
    (folder / "wandb/latest").symlink_to("run-1")
    (folder / "self").symlink_to("self")
    Path("link-to-run").symlink_to("run")
    refuse_links(folder)
    refuse_links(Path("link-to-run"))
    (folder / "wandb/run-1/log").symlink_to(Path("../../../home"))  # W&B's own
    refuse_links(folder)
    (folder / "figures/run-1").mkdir(parents=True)
    (folder / "figures/run-1/deep").symlink_to(Path("../../../home"))
    for place in (folder, Path("link-to-run")):
        with pytest.raises(
            CheckpointError, match=r"run/figures/run-1/deep is a link to .*/home, and nothing is"
        ):
            refuse_links(place)
    refuse_links(folder, "images", "self")


def _resume() -> int:
    return main(["train", "resume=run", "trainer.max_epochs=2", "allow_targets=[toy]"])


def _test() -> int:
    return main(["test", "run"])


def _predict() -> int:
    Path("photo.png").write_bytes((RUN / "images/val-sheet-epoch-0000.png").read_bytes())
    return main(["predict", "run", "photo.png"])


def _export() -> int:
    return main(["export", "run", "--format", "safetensors"])


NAMES: dict[str, list[Callable[[], Any]]] = {
    "predictions/predictions.jsonl": [_predict],
    "predictions/predictions.jsonl.part": [_predict],
    "predictions/.predictions": [_predict],
    "predictions": [_predict],
    "exported/model.safetensors.md": [_export],
    "exported": [_export],
    "images/test-sheet-best.png": [_test, _resume],
    "test.json": [_test, _resume],
    "log.txt": [_resume],
    "metrics.csv": [_resume],
    "run.json": [_resume],
    "splits": [_resume],
    "wandb": [_resume],
    "checkpoints/last.ckpt": [_resume],
    "checkpoints": [_resume],
    "checkpoints/.last.ckpt.1.tmp": [_resume],
}


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("name", NAMES)
def test_links_in_a_run(name: str, finished: Path, victim: None, capsys: pytest.CaptureFixture[str]) -> None:
    os.system(f"cp -r {finished} run")  # links of the folder itself are none
    path = RUN / name
    path.parent.mkdir(exist_ok=True)
    aside = path.exists() and path.rename("aside")
    target = VICTIM.parent if "." not in path.name else VICTIM
    if aside and name.startswith("checkpoints"):  # what is read through the link is as it was
        target = Path("aside")
    path.symlink_to(target.absolute())
    before = {p: p.read_bytes() for p in (VICTIM, *Path("aside").rglob("*")) if p.is_file()}
    for command in NAMES[name]:
        assert command() == 2
        assert f"run/{name} is a link to " in capsys.readouterr().err
    assert {p: p.read_bytes() for p in (VICTIM, *Path("aside").rglob("*")) if p.is_file()} == before
    assert os.listdir(VICTIM.parent) == [VICTIM.name]
