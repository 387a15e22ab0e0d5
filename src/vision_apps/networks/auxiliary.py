"""What networks with auxiliary heads give while they train (Szegedy et al. 2015, section 5)."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import Part, joined


class AuxiliaryLogits(NamedTuple):
    """Logits of a network and of its auxiliary heads; a network that has none, or does not train, gives a
    tensor."""

    logits: Tensor  # [B, K, ...]
    auxiliary: tuple[Tensor, ...]  # each [B, K, ...]
    weight: float  # of each auxiliary loss in the sum


Logits = Tensor | AuxiliaryLogits


def main_logits(outputs: Logits) -> Tensor:
    """What the answer is taken of: [B, K, ...]."""
    return outputs.logits if isinstance(outputs, AuxiliaryLogits) else outputs


def require_classes(network: nn.Module, outputs: object, classes: int, places: str = "") -> None:
    """`ConfigError` where a network does not give `Logits` of so many classes.

    Args:
        places: the dimensions after the classes', such as ``, H, W``.
    """
    logits = outputs.logits if isinstance(outputs, AuxiliaryLogits) else outputs
    of_places = places.count(",")
    if isinstance(logits, Tensor) and logits.ndim == 2 + of_places and logits.shape[1] == classes:
        return
    given = list(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
    raise ConfigError(
        f"model._target_: {type(network).__name__} gives {given}; expected scores [B, {classes}{places}] of "
        f"B pictures. {classes} is what the data say num_classes is, which its constructor can ask for"
    )


def with_auxiliary(outputs: Logits, parts_of: Callable[[Tensor], dict[str, Part]]) -> dict[str, Part]:
    """The parts of a loss over all heads: those of the main head, and weighted beside them ``auxiliary``, the
    loss of the others together. With them, what would be called ``loss`` is called ``main``.

    Args:
        parts_of: from logits to the parts of one head.
    """
    parts = parts_of(main_logits(outputs))
    if not isinstance(outputs, AuxiliaryLogits):
        return parts
    others = [part for logits in outputs.auxiliary for part in parts_of(logits).values()]
    named = {"main" if name == "loss" else name: part for name, part in parts.items()}
    return {**named, "auxiliary": joined(others, outputs.weight)}
