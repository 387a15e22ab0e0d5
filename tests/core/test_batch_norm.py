"""A backbone that has learned before keeps its statistics and goes slower than the head, unless it is told
otherwise."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run
from toy_parts import Watch

from vision_apps.applications.classification.module import Classification
from vision_apps.applications.detection.module import Detection
from vision_apps.applications.localization.module import Localization
from vision_apps.applications.segmentation.module import Segmentation
from vision_apps.core import engine
from vision_apps.core.config.fine_tuning import Rates
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.module import VisionModule
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.tuning import Tuner

pytestmark = pytest.mark.usefixtures("toy")
PARTS: dict[str, Any] = {
    "model": {"_target_": "toy_parts.PartsNet", "width": 4, "dropout": 0.5},
    "callbacks.watch": {"_target_": "toy_parts.Watch"},
    "trainer.max_epochs": 1,
    "optimizer.lr": 0.003,
}
STATISTICS = [f"network.backbone.{layer}.1.running_{kind}" for layer in (0, 1) for kind in ("mean", "var")]
AFFINE = "network.backbone.0.1.weight"


def trained(run: str, **changes: Any) -> dict[str, Any]:
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    engine.train(toy_run.configure(Path(run), {**PARTS, **changes}))
    return toy_run.last(Path(run))


def test_what_has_learned_keeps_its_statistics(capsys: pytest.CaptureFixture[str]) -> None:
    before = trained("first")
    assert (before["config"]["batch_norm"], before["config"]["optimizer"]["backbone_lr"]) == ("batch", None)
    assert "batch_norm" not in capsys.readouterr().out  # nothing was chosen
    after = trained("second", init="first")
    assert (after["config"]["batch_norm"], after["config"]["optimizer"]["backbone_lr"]) == ("fixed", 0.0003)
    assert "batch_norm=fixed optimizer.backbone_lr=0.0003" in capsys.readouterr().out
    for name in STATISTICS:
        assert torch.equal(before["state_dict"][name], after["state_dict"][name]), name
        assert not torch.equal(Watch.seen[0][0][AFFINE], after["state_dict"][AFFINE])  # scale and shift learn
    for _, _, modes in Watch.seen:  # dropout stays on
        assert [modes[f"network.backbone.0.{part}"] for part in (0, 1, 3)] == [True, False, True]


def test_a_channel_of_a_single_value_is_told() -> None:
    """What a pooled branch has of a batch of one."""
    pool = {"_target_": "torch.nn.AdaptiveAvgPool2d", "output_size": 1}
    norm = {"_target_": "torch.nn.BatchNorm2d", "num_features": 3}
    head = [
        {"_target_": "torch.nn.Flatten"},
        {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2},
    ]
    model = {"_target_": "torch.nn.Sequential", "_args_": [pool, norm, *head]}
    with pytest.raises(ConfigError, match=r"^data.batch_size: batch norm.* data.batch_size=2"):
        engine.train(toy_run.configure(Path("one"), {"model": model, "data.batch_size": 1}))


def test_the_words_are_followed() -> None:
    first = trained("first")
    batch = trained("batch", init="first", batch_norm="batch", optimizer__backbone_lr=None)
    assert not any(torch.equal(first["state_dict"][name], batch["state_dict"][name]) for name in STATISTICS)
    assert len(batch["optimizer_states"][0]["param_groups"]) == 2  # one rate
    with pytest.raises(ConfigError, match="batch_norm: fixed keeps the statistics"):
        trained("nothing", batch_norm="fixed")
    assert not Path("nothing").exists()
    with pytest.raises(ConfigError, match="batch_norm: expected"):
        trained("nothing", batch_norm="frozen")


def test_an_application_says_how_much_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    trained("first")
    monkeypatch.setattr(VisionModule, "backbone_share", 0.5)
    after = trained("second", init="first")
    assert after["config"]["optimizer"]["backbone_lr"] == 0.0015
    monkeypatch.undo()
    assert Classification.backbone_share == 0.1
    assert {one.backbone_share for one in (Detection, Localization, Segmentation)} == {0.5}


def test_a_decay_by_layers_goes_before_the_tenth() -> None:
    trained("first")
    after = trained("second", init="first", optimizer__layer_decay=0.5)
    assert after["config"]["optimizer"]["backbone_lr"] is None
    rates = {group.get("name"): group["initial_lr"] for group in after["optimizer_states"][0]["param_groups"]}
    assert rates["backbone"] == 0.0015


def test_only_where_the_backbone_has_learned() -> None:
    """A head that was taken is no reason to keep statistics that nobody has measured."""
    trained("first", model={"_target_": "toy_parts.PlainParts"})
    after = trained("second", init="first", model={"_target_": "toy_parts.PartsNet", "width": 8})
    assert after["config"]["batch_norm"] == "batch"
    assert after["config"]["optimizer"]["backbone_lr"] is None
    taken = RunFolder("second").record["starts_from"]
    assert list(taken["left"]) == ["backbone"] and taken["taken"] >= 2


@pytest.mark.parametrize("batches", [2, 5])
def test_resumed(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trained("first")
    trained("whole", init="first")
    toy_run.stop_after(batches, monkeypatch, lambda: trained("again", init="first"))
    engine.resume("again", [])
    toy_run.assert_same_training(Path("whole"), Path("again"))
    assert toy_run.last(Path("again"))["config"]["batch_norm"] == "fixed"


@pytest.mark.parametrize("typed", [None, 0.002])
def test_a_search_for_the_rate_takes_the_backbone_along(
    typed: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of each rate that is tried; a rate that was typed stays."""
    trained("first")
    seen: list[tuple[float, Rates]] = []
    monkeypatch.setattr("vision_apps.core.tuning.set_rates", lambda _, rates, lr: seen.append((lr, rates)))
    config = toy_run.configure(None, {**PARTS, "init": "first"})
    config.optimizer.backbone_lr = typed or config.optimizer.backbone_lr
    with contextlib.suppress(RunError):  # whether the loss falls is not the question
        Tuner(config).rate(1e-5, 1.0, 12)
    assert len(seen) == 12
    for lr, rates in seen:
        assert rates.backbone_lr == pytest.approx(typed or lr / 10)
