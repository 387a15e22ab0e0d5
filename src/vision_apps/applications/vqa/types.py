"""What travels between data, network, module and user.

A sample is one picture with all its questions: the picture is looked at once, and all that is asked about it
is answered together. Rows past a picture's questions have no words and are -1 elsewhere.
"""

from typing import Annotated, NamedTuple

from torch import Tensor

from vision_apps.core.fields import Pixels, Stays, Text


class VqaBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    questions: Annotated[Tensor, Text()]  # int64 [B, Q, L], numbers of words, 0 past the end
    answers: Annotated[Tensor, Stays(empty=-1)]  # int64 [B, Q], 0..K-1; -1: none, or not in the list
    question_types: Annotated[Tensor, Stays(empty=-1)]  # int64 [B, Q], 0..T-1
    # int64 [B, Q, P]: what each of P people answered; -1: not in the list
    human_answers: Annotated[Tensor | None, Stays(empty=-1)] = None
    # to measure with: another picture for the same questions, and the truth there, -1 where it is not known
    other_images: Annotated[Tensor | None, Stays()] = None  # uint8 [B, 3, H, W]
    other_answers: Annotated[Tensor | None, Stays(empty=-1)] = None  # int64 [B, Q]


class VqaInputs(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    questions: Annotated[Tensor, Text()]


class VqaOutputs(NamedTuple):
    """What a network gives."""

    logits: Tensor  # [B, Q, K]
    places: Tensor  # float32 [B, Q, h, w], at least 0: how much each place had to do with it; no gradient
    # float32 [B, Q, L, h, w]: the same by way of each word, where a network tells it; 0 past the end
    by_word: Tensor | None = None


class VqaAnswer(NamedTuple):
    probabilities: Tensor  # float32 [B, Q, K], of each answer
    places: Tensor  # float32 [B, Q, h, w], where the network looked: sums to 1, over its own input
    by_word: Tensor | None = None  # float32 [B, Q, L, h, w], the same by way of each word


def asked(questions: Tensor) -> Tensor:
    """Which rows are questions: bool [..., Q] of words int64 [..., Q, L]."""
    return (questions != 0).any(-1)
