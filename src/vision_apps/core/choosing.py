"""What lets a person's choices among the answers of an application decide how it orders them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple

from torch import Tensor

from vision_apps.core.fields import AnswerT, InputsT


class Question(NamedTuple):
    """A picture of which one text is to be chosen."""

    file: str
    candidates: list[str]  # in an order that says nothing
    picture: Callable[[], bytes]  # the picture as PNG, read when it is shown


# Ask a person all questions; the function is called with the number of a question and that of the candidate
# that was chosen of it, or None where none is right. It may be called again for a question: the last one
# counts.
Ask = Callable[[Sequence[Question], Callable[[int, int | None], None]], None]


class Chooser(ABC, Generic[InputsT, AnswerT]):
    """The part of an application whose answers are several texts, in an order that weights decide: a text's
    own value and the weighted sum of its scores, the greatest first.

    Args:
        weights: the settings that are the weights, as in ``module.rerank.coverage.weight``.
        left_out: of other scores the setting that is their weight, and why they cannot be had.
    """

    def __init__(self, weights: Sequence[str], left_out: Mapping[str, str]) -> None:
        self.weights = list(weights)
        self.left_out = dict(left_out)

    @abstractmethod
    def candidates(self, answer: AnswerT) -> list[list[str]]:
        """The texts of each answer, the best first."""

    @abstractmethod
    def scores(self, inputs: InputsT, candidates: Sequence[str]) -> Tensor:
        """Of one input and any texts: a row for each text, float [N, 1 + len(weights)], its own value and its
        scores."""
