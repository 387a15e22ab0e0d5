"""Runs of the toy application: its configuration, and what is compared between two runs."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

import vision_apps
from vision_apps.core import checkpoint_io, engine, metrics_file
from vision_apps.core.checkpoint import Checkpoints, Interrupted
from vision_apps.core.config.compose import compose

HERE = Path(__file__).parent
CONF = HERE / "conf"
OPTIONS = [
    "task=toy",
    "trainer=cpu",
    "logger=csv",
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=1",
    "test=false",
]
BATCHES_PER_EPOCH = 6  # 50 pictures in whole batches of 8


@functools.cache
def _composed() -> DictConfig:
    return compose(OPTIONS, [CONF])


def configure(
    run: Path | None, changes: dict[str, Any] | None = None, *, root: Path | str = "runs"
) -> DictConfig:
    """The toy's configuration. ``changes`` maps dotted keys to values that replace what is there."""
    config = OmegaConf.create(OmegaConf.to_container(_composed(), resolve=False))
    changes = {"run.dir": None if run is None else str(run), "run.root": str(root), **(changes or {})}
    for key, value in changes.items():
        OmegaConf.update(config, key, value, merge=False, force_add=True)
    return config


def train(run: Path, **changes: Any) -> dict[str, float]:
    """Train in ``run``; ``__`` in a name stands for a dot."""
    return engine.train(configure(run, {name.replace("__", "."): value for name, value in changes.items()}))


def stop_after(batches: int, patch: pytest.MonkeyPatch, start: Callable[[], Any]) -> Interrupted:
    """Do ``start``, and ask it to stop after so many training batches as a signal would."""

    original = Checkpoints.on_train_batch_end

    def on_train_batch_end(self: Checkpoints, trainer: Any, *rest: Any) -> None:
        if trainer.fit_loop.total_batch_idx + 1 >= batches:
            self._asked.number = signal.SIGINT
        original(self, trainer, *rest)

    with patch.context() as local:
        local.setattr(Checkpoints, "on_train_batch_end", on_train_batch_end)
        with pytest.raises(Interrupted) as caught:
            start()
    return caught.value


def last(run: Path) -> dict[str, Any]:
    return checkpoint_io.load(run / "checkpoints" / checkpoint_io.LAST)


def rows(run: Path) -> list[tuple[int, int, str, float]]:
    return metrics_file.read(run / "metrics.csv")


def assert_same_state(one: Any, other: Any, where: str = "") -> None:
    """Equal to the last bit, whatever is nested in what; what is no number equals itself."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True, msg=where)
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same_state(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same_state(left, right, f"{where}/{index}")
    else:
        assert one == other or (one != one and other != other), where


def assert_same_training(one: Path, other: Path, measured_too: int | None = None) -> None:
    """Weights, optimizer, schedule and everything logged are those of the same training; the other one may
    have been measured at the end of so many steps, too."""
    first, second = last(one), last(other)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
        assert_same_state(first[part], second[part], part)
    logged, more = sorted(rows(one)), sorted(rows(other))
    if measured_too:
        more = [row for row in more if row in logged or (row[0], row[2][:4]) != (measured_too - 1, "val/")]
    assert logged == more, sorted(set(logged) ^ set(more))


def environment(**more: str) -> dict[str, str]:
    """For a process that trains the toy: it finds the package, the toy, and no account."""
    source = Path(vision_apps.__file__).parents[1]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(source), str(HERE)]),
        "OMP_NUM_THREADS": "1",
        "VISION_APPS_ALLOW": "toy,toy_parts,toy_ranks",
        **more,
    }


def command(*words: str) -> list[str]:
    """The command line that trains the toy."""
    return [sys.executable, "-m", "vision_apps", "train", "--config-dir", str(CONF), *OPTIONS, *words]


def resume_command(run: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "vision_apps", "train", f"resume={run}", *words]


def execute(words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=600, **more)
