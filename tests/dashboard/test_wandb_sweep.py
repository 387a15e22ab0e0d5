"""docs/wandb_sweep.yaml, driven as W&B's agent drives it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from vision_apps.core.config.compose import compose
from vision_apps.core.run_list import runs

REPOSITORY = Path(__file__).parents[2]
SWEEP = yaml.safe_load((REPOSITORY / "docs" / "wandb_sweep.yaml").read_text())
SMALLEST = ["trainer=smoke", "data.train_images=8", "data.val_images=4", "data.test_images=4"]


def choose(number: int) -> dict[str, dict[str, Any]]:
    """A trial's parameters as the server sends them."""
    chosen = {}
    for name, space in SWEEP["parameters"].items():
        values = (
            [space["value"]]
            if "value" in space
            else space.get("values", [space.get("min"), space.get("max")])
        )
        chosen[name] = {"value": values[number % len(values)]}
    return chosen


def command(parameters: dict[str, Any]) -> list[str]:
    """The agent's command line; macros are filled in as in ``wandb.wandb_agent``."""
    macros = {
        **create_sweep_command_args({"args": parameters}),
        "env": ["/usr/bin/env"],
        "interpreter": [sys.executable],
        "program": [str(REPOSITORY / SWEEP["program"])],
    }
    line: list[str] = []
    for word in create_sweep_command(list(SWEEP["command"])):
        line += macros[word[2:-1]] if word.startswith("${") else [word]
    return line


@pytest.mark.parametrize("number", range(3))
def test_trials_compose(number: int) -> None:
    parameters = choose(number)
    line = command(parameters)
    assert line[:3] == ["/usr/bin/env", sys.executable, str(REPOSITORY / "train.py")]
    config = compose(line[3:])
    assert config.optimizer.lr == parameters["optimizer.lr"]["value"]
    assert config.optimizer.weight_decay == parameters["optimizer.weight_decay"]["value"]
    assert SWEEP["metric"] == {
        "name": config.task.monitor,
        "goal": {"min": "minimize", "max": "maximize"}[config.task.mode],
    }


@pytest.mark.slow
def test_a_trial_runs() -> None:
    parameters = {**choose(0), "data.batch_size": {"value": 4}}
    agent = {"WANDB_SWEEP_ID": "sweep", "WANDB_RUN_ID": "agents", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command(parameters) + SMALLEST,
        env={**os.environ, **agent},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    (run,) = runs(Path("runs"))
    assert (run.status, run.record["id"]) == ("finished", "agents")
    assert run.record["choices"]["model"] == "classification_cnn"
    assert len(list(run.folder.path.glob("wandb/offline-run-*-agents"))) == 1
