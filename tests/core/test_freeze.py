"""What is frozen keeps its weights to the last bit, for the whole run or a share of it."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import toy_run
from pytorch_lightning.strategies import FSDPStrategy
from toy_parts import PartsNet, Watch, Wrapped, state_below

from vision_apps.core import engine
from vision_apps.core.config.check import check
from vision_apps.core.errors import ConfigError
from vision_apps.core.freezing import Freezing, frozen
from vision_apps.core.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("toy")
PARTS: dict[str, Any] = {
    "model": {"_target_": "toy_parts.PartsNet", "width": 4, "dropout": 0.5},
    "optimizer.weight_decay": 0.5,
    "callbacks.watch": {"_target_": "toy_parts.Watch"},
    "trainer.max_epochs": 2,
}
STEPS = 2 * toy_run.BATCHES_PER_EPOCH
SGD = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
AVERAGED = {"_target_": "vision_apps.core.ema.EMA", "decay": 0.9}


def trained(run: str, changes: dict[str, Any]) -> dict[str, Any]:
    engine.train(toy_run.configure(Path(run), {**PARTS, **changes}))
    return toy_run.last(Path(run))


@pytest.mark.parametrize(
    "more", [{}, {"optimizer": SGD}, {"callbacks.ema": AVERAGED}], ids=["adamw", "sgd", "ema"]
)
def test_for_the_whole_run(more: dict[str, Any]) -> None:
    """Neither gradient, decay, momentum, statistics nor averages move what is frozen; the head learns."""
    torch.manual_seed(0)
    after = trained("run", {"freeze": "backbone", **more})
    kept, head = "network.backbone.", "network.head.weight"
    first = Watch.seen[0][0]
    assert not torch.equal(first[head], after["state_dict"][head])
    for state in (*(state for state, _, _ in Watch.seen), after["state_dict"]):
        toy_run.assert_same_state(state_below(first, kept), state_below(state, kept))
    assert len(state_below(first, kept)) == 14
    assert not first["network.backbone.0.1.running_mean"].any()  # as they were made
    assert sum(len(group["params"]) for group in after["optimizer_states"][0]["param_groups"]) == 2


def test_random_numbers_that_stay_are_told() -> None:
    """Where nothing has taught a backbone, and nothing ever will."""
    one = {**PARTS, "trainer.max_epochs": 1}
    warnings = {}
    for run, more in {
        "random": {"freeze": "backbone"},
        "thaws": {"freeze": {"backbone": 0.5}},
        "learned": {"freeze": "backbone", "init": "random"},
    }.items():
        engine.train(toy_run.configure(Path(run), {**one, **more}))
        warnings[run] = RunFolder(Path(run)).record.get("warnings") or []
    assert {run: any("random numbers" in line for line in lines) for run, lines in warnings.items()} == {
        "random": True, "thaws": False, "learned": False,
    }  # fmt: skip


def test_the_same_weights_as_without_a_backbone_that_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frozen part is the one that the seed makes."""
    trained("still", {"freeze": "backbone", "trainer.max_epochs": 1})
    frozen_weights = state_below(toy_run.last(Path("still"))["state_dict"], "network.backbone.0.0")
    trained("free", {"optimizer": {**SGD, "lr": 0.0, "weight_decay": 0.0}, "scheduler": None})
    toy_run.assert_same_state(
        frozen_weights, state_below(toy_run.last(Path("free"))["state_dict"], "network.backbone.0.0")
    )


def test_parts_thaw_one_after_the_other() -> None:
    """The innermost name decides. A part that is frozen is in evaluation mode with all that is in it, also
    after a validation, and one that has thawed is as it was."""
    trained("run", {"freeze": {"backbone": 0.75, "backbone.1": 0.25}})
    assert len(Watch.seen) == STEPS
    for step, (_, learned, modes) in enumerate(Watch.seen):
        ends = {"network.backbone.0": 0.75 * STEPS, "network.backbone.1": 0.25 * STEPS, "network.head": 0}
        for prefix, end in ends.items():
            own = [value for name, value in learned.items() if name.startswith(prefix)]
            assert own == [step >= end] * len(own), (step, prefix)
            parts = [value for name, value in modes.items() if name.startswith(prefix)]
            assert parts == [step >= end] * len(parts), (step, prefix)
        assert modes["network.backbone"] == (step >= 0.75 * STEPS)
    for name in ("network.backbone.0.0.weight", "network.backbone.0.1.running_var"):
        values = [state[name] for state, _, _ in Watch.seen]
        still = [torch.equal(one, other) for one, other in itertools.pairwise(values)]
        assert still == [True] * 8 + [False] * 3, name  # from the tenth step on it moves


@pytest.mark.parametrize("batches", [3, 6, 10], ids=["frozen", "at the thaw", "after it"])
@pytest.mark.parametrize("averaged", [False, True])
def test_resumed_at_any_moment(batches: int, averaged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"freeze": {"backbone": 0.5, "backbone.1": 0.75}}
    changes |= {"callbacks.ema": AVERAGED} if averaged else {}
    trained("whole", changes)
    toy_run.stop_after(batches, monkeypatch, lambda: trained("again", changes))
    engine.resume("again", [])
    toy_run.assert_same_training(Path("whole"), Path("again"))
    kept = toy_run.last(Path("again"))["optimizer_states"][0]["state"]
    assert len(kept) == 10  # of all that has learned


def test_gradients_that_are_summed_over_the_thaw() -> None:
    """It comes between two steps, never between the batches of one."""
    trained("run", {"freeze": {"backbone": 0.5}, "trainer.accumulate_grad_batches": 3})
    learned = [learned["network.backbone.0.0.weight"] for _, learned, _ in Watch.seen]
    assert learned == [False] * 6 + [True] * 6


def test_it_is_told_and_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = trained("run", {"freeze": {"backbone": 0.5}})
    assert "\nfrozen    backbone for 0.5 of the run\n" in capsys.readouterr().out
    assert checkpoint["config"]["freeze"] == {"backbone": 0.5}
    with pytest.raises(ConfigError, match=r"^freeze: a saved run keeps its freeze; start a new run"):
        engine.resume("run", ["freeze=null", "trainer.max_epochs=3"])


WRONG: dict[str, tuple[Any, str]] = {
    "no such part": (
        "backbon",
        r"^freeze: PartsNet has no part 'backbon'; did you mean 'backbone'\?; it has: backbone, head$",
    ),
    "no such part within": (
        ["backbone.2"],
        r"^freeze: PartsNet has no part 'backbone.2'; did you mean 'backbone.1.2'\?",
    ),
    "everything": (
        ["backbone", "head"],
        r"^freeze: with backbone, head frozen nothing of PartsNet is left to train",
    ),
    "everything at first": ({"backbone": 0.1, "head": 0.2}, r"^freeze: with backbone, head frozen nothing"),
    "a share above 1": ({"backbone": 2}, r"freeze: backbone is frozen for 2 of the run; expected a share, 0"),
    "no share": (
        {"backbone": None},
        r"freeze: expected str, list of str, dict of float or null, got \{'back",
    ),
    "a number": (3, r"freeze: expected str, list of str, dict of float or null, got 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_before_training(name: str) -> None:
    value, told = WRONG[name]
    with pytest.raises(ConfigError, match=told):
        trained("run", {"freeze": value})
    assert not Path("run").exists()


def test_a_network_without_the_part() -> None:
    with pytest.raises(
        ConfigError, match=r"^freeze: ToyNet has no part 'backbone'; it has: conv, norm, dropout, head$"
    ):
        engine.train(toy_run.configure(Path("run"), {"freeze": "backbone"}))


def test_a_run_that_only_time_ends_never_thaws() -> None:
    config = toy_run.configure(None, {**PARTS, "freeze": {"backbone": 0.5}, "trainer.max_epochs": -1})
    config.trainer.max_time = "00:00:01:00"
    with pytest.raises(
        ConfigError, match=r"freeze: backbone would thaw after a share of the run, and only time"
    ):
        check(config)


def test_a_property_names_a_part_too() -> None:
    """What a network does not train itself is none of what is frozen, and never thaws."""
    net = Wrapped(2)
    net.inner["features"][0][1].weight.requires_grad_(False)
    known = frozen(net, {"backbone": 0.5, "inner.features.1": 1.0})
    first, second = net.inner["features"]
    assert set(known.parameters) == {*first.parameters(), *second.parameters()} - {first[1].weight}
    assert {known.parameters[p] for p in second.parameters()} == {1.0}
    assert known.modules[first[3]] == 0.5
    assert known.modules[second[3]] == 1.0
    with pytest.raises(ConfigError, match=r"did you mean 'backbone'\?; it has: backbone, inner, neck, top"):
        frozen(net, {"backbones": 1.0})
    assert frozen(PartsNet(2), {"head.bias": 1.0}).modules == {}


def test_with_a_strategy_that_shares_weights_out_nothing_thaws() -> None:
    trainer: Any = SimpleNamespace(strategy=FSDPStrategy())
    with pytest.raises(
        ConfigError, match=r"^freeze: backbone cannot thaw with FSDPStrategy, which has shared"
    ):
        Freezing({"backbone": 0.5, "head": 1.0}).on_train_start(trainer, torch.nn.Module())  # type: ignore[arg-type]
