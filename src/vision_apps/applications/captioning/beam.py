"""Beam search over whole batches: the likeliest sequences that a network of next words can say."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

STRONGEST = 10.0  # length penalty that is of any use: far below where powers of counts overflow
SMALLER = 0.9  # share of the pictures from which it pays to go on with those alone that have not ended
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
    step: Callable[..., Next],
    state: State,
    memory: tuple[Tensor, ...] = (),
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
        step: called with the last word of each beam, int64 [B, K] (0 before the first, when K is 1), the
            state and what ``memory`` holds, tells what follows.
        state: of each picture, [B, ...]; its beams begin alike.
        memory: what is known of each picture, [B, ...].
        width: K, beams.
        best: N, sequences for each picture; at most ``width``.
        length: T, steps.
        end: the number that ends a sequence.
        barred: numbers that are never said.
        length_penalty: 0 and more: the greater, the longer the sequences.
    """
    first = state[0]
    B, device = first.shape[0], first.device  # len would fix the batch of a graph
    never = torch.tensor([*barred, end], device=device)
    beams = tuple(part[:, None] for part in state)
    last = torch.zeros(B, 1, dtype=torch.int64, device=device)
    total = torch.zeros(B, 1, device=device)  # log-probability of what each beam has said
    scores = torch.full((B, best), -torch.inf, device=device)  # of what has ended, the best first
    going: Tensor | None = None  # numbers of the pictures that are searched on, where not all are
    history = _History(B, width)
    for place in range(length):
        following = step(last, beams, *memory)
        said = following.log_probabilities
        size = said.shape[-1]
        grown = (total[..., None] + said).index_fill_(-1, never[:-1] if place else never, -torch.inf)
        # as many ways on as beams may end here, and as many beams go on
        grown, choice = _filled(grown.flatten(1), 2 * width).topk(2 * width)
        beam = (choice // size).clamp_max(last.shape[1] - 1)
        word = choice % size
        ends = word == end
        values = torch.where(ends, grown, -torch.inf)[:, :width]
        ranks = values / (place + 1) ** length_penalty
        total, rows = torch.where(ends, -torch.inf, grown).topk(width)
        last = word.gather(1, rows)
        parents = beam.gather(1, rows)
        history.add(following.maps, last, parents, Ended(ranks, values, beam[:, :width]), going)
        scores = torch.cat((scores.to(ranks), ranks), dim=1).topk(best).values
        # a graph that is exported has no loop that ends by what is said
        if not torch.compiler.is_exporting():
            open_ = scores[:, -1] < total[:, 0] / length**length_penalty
            left = int(open_.sum())
            if not left:
                break
            if left <= SMALLER * len(open_):
                on = open_.nonzero()[:, 0]
                going = on if going is None else going[on]
                total, last, parents, scores = total[on], last[on], parents[on], scores[on]
                memory = tuple(part[on] for part in memory)
                beams = tuple(taken(part[on], parents) for part in following.state)
                continue
        beams = tuple(taken(part, parents) for part in following.state)
    return history.best(total, best, length, end, going)


class Ended(NamedTuple):
    """Of the beams that end with a step, the likeliest first, each [B, K]."""

    scores: Tensor  # minus infinity where none ends
    log_probabilities: Tensor
    rows: Tensor  # the beam of the step before


class _Step(NamedTuple):
    """What was found at one place; all but the maps of all pictures, zeros of those that had ended."""

    maps: Tensor  # [b, k, P], of the pictures that were searched on
    numbers: Tensor  # int64 [B]: which of them each is
    words: Tensor  # int64 [B, K], of the beams that go on
    parents: Tensor  # int64 [B, K]: the beam that each continues


class _History:
    """What each step has chosen: sequences and maps are put together once, from their ends backwards, and
    never copied while beams change places."""

    def __init__(self, pictures: int, width: int) -> None:
        self.pictures, self.width = pictures, width
        self.steps: list[_Step] = []
        self.ended: list[Ended] = []

    def add(self, maps: Tensor, words: Tensor, parents: Tensor, ended: Ended, going: Tensor | None) -> None:
        """
        Args:
            going: numbers of the pictures that all this is of; none: all.
        """
        numbers = torch.arange(maps.shape[0], device=maps.device)
        if going is not None:
            numbers = self._whole(numbers, going, 0)
        whole = (self._whole(part, going, 0) for part in (words, parents))
        self.steps.append(_Step(maps, numbers, *whole))
        scores = self._whole(ended.scores, going, -torch.inf)
        self.ended.append(Ended(scores, *(self._whole(part, going, 0) for part in ended[1:])))

    def _whole(self, values: Tensor, going: Tensor | None, rest: float) -> Tensor:
        """Of all pictures, with ``rest`` for those that are not searched on."""
        if going is None:
            return values
        return values.new_full((self.pictures, *values.shape[1:]), rest).index_copy_(0, going, values)

    def best(self, total: Tensor, best: int, length: int, end: int, going: Tensor | None) -> Beams:
        """The best that ended, and behind them the likeliest beams that have not.

        Args:
            total: [b, K], log-probabilities of these, the greatest first.
        """
        scores, values, rows = (torch.cat(part, dim=1) for part in zip(*self.ended, strict=True))
        scores, chosen = scores.topk(best)
        closed = scores > -torch.inf
        # where there are fewer than wanted, the others behind them, as long as these are any
        numbers = torch.arange(best, device=total.device) - closed.sum(1, keepdim=True)
        others, final = numbers.clamp_min(0), self.steps[-1]
        total = self._whole(total, going, -torch.inf)
        values = torch.where(closed, values.gather(1, chosen), total.gather(1, others))
        places = torch.where(closed, chosen // self.width, len(self.steps) - 1)
        rows = torch.where(closed, rows.gather(1, chosen), final.parents.gather(1, others))
        words = torch.where(closed, end, final.words.gather(1, others))
        there = values > -torch.inf
        return self._walked(words, rows, places.where(there, -1), values.where(there, 0.0), length)

    def _walked(self, word: Tensor, row: Tensor, last: Tensor, values: Tensor, length: int) -> Beams:
        """Sequences by their ``last`` places, -1 of none, the words there and the beams before, [B, N]."""
        beam = torch.zeros_like(row)
        words, maps = [], []
        for place in reversed(range(len(self.steps))):
            step = self.steps[place]
            ends, there = last == place, last >= place
            own = torch.where(ends, word, step.words.gather(1, beam))
            beam = torch.where(ends, row, step.parents.gather(1, beam))
            seen = step.maps.flatten(0, 1)[step.numbers[:, None] * step.maps.shape[1] + beam]
            words.append(own.where(there, 0))
            maps.append(seen.where(there[..., None], 0.0))
        missing = length - len(words)
        return Beams(
            torch.nn.functional.pad(torch.stack(words[::-1], dim=2), (0, missing)),
            values,
            torch.nn.functional.pad(torch.stack(maps[::-1], dim=2), (0, 0, 0, missing)),
        )


def _filled(values: Tensor, count: int) -> Tensor:
    """At least so many of each row, with minus infinity for those that are missing."""
    missing = count - values.shape[1]
    return values if missing <= 0 else torch.nn.functional.pad(values, (0, missing), value=-torch.inf)


def taken(values: Tensor, rows: Tensor) -> Tensor:
    """[B, k, ...] -> [B, K, ...], the rows with these numbers [B, K]."""
    first = torch.arange(rows.shape[0], device=rows.device)[:, None] * values.shape[1]
    return values.flatten(0, 1).index_select(0, (first + rows).flatten()).unflatten(0, rows.shape)
