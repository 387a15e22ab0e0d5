"""A run that is trained where it is asked for: in a notebook, with figures that follow it."""

import re
import shlex
from pathlib import Path

import pytorch_lightning as pl

from vision_apps.core import engine, metrics_file
from vision_apps.core.command import command
from vision_apps.core.config import compose, options, overrides, targets
from vision_apps.core.config.allowing import CONFIGURED, allow_targets
from vision_apps.python import live as following
from vision_apps.python.model import Model


class TrainedRun:
    """A run that has ended.

    Attributes:
        folder: all that the run knows.
        metrics: figures by name: those of the end of training, of the last validation, and of the test of the
            best weights.
    """

    def __init__(self, folder: Path, metrics: dict[str, float]) -> None:
        self.folder = folder
        self.metrics = metrics

    @property
    def history(self) -> dict[str, tuple[list[int], list[float]]]:
        """The steps and values of each figure by name, in the order of logging."""
        return metrics_file.series(self.folder / "metrics.csv")

    @property
    def pictures(self) -> list[Path]:
        """What the run has drawn, by name."""
        return sorted((self.folder / "images").glob("*.png"))

    def model(self, *changes: str) -> Model:
        """Its best weights, to be asked; ``changes`` as in `vision_apps.load`."""
        return Model(str(self.folder), *changes)

    def __repr__(self) -> str:
        own = {name: value for name, value in self.metrics.items() if re.fullmatch(r"test/[^/]+", name)}
        told = "".join(f"\n  {name} {value:.4g}" for name, value in (own or self.metrics).items())
        return f"{self.folder}{told}"


def train(*words: str, live: bool | None = None) -> TrainedRun:
    """What ``vision-apps train`` does with these words, as in ``train("task=detection", "trainer=smoke")`` or
    ``train("resume=runs/detection/0001-lively-heron", "trainer.max_epochs=20")``.

    Args:
        live: follow it by figures below the cell; by default in a notebook.

    Raises:
        UserError: what the command would print; all of a configuration at once, before anything is built. A
            run that was stopped (`Interrupted`) says how to go on with it.
    """
    follows = following.in_notebook() if live is None else live
    place = _Place()
    callbacks: list[pl.Callback] = [place, *([following.Live()] if follows else [])]
    runs = [word.removeprefix("resume=") for word in words if word.startswith("resume=")]
    if runs:
        changes = [word for word in words if not word.startswith("resume=")]
        overrides.require_resumable(changes, options.groups())
        values = engine.resume(overrides.unquoted(runs[-1]), allow_targets(changes), callbacks)
    else:
        config, chosen = compose.compose_with_choices(words)
        allow_targets(words)
        targets.require_allowed(config.allow_targets, CONFIGURED)
        typed = shlex.split(command("train", *words))
        values = engine.train(config, chosen, callbacks, command=typed)
    return TrainedRun(place.folder, values)


class _Place(pl.Callback):
    """Where the run is."""

    folder = Path()

    def on_fit_start(self, trainer: pl.Trainer, *_: object) -> None:
        self.folder = Path(trainer.default_root_dir)
