"""Three applications, added with files alone: a sentence beside a picture, a sequence of varying length,
an agent. What every run needs works for them, and nothing that exists is edited."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

import vision_apps
from vision_apps.cli import main
from vision_apps.core import checkpoint_io, engine
from vision_apps.core.config.compose import compose
from vision_apps.core.pictures import to_pil
from vision_apps.trained import evaluate

TOYS = Path(__file__).parent / "toys"
NAMES = sorted(path.stem for path in TOYS.glob("*.py"))
WORDS = {
    "ask": ["--with", "question=is it really red?"],
    "tell": [],
    "walk": ["--with", "start=1", "--with", "goal=5"],
}
ANSWERS = {"ask": "probabilities", "tell": "stripes", "walk": "path"}
SCORES = {"ask": "accuracy", "tell": "exact", "walk": "success"}
SHORT = ["logger=csv", "trainer=cpu", "trainer.max_epochs=2", "callbacks.checkpoint.every_steps=1"]


class Dies(pl.Callback):
    """As a machine does, before the step that ``DIES_AT`` names."""

    def on_train_batch_start(self, trainer: pl.Trainer, *rest: Any) -> None:
        if os.environ.get("DIES_AT") == str(trainer.global_step):
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder."""
    shutil.copytree(TOYS, tmp_path / "own")
    shutil.copy(__file__, tmp_path / "own" / "dies.py")
    monkeypatch.setenv("VISION_APPS_CONF", str(tmp_path / "own" / "conf"))
    monkeypatch.setenv("VISION_APPS_ALLOW", ",".join(["dies", *NAMES]))
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own"


def weights(run: str) -> dict[str, torch.Tensor]:
    return checkpoint_io.load(Path(run) / "checkpoints" / checkpoint_io.LAST)["state_dict"]


def test_they_are_short() -> None:
    assert NAMES == ["ask", "tell", "walk"]
    for name in NAMES:
        assert len((TOYS / f"{name}.py").read_text().splitlines()) <= 120, name


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_everything_that_a_run_needs(
    name: str, own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # it trains, and learns
    values = engine.train(
        compose([f"task={name}", *SHORT, "trainer.max_epochs=30", "optimizer.lr=0.02", "run.dir=long"])
    )
    assert values[f"test/{SCORES[name]}"] > 0.9
    said = capsys.readouterr().out
    takes = [part for word in WORDS[name][1::2] for part in ("--with", f"{word.partition('=')[0]}=...")]
    pictures = [] if name == "walk" else ["YOUR_PICTURE.jpg"]
    assert " ".join(["predict long", *pictures, *takes]) in said
    assert {path.name for path in Path("long/images").iterdir()} >= {
        "test-sheet-best.png",
        "val-sheet-epoch-0029.png",
    }

    # it is killed, and goes on as if nothing had been
    engine.train(compose([f"task={name}", *SHORT, "run.dir=whole"]))
    words = [f"task={name}", *SHORT, "run.dir=killed", "+callbacks.dies._target_=dies.Dies"]
    words = [sys.executable, "-m", "vision_apps", "train", *words]
    path = os.pathsep.join([str(Path(vision_apps.__file__).parents[1]), str(own)])
    death = {**os.environ, "PYTHONPATH": path, "DIES_AT": "8"}  # of twelve
    killed = subprocess.run(words, env=death, capture_output=True, timeout=600)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    engine.resume("killed", [])
    for key, value in weights("whole").items():
        assert torch.equal(value, weights("killed")[key]), key

    # it is tested again, with the same figures
    scored = evaluate.test("long", [])
    assert scored == pytest.approx({key: values[key] for key in scored}, abs=1e-5)

    # it answers a user
    photo = []
    if name != "walk":
        to_pil(torch.tensor([200, 40, 40], dtype=torch.uint8).view(3, 1, 1).expand(3, 8, 8)).save("photo.png")
        photo = ["photo.png"]
    assert main(["predict", "long", *photo, *WORDS[name], "--out", "answers"]) == 0
    (row,) = [json.loads(line) for line in Path("answers/predictions.jsonl").read_text().splitlines()]
    if name == "ask":
        assert row["probabilities"][1] > 0.8 and row["question"] == "is it really red?"
    elif name == "walk":
        assert row["path"] == [2, 3, 4, 5, 5, 5, 5]
    assert ANSWERS[name] in row and (Path("answers") / row["picture"]).is_file()

    # it is shipped, or what is possible is said
    capsys.readouterr()
    status = main(["export", "long", "--format", "torch-export"])
    if name == "ask":
        assert status == 0
        assert main(["predict", "long/exported/model.pt2", *photo, *WORDS[name], "--out", "exported"]) == 0
        (again,) = [json.loads(line) for line in Path("exported/predictions.jsonl").read_text().splitlines()]
        assert again["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
    else:
        assert status == 2 and "--format safetensors" in capsys.readouterr().err
        assert main(["export", "long", "--format", "safetensors"]) == 0
        assert (
            main(["predict", "long/exported/model.safetensors", *photo, *WORDS[name], "--out", "exported"])
            == 0
        )

    # it is compared
    capsys.readouterr()
    assert main(["compare", "long", "whole", "killed", "--metric", f"test/{SCORES[name]}"]) == 0
    assert "long" in capsys.readouterr().out
