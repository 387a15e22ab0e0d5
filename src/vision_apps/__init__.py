"""Computer-vision applications on PyTorch Lightning, composed with Hydra.

In a notebook or another program, where `train` and `load` are what the commands of these names are::

    import vision_apps

    run = vision_apps.train("task=classification", "trainer=smoke")
    for answer in run.model().predict("photo.jpg"):
        print(answer["class"])
        answer.save("answer.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds, and most who import this package want its version or a command
    from vision_apps.python.model import Model
    from vision_apps.python.training import TrainedRun

__version__ = "0.1.0"


def load(run: str, *changes: str) -> Model:
    """A trained run that answers: see `python.model.Model`.

    Args:
        run: what the commands call RUN, or an exported file.
        changes: ``module.key=value`` for what is chosen when it is used, and ``allow_targets=[PACKAGE]``.

    Raises:
        CheckpointError: there is no such run, or it cannot be read.
    """
    from vision_apps.python.model import Model

    return Model(run, *changes)


def train(*words: str, live: bool | None = None) -> TrainedRun:
    """Train a run, or go on with one: see `python.training.train`."""
    from vision_apps.python.training import train

    return train(*words, live=live)
