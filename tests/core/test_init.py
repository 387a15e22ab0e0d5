"""A new run begins with another's weights, as far as they fit, and says which."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run
from omegaconf import OmegaConf
from toy_parts import PartsNet, Wrapped

from vision_apps.core import assembly, checkpoint_io, engine, starting
from vision_apps.core.errors import CheckpointError, ConfigError

pytestmark = pytest.mark.usefixtures("toy")
PARTS = {"_target_": "toy_parts.PartsNet", "width": 4, "dropout": 0.5}
WRAPPED = {**PARTS, "_target_": "toy_parts.Wrapped"}
SHORT: dict[str, Any] = {"model": PARTS, "trainer.max_epochs": 1}
STILL: dict[str, Any] = {  # what it begins with is what it ends with
    **SHORT,
    "optimizer.lr": 0.0,
    "freeze": "backbone",
    "scheduler": None,
}


def named(*names: str) -> dict[str, Any]:
    return {"data._target_": "toy_parts.NamedData", "data.class_names": list(names)}


def trained(run: str, changes: dict[str, Any]) -> dict[str, torch.Tensor]:
    engine.train(toy_run.configure(Path(run), {**SHORT, **changes}))
    return toy_run.last(Path(run))["state_dict"]


def best(run: str) -> dict[str, torch.Tensor]:
    return checkpoint_io.load(Path(run, "checkpoints/best.ckpt"))["state_dict"]


def record(run: str) -> dict[str, Any]:
    return json.loads(Path(run, "run.json").read_text())["starts_from"]


def begun(init: str, changes: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights before the first step."""
    config: Any = toy_run.configure(None, {**SHORT, "init": init, **changes})
    _, module = assembly.prepared(OmegaConf.to_container(config, resolve=True), False)
    return dict(module.state_dict())


def test_all_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    trained("first", {"trainer.max_epochs": 2})
    assert record("first") == {"weights": "random numbers"}
    assert "\nstarts from random numbers\n" in capsys.readouterr().out
    after = trained("second", {"init": "first", **STILL})
    assert "\nstarts from first/checkpoints/best.ckpt · 16 of 16 tensors\n" in capsys.readouterr().out
    toy_run.assert_same_state(best("first"), after)
    known = json.loads(Path("first/run.json").read_text())
    step = checkpoint_io.load("first/checkpoints/best.ckpt")["global_step"]
    assert record("second") == {
        "weights": "first/checkpoints/best.ckpt", "run": known["id"], "step": step,
        "taken": 16, "of": 16, "left": {}, "rest": "random numbers",
    }  # fmt: skip


def test_best_then_last_then_the_named_one() -> None:
    trained("first", {"trainer.max_epochs": 2})
    last = dict(toy_run.last(Path("first"))["state_dict"])
    toy_run.assert_same_state(begun("first/checkpoints/last.ckpt", {}), last)
    Path("first/checkpoints/best.ckpt").rename("elsewhere.ckpt")
    toy_run.assert_same_state(begun("first", {}), last)
    moved = checkpoint_io.load("elsewhere.ckpt")
    toy_run.assert_same_state(begun("elsewhere.ckpt", {}), dict(moved["state_dict"]))


def test_other_classes(capsys: pytest.CaptureFixture[str]) -> None:
    """A head of another shape stays random, and one of the same shape for other names too."""
    source = trained("first", named("cat", "dog"))
    capsys.readouterr()
    for names, told in (
        (("cat", "dog"), "· 16 of 16 tensors\n"),
        (("dog", "cat"), "· 14 of 16 tensors · random numbers: head (other classes)\n"),
        (("bird", "fish"), "· 14 of 16 tensors · random numbers: head (other classes)\n"),
        (("cat", "dog", "fish"), "· 14 of 16 tensors · random numbers: head (another shape)\n"),
    ):
        run = "-".join(names)
        after = trained(run, {"init": "first/checkpoints/last.ckpt", **STILL, **named(*names)})
        assert told in capsys.readouterr().out, names
        for name, value in source.items():
            same = after[name].shape == value.shape and torch.equal(after[name], value)
            assert same == (name.startswith("network.backbone") or names == ("cat", "dog")), (names, name)


def test_the_same_random_head_whatever_is_taken() -> None:
    """To look for layers that depend on the classes draws nothing."""
    trained("first", named("cat", "dog"))
    heads = [begun("first", named(*names))["network.head.weight"] for names in (("a", "b"), ("c", "d"))]
    assert torch.equal(*heads)
    config: Any = toy_run.configure(None, {**SHORT, **named("a", "b")})
    _, module = assembly.prepared(OmegaConf.to_container(config, resolve=True), False)
    assert torch.equal(heads[0], module.state_dict()["network.head.weight"])


def test_a_backbone_of_another_network(capsys: pytest.CaptureFixture[str]) -> None:
    """At its place below the backbone, whatever the networks call it."""
    source = trained("first", {})
    after = trained("second", {"init": "first/checkpoints/last.ckpt", **STILL, "model": WRAPPED})
    assert (
        "· 14 of 18 tensors · random numbers: neck (not there), top (not there)\n" in capsys.readouterr().out
    )
    for name, value in source.items():
        if name.startswith("network.backbone."):
            assert torch.equal(after[name.replace("backbone", "inner.features")], value), name
    back = trained("third", {"init": "second", **STILL})
    assert all(torch.equal(back[n], source[n]) for n in source if n.startswith("network.backbone."))
    assert not torch.equal(back["network.head.weight"], source["network.head.weight"])


def test_published_weights_are_had_only_for_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here every network with weights would be asked for them."""
    fetched: list[str] = []

    class Published(PartsNet):
        def __init__(self, num_classes: int, width: int = 4, weights: str | None = None) -> None:
            super().__init__(num_classes, width)
            if weights is not None:
                self.starts_from = f"{weights} of a shelf"
                fetched.append(weights)
                torch.nn.init.constant_(self.backbone[0][0].weight, 7.0)

    monkeypatch.setattr("toy_parts.Published", Published, raising=False)
    Published.__qualname__, Published.__module__ = "Published", "toy_parts"
    trained("first", {})
    model = {"_target_": "toy_parts.Published", "width": 4, "weights": "DEFAULT"}
    state = begun("first", {"model": model})
    assert fetched == []
    looked_for: list[str] = []
    monkeypatch.setattr(
        Published,
        "weights_at_hand",
        staticmethod(lambda key, **_: looked_for.append(key) or "DEFAULT"),
        raising=False,
    )
    trained("auto", {"init": "first", "model": {**model, "weights": "auto"}})
    assert (looked_for, fetched) == ([], [])
    assert toy_run.last(Path("auto"))["config"]["model"]["weights"] is None
    assert torch.equal(state["network.backbone.0.0.weight"], best("first")["network.backbone.0.0.weight"])
    source = checkpoint_io.load("first/checkpoints/best.ckpt")
    del source["state_dict"]["network.backbone.0.0.weight"]
    checkpoint_io.save(source, Path("part.ckpt"))
    after = trained("second", {"init": "part.ckpt", **STILL, "model": {**model, "weights": "auto"}})
    assert (looked_for, fetched) == (["model.weights"], ["DEFAULT"])
    assert toy_run.last(Path("second"))["config"]["model"]["weights"] == "DEFAULT"
    assert (after["network.backbone.0.0.weight"] == 7).all()
    assert starting.told(record("second")).endswith(
        "· 15 of 16 tensors · DEFAULT of a shelf: backbone.0.0.weight (not there)"
    )
    trained("third", {**STILL, "model": model})
    assert record("third") == {"weights": "DEFAULT of a shelf"}


def test_stopped_before_the_first_checkpoint_it_begins_again_so(capsys: pytest.CaptureFixture[str]) -> None:
    trained("first", {})
    expected = trained("second", {"init": "first", "trainer.max_epochs": 2})
    for path in Path("second/checkpoints").iterdir():
        path.unlink()
    engine.resume("second", [])
    toy_run.assert_same_state(toy_run.last(Path("second"))["state_dict"], expected)
    assert record("second")["taken"] == 16
    capsys.readouterr()
    Path("first").rename("gone")  # to go on, nothing of it is needed
    engine.resume("second", ["trainer.max_epochs=3"])
    assert "\nstarts from last.ckpt, step 12\n" in capsys.readouterr().out
    assert record("second")["taken"] == 16


def test_nothing_fits() -> None:
    trained("first", {})
    plain = {"model": {"_target_": "toy_ranks.PlainNet"}}
    with pytest.raises(ConfigError) as caught:
        trained("second", {"init": "first", **plain})
    assert str(caught.value) == (
        "init=first/checkpoints/best.ckpt: none of the 2 tensors of PlainNet has the name and shape of one "
        "in PartsNet, which it is of; choose the model= of that run, or one with the same backbone"
    )
    assert not Path("second").exists()


class Trap:
    """What executes something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


def test_what_is_no_checkpoint_has_its_message() -> None:
    Path("empty").mkdir()
    Path("photo.ckpt").write_bytes(b"\x89PNG, no checkpoint")
    torch.save({"weight": torch.zeros(1)}, "plain.ckpt")
    torch.save({"state_dict": {"a": 1}}, "none.ckpt")
    torch.save({"state_dict": {"a": Trap()}}, "trap.ckpt")
    for place, told in {
        "nowhere": r"^init=nowhere: nowhere does not exist: expected a run folder",
        "empty": r"^init=empty: empty has no config.yaml: expected a run folder",
        "photo.ckpt": r"^init=photo.ckpt: photo.ckpt is truncated or damaged",
        "plain.ckpt": r"^init=plain.ckpt: plain.ckpt is not a checkpoint of a run: it has no 'state_dict'",
        "none.ckpt": r"^init=none.ckpt: none.ckpt holds no weights",
        "trap.ckpt": r"^init=trap.ckpt: trap.ckpt holds more than plain data and was refused without being",
    }.items():
        with pytest.raises(CheckpointError, match=told):
            trained("run", {"init": place})
    assert not Path("run").exists()
    assert not Path("executed").exists()


def test_a_checkpoint_that_says_nothing_of_itself() -> None:
    """By its names alone; what depends on classes is not taken from it where this run's have names."""
    torch.save({"state_dict": {f"network.{n}": v for n, v in PartsNet(2).state_dict().items()}}, "bare.ckpt")
    trained("run", {"init": "bare.ckpt", **STILL, **named("cat", "dog")})
    assert record("run")["left"] == {"head": "other classes"}
    trained("other", {"init": "bare.ckpt", **STILL})
    assert record("other")["taken"] == 16
    with pytest.raises(CheckpointError, match=r"^bare.ckpt: the checkpoint has no 'config'"):
        trained("third", {"init": "bare.ckpt", "model": WRAPPED})


def test_with_resume_it_is_refused() -> None:
    trained("first", {})
    with pytest.raises(
        ConfigError, match=r"^init: resume=first goes on with that run's own weights; leave one"
    ):
        engine.resume("first", ["init=first"])
    with pytest.raises(
        ConfigError, match=r"init: resume=first goes on with that run's own weights; leave one"
    ):
        trained("second", {"init": "first", "resume": "first"})
    with pytest.raises(ConfigError, match=r"init: expected str or null, got 3"):
        trained("second", {"init": 3})
    with pytest.raises(ConfigError, match=r"init: expected a run folder or a checkpoint \(.ckpt\), got ''"):
        trained("second", {"init": ""})


def test_parts_of_which_nothing_was_taken() -> None:
    taken = starting.Taken(
        {"network.a.b.w": "x"},
        {"network.a.b.v": "not there", "network.a.c.d.w": "another shape", "network.e.f.w": "not there"},
    )
    assert starting.left_parts(taken) == {"a.b.v": "not there", "a.c": "another shape", "e": "not there"}
    assert set(starting.names_below_backbone(Wrapped(2)).values()) == {
        f"network.inner.features.{name}" for name in PartsNet(2).backbone.state_dict()
    }
    assert starting.names_below_backbone(PartsNet(2).head) == {}
