"""A trained application at work."""

from collections.abc import Callable
from typing import NamedTuple

from vision_apps.core.fields import Fields
from vision_apps.core.module import VisionModule


class Predictor(NamedTuple):
    """What answers: a trained module, or the graph of an exported file with the module around it.

    Args:
        module: knows what is given and how an answer is shown. Where a graph answers it is not trained.
        answer: from inputs on the module's device to answers, both of the module's types.
    """

    module: VisionModule
    answer: Callable[[Fields], Fields]
