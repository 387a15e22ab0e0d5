"""Beam search over whole batches: the likeliest sequences that a network of next words can say."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

STRONGEST = 10.0  # length penalty that is of any use: far below where powers of counts overflow
State = tuple[Tensor, ...]  # what a network remembers of each beam, each [B, K, ...]


class Next(NamedTuple):
    """What follows the words of each beam."""

    log_probabilities: Tensor  # float [B, K, V]
    maps: Tensor  # float [B, K, P]: where the next word was looked for
    state: State


class Beams(NamedTuple):
    """The best sequences of each picture, the likeliest first; where there are fewer, all values are 0."""

    words: Tensor  # int64 [B, N, T]: numbers of words, the end, zeros
    log_probabilities: Tensor  # float [B, N]: of the whole sequence, its end included
    maps: Tensor  # float [B, N, T, P]: a map for each word and the end


def beam_search(
    step: Callable[[Tensor, State], Next],
    state: State,
    *,
    width: int,
    best: int,
    length: int,
    end: int,
    barred: Sequence[int] = (0,),
    length_penalty: float = 0.0,
) -> Beams:
    """Sequences of at least one word, by their log-probability over ``count ** length_penalty``, where
    ``count`` is the number of words and the end.

    Of all next words of all beams the K likeliest are looked at: those that end are kept apart, and the beams
    are filled up with the likeliest others; one beam is greedy. Sequences that were cut off after ``length``
    words only fill up where fewer than ``best`` have ended, so that there is always an answer. With as many
    beams as there are sequences the search is exact.

    Args:
        step: from the last word of each beam, int64 [B, K] (0 before the first), and the state to what
            follows.
        state: of each picture, [B, ...]; its beams begin alike.
        width: K, beams.
        best: N, sequences for each picture; at most ``width``.
        length: T, steps.
        end: the number that ends a sequence.
        barred: numbers that are never said.
        length_penalty: 0 and more: the greater, the longer the sequences.
    """
    first = state[0]
    B, K = first.shape[0], width
    beams = tuple(part[:, None].expand(B, K, *part.shape[1:]) for part in state)
    last = torch.zeros(B, K, dtype=torch.int64, device=first.device)
    words, maps = last[..., None][..., :0], None
    total: Tensor | None = None  # log-probability of what each beam has said
    kept: Beams | None = None  # what has ended, best first
    scores: Tensor | None = None  # of those, [B, N]; minus infinity where there is none
    for place in range(length):
        following = step(last, beams)
        said = _without(following.log_probabilities, barred if place else (*barred, end))
        if total is None or maps is None or kept is None or scores is None:
            total = said.new_zeros(B, K)
            total = torch.where(torch.arange(K, device=total.device) > 0, -torch.inf, total)
            maps = following.maps[:, :, None][:, :, :0]
            scores = said.new_full((B, best), -torch.inf)
            kept = Beams(
                words.new_zeros(B, best, length),
                said.new_zeros(B, best),
                following.maps.new_zeros(B, best, length, following.maps.shape[-1]),
            )
        maps = torch.cat((maps, following.maps[:, :, None]), dim=2)
        size = said.shape[-1]
        # as many ways on as beams may end here, and as many beams go on
        grown, choice = (total[..., None] + said).flatten(1).topk(2 * K)
        ends = choice % size == end
        if place:
            rows = choice[:, :K] // size
            values = torch.where(ends, grown, -torch.inf)[:, :K]
            closed = torch.cat((_taken(words, rows), torch.full_like(rows, end)[..., None]), dim=2)
            ended = Beams(_long(closed, length, 2), values, _long(_taken(maps, rows), length, 2))
            kept, scores = _best(kept, scores, ended, values / (place + 1) ** length_penalty)
        total, rows = torch.where(ends, -torch.inf, grown).topk(K)
        choice = choice.gather(1, rows)
        beam, last = choice // size, choice % size
        words = torch.cat((_taken(words, beam), last[..., None]), dim=2)
        maps = _taken(maps, beam)
        beams = tuple(_taken(part, beam) for part in following.state)
        # a graph that is exported has no loop that ends by what is said
        if not torch.compiler.is_exporting():
            reach = total[:, 0] / length**length_penalty
            if bool((scores[:, -1] >= reach).all()):
                break
    assert kept is not None and scores is not None and total is not None and maps is not None
    going_on = Beams(_long(words, length, 2), total, _long(maps, length, 2))
    return _filled(kept, scores > -torch.inf, going_on)


def _without(values: Tensor, numbers: Sequence[int]) -> Tensor:
    return values.index_fill(-1, torch.tensor(list(numbers), device=values.device), -torch.inf)


def _taken(values: Tensor, rows: Tensor) -> Tensor:
    """[B, K, ...] -> [B, N, ...], the rows with these numbers [B, N]."""
    index = rows.reshape(*rows.shape, *[1] * (values.ndim - 2))
    return values.gather(1, index.expand(*rows.shape, *values.shape[2:]))


def _long(values: Tensor, length: int, dim: int) -> Tensor:
    """Filled up with zeros to so many."""
    missing = list(values.shape)
    missing[dim] = length - values.shape[dim]
    return torch.cat((values, values.new_zeros(missing)), dim=dim)


def _best(kept: Beams, scores: Tensor, new: Beams, new_scores: Tensor) -> tuple[Beams, Tensor]:
    """The best of both, as many as are kept."""
    scores, rows = torch.cat((scores, new_scores), dim=1).topk(scores.shape[1])
    joined = (_taken(torch.cat(pair, dim=1), rows) for pair in zip(kept, new, strict=True))
    return Beams(*joined), scores


def _filled(kept: Beams, there: Tensor, others: Beams) -> Beams:
    """Where there are fewer than wanted, the others behind them, as long as these are any."""
    places = torch.arange(there.shape[1], device=there.device)
    rows = (places - there.sum(1, keepdim=True)).clamp_min(0)
    fill = Beams(*(_taken(part, rows) for part in others))
    any_ = there | (fill.log_probabilities > -torch.inf)

    def chosen(own: Tensor, other: Tensor) -> Tensor:
        wide = [1] * (own.ndim - 2)
        mask, valid = there.reshape(*there.shape, *wide), any_.reshape(*there.shape, *wide)
        return torch.where(valid, torch.where(mask, own, other), torch.zeros_like(own))

    return Beams(*(chosen(own, other) for own, other in zip(kept, fill, strict=True)))
