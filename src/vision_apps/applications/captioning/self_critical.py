"""Self-critical training: captions that a captioner draws are scored by CIDEr-D, and those that score above
their rival become likelier (Rennie et al., CVPR 2017)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.captioning.captioner import State, Step, drawn_words
from vision_apps.applications.captioning.cider import Frequencies, cider_d, frequencies
from vision_apps.core.losses import Part
from vision_apps.data.captions.words import END, PAST, UNKNOWN


class Drawn(NamedTuple):
    """Captions that were drawn from what a captioner thinks likely."""

    words: Tensor  # int64 [B, S, T]: numbers of words, the end, zeros
    log_probabilities: Tensor  # [B, S], nat, differentiable: of the whole caption
    greedy: Tensor | None = None  # int64 [B, 1, T]: the likeliest word after word, where it is the rival


def draw(step: Callable[[Tensor, State], Step], state: State, chances: Tensor) -> Drawn:
    """Captions of at least one word, each word drawn by its probability after those before it. Nothing that
    is never said, as `beam.beam_search` has it, is drawn.

    Args:
        step: from the last word of each caption, int64 [B, S] (0 before the first), and the state to what
            follows.
        state: of each picture, [B, ...].
        chances: float [B, S, T] evenly in [0, 1): what decides each word; T is the most that is drawn.
    """
    B, S, T = chances.shape
    state = tuple(part[:, None].expand(B, S, *part.shape[1:]) for part in state)
    last = torch.full((B, S), PAST, device=chances.device)
    going = torch.ones_like(last, dtype=torch.bool)
    words, log_probabilities = [], []
    for place in range(T):
        told = step(last, state)
        state = told.state
        never = torch.tensor([PAST, UNKNOWN, *([] if place else [END])], device=last.device)
        likely = told.logits.float().index_fill(-1, never, -torch.inf).log_softmax(-1)
        last = drawn_words(likely.detach(), chances[..., place]).where(going, PAST)
        own = likely.gather(-1, last[..., None])[..., 0]
        words.append(last)
        log_probabilities.append(own.where(going, 0.0))
        going = going & (last != END)
        if not going.any():
            break
    return Drawn(torch.stack(words, dim=-1), torch.stack(log_probabilities).sum(0))


def known_of(captions: Tensor, vocabulary: Sequence[str]) -> Frequencies:
    """How often n-grams, the end among them, are said in captions int64 [B, R, L] of each picture."""
    texts = (_texts(own, vocabulary) for own in captions.tolist())
    return frequencies([own for own in texts if own])


def rewards(words: Tensor, captions: Tensor, vocabulary: Sequence[str], known: Frequencies) -> Tensor:
    """CIDEr-D of each caption int64 [B, S, T] beside those in ``captions`` int64 [B, R, L]: float32 [B, S].

    The end counts as a word: without it captions that break off score as high as others. Of a picture without
    a reference it is 0.
    """
    wanted = [_texts(own, vocabulary) for own in captions.tolist()]
    said = [[_text(row, vocabulary) for row in own] for own in words.tolist()]
    scores = cider_d(said, [own or [""] for own in wanted], known)
    return torch.tensor(scores, device=words.device)


def self_critical_losses(
    drawn: Drawn, captions: Tensor, vocabulary: Sequence[str], known: Frequencies
) -> dict[str, Part]:
    """``self_critical``, whose gradient is on average that of minus the expected CIDEr-D (equation 7): the
    mean over captions of how far each is below its rival, times its log-probability. The rival is the greedy
    caption where there is one, else the mean of the picture's other captions (Luo, arXiv:2003.09971, 2020).
    ``reward``: the mean CIDEr-D of what was drawn.

    Args:
        captions: int64 [B, R, L], the references; a picture without one teaches nothing.
    """
    there = captions.any(-1).any(-1)
    own = rewards(drawn.words, captions, vocabulary, known)
    if drawn.greedy is None:
        rival = (own.sum(1, keepdim=True) - own) / (own.shape[1] - 1)
    else:
        rival = rewards(drawn.greedy, captions, vocabulary, known)
    count = there.sum() * own.shape[1]
    below = (rival - own) * drawn.log_probabilities * there[:, None]
    return {"self_critical": Part(below.sum(), count), "reward": Part(own.sum(), count, weight=0.0)}


def _texts(captions: Sequence[Sequence[int]], vocabulary: Sequence[str]) -> list[str]:
    return [text for text in (_text(row, vocabulary) for row in captions) if text]


def _text(words: Sequence[int], vocabulary: Sequence[str]) -> str:
    """The words and the end, a space between two."""
    return " ".join(vocabulary[number] for number in words if number != PAST)
