"""Figures below a notebook's cell that follow a run."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from matplotlib.axes import Axes
from PIL import Image

from vision_apps.core import figures, metrics_file
from vision_apps.core.pictures import to_pil

_LARGEST = 900  # px of a sheet's width


def in_notebook() -> bool:
    """Whether this process shows pictures to a person."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


class Live(pl.Callback):
    """The loss, the monitored figure and the newest sheet of validation pictures, drawn anew after each
    validation and each epoch."""

    def __init__(self) -> None:
        self._shown: dict[str, Any] = {}  # by name, what a display is changed by

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._follow(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._follow(trainer)

    def _follow(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        monitor = str(getattr(trainer.checkpoint_callback, "monitor", None) or "val/loss")
        self._show("curves", curves(metrics_file.series(folder / "metrics.csv"), monitor))
        if sheets := sorted((folder / "images").glob("val-sheet*.png")):
            with Image.open(sheets[-1]) as sheet:
                sheet.thumbnail((_LARGEST, 10 * _LARGEST))
                self._show("sheet", sheet)

    def _show(self, name: str, picture: Image.Image) -> None:
        from IPython.display import display

        if name in self._shown:
            self._shown[name].update(picture)
        else:
            self._shown[name] = display(picture, display_id=True)


def curves(series: dict[str, tuple[list[int], list[float]]], monitor: str) -> Image.Image:
    """The losses over the steps, and beside them what is monitored where that is none of them."""
    losses = [name for name in ("train/loss", "val/loss") if name in series]
    others = [monitor] if monitor in series and monitor not in losses else []
    figure, first = figures.page(9, 2.8)
    if others:
        figure.delaxes(first)
        axes = [figure.add_subplot(1, 2, place) for place in (1, 2)]
    else:
        axes = [first]
    _draw(axes[0], series, losses)
    if others:
        _draw(axes[1], series, others)
    return to_pil(figures.pixels(figure))


def _draw(axes: Axes, series: dict[str, tuple[list[int], list[float]]], names: Sequence[str]) -> None:
    for name in names:
        axes.plot(*series[name], marker=".", label=name)
    axes.set(xlabel="step")
    axes.grid(alpha=0.3)
    if names:
        axes.legend()
