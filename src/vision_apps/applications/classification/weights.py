"""Weights of classes in the training loss."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from vision_apps.core.errors import require_no

KEY = "module.class_weights"


def class_weights(
    asked: Literal["balanced"] | Sequence[float] | None,
    class_names: Sequence[str],
    balanced: Callable[[], Tensor] | None,
    zero: bool,
) -> Tensor | None:
    """Float32 [K], what the configuration ``asked`` for.

    Args:
        balanced: those that the data give; none where they do not count their classes.
        zero: classes may count nothing, if not all do.

    Raises:
        ConfigError: another word or number of weights, or such as make no loss.
    """
    if asked is None:
        return None
    if isinstance(asked, str):
        require_no([] if asked == "balanced" else [f"{KEY}: {asked}; expected balanced, a list, or null"])
        if balanced is not None:
            return balanced()
        require_no([f"{KEY}: balanced, but the data do not count their classes"])
    weights = torch.tensor(list(asked), dtype=torch.float32)
    count = (weights >= 0).all() and weights.any() if zero else (weights > 0).all()
    expected = "of 0 or more, not all 0" if zero else "of more than 0"
    if len(weights) != len(class_names) or not count:
        require_no(
            [
                f"{KEY}: {list(asked)}; expected {len(class_names)} weights {expected}: one for each of "
                f"{', '.join(class_names)}; or {KEY}=balanced"
            ]
        )
    return weights
