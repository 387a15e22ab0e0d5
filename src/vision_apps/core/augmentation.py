"""What an augmentation is to the engine: a function from batch to batch that may end before the run does."""

from typing import Any

import pytorch_lightning as pl

from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import FieldsT

# targets below a package to the augmentation that makes one of them
_WRAPPERS = {
    "torchvision.transforms": "vision_apps.data.augmentation.foreign.Torchvision",
    "kornia.augmentation": "vision_apps.data.augmentation.foreign_kornia.Kornia",
}


def wrapped(node: dict[str, Any]) -> dict[str, Any] | None:
    """The node of the augmentation that makes one of a transform of another package; none where it is one."""
    for package, wrapper in _WRAPPERS.items():
        if str(node.get("_target_")).startswith(f"{package}."):
            return {"_target_": wrapper, "transform": node}
    return None


class Augmentation:
    """A change of whole training batches on their device.

    A configuration may name any class that derives from this. Numbers are drawn by `core.draws`, so that a
    sample has the same ones whatever the batch's device and the number of processes. What is drawn from
    torch's global generator instead differs between processes.
    """

    until: float = 1.0  # share of the run after which it is left out

    def __call__(self, batch: FieldsT) -> FieldsT:
        raise NotImplementedError


def share_of_run(name: str, value: float) -> float:
    """``value``, if it is one."""
    if not 0 <= value <= 1:
        raise ConfigError(
            f"data.augment: {name}'s until is {value}; expected a share of the run, 0 to 1 (0.9 leaves it "
            "out in the last tenth)"
        )
    return value


def is_over(transform: object, trainer: pl.Trainer) -> bool:
    """Whether the run has passed the transform's ``until``: a function of the step alone, so that a resumed
    run agrees with an uninterrupted one. Where only time ends a run, nothing ends before it."""
    until = getattr(transform, "until", 1.0)
    return bool(until < 1 and trainer.global_step >= until * trainer.estimated_stepping_batches)
