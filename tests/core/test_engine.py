"""A whole run: what it leaves in its folder, what it says, and what it leaves alone."""

import importlib.metadata
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
import toy_run
import yaml
from torch import Tensor
from toy import ToyData, ToyModule

from vision_apps.core import assembly, engine, presentation
from vision_apps.core.command import command
from vision_apps.core.data import TensorSamples
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.pictures import Color, sheet

pytestmark = pytest.mark.usefixtures("toy")


def test_folder_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    values = engine.train(toy_run.configure(None, {"test": True}))
    (run,) = Path("runs/toy").iterdir()
    assert sorted(path.name for path in run.iterdir()) == [
        ".lock", "checkpoints", "config.yaml", "data.json", "environment.json", "images", "log.txt",
        "metrics.csv", "metrics.json", "run.json",
    ]  # fmt: skip
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["run"]["dir"] == str(run)
    assert config["callbacks"]["checkpoint"]["monitor"] == "val/loss"  # resolved
    record = json.loads((run / "environment.json").read_text())
    assert record["versions"]["torch"] == importlib.metadata.version("torch")
    assert record["executable"] == sys.executable
    summary = json.loads((run / "metrics.json").read_text())
    assert summary["final"] == values
    losses = [value for _, _, name, value in toy_run.rows(run) if name == "val/loss"]
    assert summary["best"] == {"value": pytest.approx(min(losses)), "epoch": losses.index(min(losses))}
    said = capsys.readouterr().out
    assert "task      toy · ToyNet, 130 parameters" in said
    assert f"next      {command('train', f'resume={run}', 'trainer.max_epochs=6')}" in said
    assert "accuracy" in said


def test_own_callbacks_and_loggers() -> None:
    """They get the run's folder and facts of the data by name; what is none is refused by its key."""
    toy_run.train(Path("run"), callbacks__note={"_target_": "toy.Note"}, trainer__max_epochs=1)
    assert Path("run/note.txt").read_text() == "2"
    for group, parent in (("callbacks", "Callback"), ("logger", "Logger")):
        with pytest.raises(ConfigError, match=rf"^{group}\.x: toy\.ToyNet is none of Lightning's {parent}s$"):
            toy_run.train(Path(group), **{f"{group}__x": {"_target_": "toy.ToyNet", "num_classes": 2}})


def test_test_scores_the_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = ToyModule.load_state_dict

    def load_state_dict(self: ToyModule, state: dict, **rest: object) -> object:
        seen.append(int(state["network.norm.num_batches_tracked"]))
        return original(self, state, **rest)

    monkeypatch.setattr(ToyModule, "load_state_dict", load_state_dict)
    toy_run.train(Path("run"), test=True, optimizer__lr=0.5, trainer__max_epochs=4)
    best = torch.load("run/checkpoints/best.ckpt", weights_only=True)
    assert seen[-1] == best["global_step"]


@pytest.mark.parametrize(("job", "told"), [(None, False), ("7", True)])
def test_srun_is_only_advised_within_a_job(
    job: str | None, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has srun is often a login node, where training a little needs none."""
    Path("srun").write_text("#!/bin/sh\n")
    Path("srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(Path.cwd()), prepend=os.pathsep)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", job)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        toy_run.train(Path("run"), trainer__max_epochs=1)
    assert any("srun" in str(warning.message) for warning in caught) == told


def test_two_runs_in_one_process_are_two_runs() -> None:
    for _ in range(2):
        engine.train(toy_run.configure(None, {"trainer.max_epochs": 1}))
    one, two = sorted(Path("runs/toy").iterdir())
    toy_run.assert_same_training(one, two)
    assert json.loads((one / "run.json").read_text()) != json.loads((two / "run.json").read_text())


def test_leaves_the_process_as_it_was() -> None:
    before = list(sys.argv), dict(os.environ), sys.modules["__main__"].__spec__
    handlers = [list(logging.getLogger(name).handlers) for name in ("vision_apps", "pytorch_lightning")]
    toy_run.train(Path("run"), trainer__max_epochs=1)
    assert (sys.argv, dict(os.environ), sys.modules["__main__"].__spec__) == before
    assert [logging.getLogger(name).handlers for name in ("vision_apps", "pytorch_lightning")] == handlers


def test_an_existing_folder_is_refused_untouched() -> None:
    Path("mine").mkdir()
    Path("mine/kept").write_text("")
    with pytest.raises(RunError, match="mine exists already and a run never overwrites another"):
        toy_run.train(Path("mine"))
    assert os.listdir("mine") == ["kept"]


def test_a_wrong_configuration_makes_no_folder() -> None:
    with pytest.raises(ConfigError, match=r"model.widht: ToyNet has no parameter 'widht'"):
        engine.train(toy_run.configure(None, {"model.widht": 3}))
    assert not Path("runs").exists()


def test_facts_of_the_data_reach_the_network() -> None:
    toy_run.train(Path("run"), trainer__max_epochs=1)
    assert toy_run.last(Path("run"))["state_dict"]["network.head.weight"].shape[0] == 2
    with pytest.raises(
        ConfigError, match=r"model.num_classes: the configuration says 3, the data says 2; leave"
    ):
        toy_run.train(Path("other"), model__num_classes=3)


def uneven(load: Callable[..., TensorSamples]) -> Callable[..., TensorSamples]:
    """The same with pictures of 6 to 8 px height."""

    def cut(self: ToyData, split: str, fields: tuple[str, ...]) -> TensorSamples:
        whole = load(self, split, fields).fields
        images = [image[:, : 6 + number % 3] for number, image in enumerate(whole["images"])]
        return TensorSamples(images=images, labels=whole["labels"])

    return cut


def test_a_list_says_what_a_tuple_of_the_data_says() -> None:
    node = {"_target_": "vision_apps.data.augmentation.zooms.ScaleCrop", "size": [8, [9]]}
    assert assembly.with_facts(node, {"size": (8, (9,))}, "data.augment.crop") == node
    with pytest.raises(
        ConfigError, match=r"crop.size: the configuration says \[8, \[9\]\], the data says \(8,"
    ):
        assembly.with_facts(node, {"size": (8, 9)}, "data.augment.crop")


def test_pictures_of_several_sizes_are_drawn_as_they_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one, where no more have one size."""
    drawn: list[tuple[list[Tensor], tuple[str, ...]]] = []

    def kept(rows: list[Tensor], titles: tuple[str, ...], legend: Mapping[str, Color]) -> Tensor:
        drawn.append((rows, titles))
        return sheet(rows, titles, legend=legend)

    monkeypatch.setattr(presentation, "sheet", kept)
    monkeypatch.setattr(ToyData, "load", uneven(ToyData.load))
    toy_run.train(Path("run"), trainer__max_epochs=1, data__batch_size=1, data__limit_train=3)
    ((rows, titles),) = drawn
    assert [row.shape[1] for row in rows] == [6, 7, 8, 6, 7, 8, 6, 7] and titles == ("picture",)


@pytest.mark.slow
def test_two_workers_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files read by workers train the same network as data in memory, and no worker is left."""
    monkeypatch.setattr(ToyData, "load", in_files(ToyData.load))
    toy_run.train(Path("files"), trainer__max_epochs=2)
    toy_run.train(Path("workers"), trainer__max_epochs=2, data__workers=2)
    monkeypatch.undo()
    monkeypatch.setenv("VISION_APPS_ALLOW", "toy")
    toy_run.train(Path("memory"), trainer__max_epochs=2)
    toy_run.assert_same_training(Path("memory"), Path("files"))
    toy_run.assert_same_training(Path("memory"), Path("workers"))


class Files:
    """Samples in memory that are read one by one, as files are."""

    def __init__(self, fields: dict[str, torch.Tensor]) -> None:
        self.fields = fields

    def __len__(self) -> int:
        return len(self.fields["images"])

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {name: values[index] for name, values in self.fields.items()}


def in_files(load: object) -> object:
    return lambda self, split, fields: Files(load(self, split, fields).fields)  # type: ignore[operator]


def test_compiled_and_plain_networks_have_the_same_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[bool] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, *args, **kwargs: compiled.append(True))
    toy_run.train(Path("run"), trainer__max_epochs=1, compile=True)
    assert compiled == [True]
    assert all("_orig_mod" not in name for name in toy_run.last(Path("run"))["state_dict"])
