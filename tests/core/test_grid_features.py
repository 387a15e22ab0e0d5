"""A run on the kept features of its frozen backbone is the run without them, and computes them once."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import toy
import toy_parts
import toy_run
from PIL import Image
from torch import nn

from vision_apps.core import engine
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data import feature_store, kept_features
from vision_apps.data.labels.folder import fake_pictures
from vision_apps.trained import evaluate

pytestmark = pytest.mark.usefixtures("toy")
FOLDER = {
    "_target_": "vision_apps.data.labels.folder.ImageFolder",
    "root": "pictures",
    "image_size": 8,
    "val_fraction": 0.2,
    "augment": None,
}
BASE: dict[str, Any] = {
    "model": {"_target_": "toy_parts.PartsNet"},
    "freeze": "backbone",
    "data.augment": None,
    "precision": "32-true",
    "channels_last": False,
    "trainer.max_epochs": 2,
}
CALLBACK = {"_target_": "vision_apps.data.kept_features.GridFeatures", "cache": "cache"}
ON = {"callbacks.grid_features": CALLBACK}
IN_FILES = {"data": {**toy_run.configure(None).data, **FOLDER}, **ON, "callbacks.grid_features.cache": None}
del IN_FILES["data"]["count"]


def trained(run: str, changes: dict[str, Any]) -> dict[str, float]:
    return engine.train(toy_run.configure(Path(run), {**BASE, **changes}))


def without(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if not name.startswith("callbacks.grid")}


def assert_equal_runs(one: str, other: str) -> None:
    """What was logged, what was learned and what was drawn."""
    first, second = toy_run.rows(Path(one)), toy_run.rows(Path(other))
    assert len(first) > 20
    assert [row[:3] for row in first] == [row[:3] for row in second]
    assert [row[3] for row in first] == pytest.approx([row[3] for row in second], rel=1e-6, abs=1e-6)
    states = (toy_run.last(Path(run))["state_dict"] for run in (one, other))
    for value, expected in zip(*(state.values() for state in states), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
    drawn = sorted(path.relative_to(one) for path in Path(one).rglob("*.png"))
    assert drawn and all((Path(one) / p).read_bytes() == (Path(other) / p).read_bytes() for p in drawn)


def pictures(count: int = 30) -> None:
    fake_pictures(Path("pictures/a"), count, 16, seed=0)
    fake_pictures(Path("pictures/b"), count, 16, seed=1)


def folders(cache: str = "cache") -> set[str]:
    return {path.name for path in Path(cache).iterdir() if not path.name.startswith(".")}


def slow(name: str, reason: bool) -> Any:
    return pytest.param(name, marks=pytest.mark.slow) if reason else name


RUNS: dict[str, dict[str, Any]] = {
    "in memory": ON,
    "in files": IN_FILES,
    "read by workers": {**IN_FILES, "data.workers": 1},
    "a property": {**ON, "model": {"_target_": "toy_parts.Wrapped"}},
    "two calls": {**ON, "model": {"_target_": "toy_parts.Mirrored"}},
    "levels by name": {**ON, "model": {"_target_": "toy_parts.Levels"}},
    "measured twice": {**ON, "trainer.val_check_interval": 3, "trainer.accumulate_grad_batches": 2},
    "averaged": {**ON, "callbacks.ema": {"_target_": "vision_apps.core.ema.EMA", "decay": 0.9}},
    "evaluated freely": {**ON, "module._target_": "toy_parts.Freely"},
    "in bfloat16": {**ON, "precision": "bf16-mixed"},
}


@pytest.mark.parametrize("name", [slow(name, name != "in files") for name in RUNS])
def test_the_same_run(name: str) -> None:
    """Loss and metrics of every step, weights and pictures; and the test, which computes."""
    changes = {**RUNS[name], "test": True}
    pictures()
    expected = trained("plain", without(changes))
    assert trained("kept", changes) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert_equal_runs("plain", "kept")


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Of each call of a backbone's first layer how many pictures it saw, and whether in training."""
    calls: list[tuple[int, bool]] = []
    original = toy_parts.Layer.forward

    def forward(self: nn.Module, images: torch.Tensor) -> torch.Tensor:
        if images.shape[1] == 3:
            calls.append((len(images), self.training))
        return original(self, images)

    monkeypatch.setattr(toy_parts.Layer, "forward", forward)
    return calls


def test_each_picture_is_decoded_and_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the first run. A second one computes a batch of each split, to compare, and decodes the pictures
    that tell what they are."""
    from vision_apps.data.labels import squares

    read = mock.Mock(side_effect=squares.read_image)
    monkeypatch.setattr(squares, "read_image", read)
    pictures()
    quiet = {**IN_FILES, "callbacks.pictures": None, "data.batch_size": 10, "trainer.max_epochs": 3}
    calls = counted(monkeypatch)
    trained("first", quiet)  # 46 pictures to train on, 7 to validate
    assert len(folders("pictures/.features")) == 2
    looked_at, all_of_them, compared = [16], [10, 10, 10, 10, 6], [7, 10]
    assert [size for size, _ in calls] == [*looked_at, *all_of_them, 7, 7, *sorted(compared, reverse=True)]
    calls.clear()
    of_first = read.call_count
    read.reset_mock()
    trained("second", quiet)
    assert [size for size, _ in calls] == [16, 7, 10, 7]
    assert not any(training for _, training in calls)
    assert read.call_count == of_first - 46 - 7
    read.reset_mock()
    trained("longer", {**quiet, "trainer.max_epochs": 6})
    assert read.call_count == of_first - 46 - 7
    assert len(folders("pictures/.features")) == 2


def rewritten(path: Path) -> None:
    """Another picture of the same name and size in bytes."""
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(path.with_suffix(".bmp"))
    path.with_suffix(".bmp").replace(path)


def scaled(self: toy.ToyModule, inputs: Any) -> torch.Tensor:
    return self.network(inputs.images.float() / 128)


def changed_weight(patch: pytest.MonkeyPatch) -> None:
    original = toy_parts.PartsNet.__init__

    @functools.wraps(original)
    def init(self: Any, *words: Any, **more: Any) -> None:
        original(self, *words, **more)
        with torch.no_grad():
            self.backbone[1][0].bias[-1] += 1e-5

    patch.setattr(toy_parts.PartsNet, "__init__", init)


OTHER: dict[str, dict[str, Any] | Callable[[pytest.MonkeyPatch], object]] = {
    "a picture": lambda patch: rewritten(Path("pictures/a/0003.png")),
    "a name": lambda patch: Path("pictures/a/0003.png").rename("pictures/a/0003b.png"),
    "one more": lambda patch: shutil.copy("pictures/a/0003.png", "pictures/a/more.png"),
    "fewer": {"data.limit_train": 20},
    "other splits": {"data.split_seed": 1},
    "size": {"data.image_size": 12},
    "what is cut out": {"data.resize": 10},
    "normalisation": lambda patch: patch.setattr(toy.ToyModule, "outputs", scaled),
    "weights": {"seed": 1},
    "one weight": changed_weight,
    "width": {"model.width": 8},
    "precision": {"precision": "bf16-mixed"},
    "format": lambda patch: patch.setattr(feature_store, "VERSION", feature_store.VERSION + 1),
}
SAME: dict[str, dict[str, Any]] = {
    "order": {"data.seed": 3},
    "batch": {"data.batch_size": 4, "data.eval_batch_size": 3},
    "rate": {"optimizer.lr": 0.5},
    "reading": {"data.workers": 1},
}


@pytest.mark.parametrize("name", [slow(name, name != "a picture") for name in OTHER])
def test_what_depends_on_it_is_computed_anew(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures()
    short = {**IN_FILES, "trainer.max_epochs": 1, "callbacks.pictures": None}
    trained("first", short)
    before = folders("pictures/.features")
    change = OTHER[name]
    if isinstance(change, dict):
        short |= change
    else:
        change(monkeypatch)
    trained("second", short)
    assert len(folders("pictures/.features") - before) >= 1
    trained("plain", without(short))
    first, second = toy_run.rows(Path("plain")), toy_run.rows(Path("second"))
    tolerance = 1e-6 if name != "precision" else 1e-2
    assert [row[3] for row in second] == pytest.approx(
        [row[3] for row in first], rel=tolerance, abs=tolerance
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_what_does_not_depend_on_it_is_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures()
    short = {**IN_FILES, "trainer.max_epochs": 1, "callbacks.pictures": None}
    trained("first", short)
    before = folders("pictures/.features")
    trained("second", {**short, **SAME[name]})
    assert folders("pictures/.features") == before


def test_levels_have_their_own() -> None:
    for levels in (["fine"], ["coarse"], ["fine", "coarse"]):
        model = {"_target_": "toy_parts.Levels", "levels": levels}
        trained("-".join(levels), {**ON, "model": model, "trainer.max_epochs": 1})
    assert len(folders()) == 6


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "it learns": ({**ON, "freeze": None}, r"the backbone, which learns; add freeze=backbone$"),
    "it thaws": ({**ON, "freeze": {"backbone": 0.5}}, r"which learns; add freeze=backbone$"),
    "a part thaws": (
        {**ON, "freeze": {"backbone": 1, "backbone.1": 0.5}},
        r"which learns; add freeze=backbone$",
    ),
    "a part is frozen": ({**ON, "freeze": "backbone.0"}, r"which learns; add freeze=backbone$"),
    "augmentation": (
        {**ON, "data.augment": {"noise": {"_target_": "toy.Early", "until": 0.0}}},
        r"^data.augment: noise would change pictures of which .*; data.augment=null leaves all of it out$",
    ),
    "no backbone": (
        {**ON, "model": {"_target_": "toy.ToyNet"}, "freeze": "conv"},
        r"^callbacks.grid_features: ToyNet has no part called backbone; choose",
    ),
    "no place": (
        {**ON, "callbacks.grid_features.cache": None},
        r"^callbacks.grid_features.cache: null .* ToyData has none; say where: callbacks.grid",
    ),
    "compiled": ({**ON, "compile": True}, r"^compile: true would .*; compile=false$"),
    "parts of pictures": (
        {**ON, "model": {"_target_": "toy_parts.Halves"}},
        r"^callbacks.grid_features: Halves gives its backbone 32 parts of 16 pictures, .*; leave it out$",
    ),
    "it is not called": (
        {**ON, "model": {"_target_": "toy_parts.Around"}},
        r"^callbacks.grid_features: Around computes its features without a call of its backbone; leave",
    ),
}


@pytest.mark.parametrize("name", [slow(name, name == "compiled") for name in REFUSED])
def test_what_cannot_be_is_refused_before_training(name: str) -> None:
    changes, told = REFUSED[name]
    with pytest.raises(ConfigError, match=told):
        trained("run", changes)
    assert not Path("run").exists() and not Path("cache").exists()


def test_two_frozen_parts() -> None:
    """That more is frozen than the backbone is no reason to refuse."""
    trained("run", {**ON, "freeze": ["backbone", "head.bias"], "trainer.max_epochs": 1})
    assert len(folders()) == 2


@pytest.mark.slow
def test_a_broken_file_is_left_out() -> None:
    pictures()
    for path in ("pictures/a/0002.jpg", "pictures/b/0007.png"):
        Path(path).write_bytes(b"no picture")
    changes = {**IN_FILES, "data.on_corrupt": "skip", "trainer.max_epochs": 3}
    trained("plain", without(changes))
    trained("kept", changes)
    trained("again", changes)
    assert_equal_runs("plain", "kept")
    assert_equal_runs("plain", "again")
    with pytest.raises(DataError, match=r"Remove or mend the file, leave it out with data\.on_corrupt=skip"):
        trained("refused", {**changes, "data.on_corrupt": "refuse", "callbacks.grid_features.cache": "other"})
    assert not folders("other") - folders("pictures/.features")


@pytest.mark.parametrize("gone", [False, True])
def test_it_goes_on(gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of an epoch, with what is kept and where it was deleted."""
    trained("whole", ON)
    toy_run.stop_after(8, monkeypatch, lambda: trained("again", ON))
    if gone:
        shutil.rmtree("cache")
    engine.resume("again", ["callbacks.grid_features.cache=cache"])
    toy_run.assert_same_training(Path("whole"), Path("again"))


def test_the_run_is_tested_and_answers_without_them() -> None:
    expected = trained("run", {**ON, "test": True})
    shutil.rmtree("cache")
    found = evaluate.test("run", [])
    assert found == pytest.approx({name: value for name, value in expected.items() if name in found})
    assert "test/accuracy" in found and not Path("cache").exists()


def test_what_is_kept_is_held_against_the_first_batch() -> None:
    """A folder that somebody else has made, with the right names and shapes and other numbers."""
    trained("first", {**ON, "trainer.max_epochs": 1})
    for path in Path("cache").rglob("map-0.npy"):
        np.save(path, np.load(path)[::-1])
    with pytest.raises(
        DataError, match=r"^data: the kept features of (val|train) are not what the backbone gives"
    ):
        trained("second", {**ON, "trainer.max_epochs": 1})


def test_samples_of_one_picture_share_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    pictures()
    changes = {**IN_FILES, "data._target_": "toy_parts.Twice"}
    trained("plain", without(changes))
    trained("kept", changes)
    assert_equal_runs("plain", "kept")
    told = capsys.readouterr()
    assert "ImageFolder" not in told.out and "Twice · 92 training samples" in told.out
    assert "grid features of train: 46 samples of " in told.err


@pytest.mark.slow
def test_two_processes_compute_it_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", toy_run.environment()["PYTHONPATH"])
    parts = {"model": {"_target_": "toy_parts.PlainParts"}, "scheduler": None, **ON}
    trained("alone", without(parts))
    trained("two", {**parts, "trainer.strategy": "ddp", "trainer.devices": 2})
    first, second = toy_run.rows(Path("alone")), toy_run.rows(Path("two"))
    assert [row[:3] for row in first] == [row[:3] for row in second]
    assert [row[3] for row in first] == pytest.approx([row[3] for row in second], abs=1e-5)
    assert len(folders()) == 2
    assert capfd.readouterr().err.count("grid features of train") == 1


def test_every_pixel_in_memory_is_known() -> None:
    images = torch.arange(3 * 3 * 4 * 4).reshape(3, 3, 4, 4).to(torch.uint8)
    data = mock.Mock(picture_files=lambda split: [], samples=lambda split: toy.TensorSamples(images=images))
    known = kept_features._pictures(data, "train", range(3))
    assert kept_features._pictures(data, "train", range(3)) == known
    images[2, 2, 3, 3] ^= 1
    assert kept_features._pictures(data, "train", range(3)) != known
