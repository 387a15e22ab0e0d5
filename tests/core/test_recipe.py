"""How long a run trains where the configuration says `auto`."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy_run

from vision_apps.core import engine, recipe
from vision_apps.core.run_folder import RunFolder


def settled(samples: int, batch: int = 32, least: int = 0, remainder: str = "fill", **trainer: Any) -> Any:
    data: Any = SimpleNamespace(batch_size=batch, remainder=remainder, samples=lambda split: range(samples))
    config = {
        "trainer": {
            "max_epochs": "auto",
            "log_every_n_steps": "auto",
            "check_val_every_n_epoch": "auto",
            **trainer,
        }
    }
    chosen = recipe.settle(config, data, knows=False, least_steps=least)
    assert chosen == {f"trainer.{name}": config["trainer"][name] for name in chosen_names(chosen)}
    validated = config["trainer"]["check_val_every_n_epoch"]
    assert ("trainer.check_val_every_n_epoch" in chosen) == (validated not in (1, 7))
    return config["trainer"]["max_epochs"], config["trainer"]["log_every_n_steps"], validated


def chosen_names(chosen: dict[str, Any]) -> list[str]:
    return [key.removeprefix("trainer.") for key in chosen]


@pytest.mark.parametrize(
    ("arguments", "epochs", "logged", "validated"),
    [
        ({"samples": 3200}, 10, 33, 1),  # 1,000 steps
        ({"samples": 3200, "batch": 8}, 10, 50, 1),  # 4,000 steps
        ({"samples": 40, "batch": 4, "least": 300}, 30, 10, 1),
        ({"samples": 40, "batch": 4, "least": 301}, 31, 10, 2),
        ({"samples": 16, "batch": 4, "least": 300}, 75, 10, 3),
        ({"samples": 17, "batch": 4, "least": 300}, 60, 10, 2),  # five batches, the last one filled
        ({"samples": 17, "batch": 4, "least": 300, "remainder": "drop"}, 75, 10, 3),
        ({"samples": 3, "batch": 4, "least": 300}, 300, 10, 10),  # one batch of three
        ({"samples": 3, "batch": 4, "least": 300, "check_val_every_n_epoch": 7}, 300, 10, 7),
        ({"samples": 3, "batch": 4, "max_epochs": 300}, 300, 10, 1),  # who says the length knows it
        ({"samples": 3200, "least": 300}, 10, 33, 1),
        ({"samples": 320, "least": 301}, 31, 10, 2),  # whole epochs
        ({"samples": 320, "limit_train_batches": 2}, 10, 1, 1),
        ({"samples": 320, "limit_train_batches": 0.5, "least": 100}, 20, 3, 1),
        (
            {"samples": 320, "accumulate_grad_batches": 4, "least": 100},
            34,
            3,
            2,
        ),  # three steps of ten batches
        ({"samples": 320, "max_steps": 25}, -1, 1, 1),  # it ends in the third epoch
        ({"samples": 32, "max_steps": 100}, -1, 3, 4),
        ({"samples": 320, "max_epochs": 4}, 4, 1, 1),
        ({"samples": 320, "max_epochs": -1, "max_steps": 600}, -1, 20, 1),
        ({"samples": 320, "max_epochs": -1}, -1, 50, 1),
        ({"samples": 320, "max_epochs": None}, None, 50, 1),
        ({"samples": 320, "log_every_n_steps": 7}, 10, 7, 1),
    ],
)
def test_auto(arguments: dict[str, Any], epochs: int, logged: int, validated: int) -> None:
    assert settled(**arguments) == (epochs, logged, validated)


@pytest.mark.usefixtures("toy")
def test_a_run_records_and_prints_what_auto_became(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = toy_run.configure(
        Path("run"),
        {"trainer.max_epochs": "auto", "trainer.log_every_n_steps": "auto", "data.least_steps": 75},
    )
    engine.train(config)
    trainer = RunFolder("run").read_config()["trainer"]
    steps = toy_run.last(Path("run"))["global_step"]
    assert steps >= 75 > steps - steps // trainer["max_epochs"]  # an epoch less would be too few
    told = (
        f"trainer.max_epochs={trainer['max_epochs']} trainer.log_every_n_steps={trainer['log_every_n_steps']}"
    )
    assert told in capsys.readouterr().out
    again = toy_run.configure(
        Path("again"), {key: int(value) for key, _, value in (word.partition("=") for word in told.split())}
    )
    engine.train(again)
    toy_run.assert_same_training(Path("run"), Path("again"))
