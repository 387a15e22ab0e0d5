"""Beam search is exact where its beams hold all sequences, and answers each picture as if it were alone."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.applications.captioning.beam import Beams, Next, State, beam_search

END = 1


def language(tables: Tensor) -> tuple[State, object]:
    """Made-up networks of next words, one for each picture: what follows depends on all words before.

    Args:
        tables: float64 [B, V, V, V]: logits after the last two words.
    """
    V = tables.shape[-1]

    def step(words: Tensor, state: State) -> Next:
        before, number = state
        pictures = torch.arange(len(words))[:, None]
        logits = tables[number, before, words] + torch.zeros_like(tables[pictures, before, words])
        maps = torch.nn.functional.one_hot(words, V).double()
        return Next(logits.log_softmax(-1), maps, (words, number))

    first = torch.zeros(len(tables), dtype=torch.int64)
    return (first, torch.arange(len(tables))), step


def search(tables: Tensor, **options: float) -> Beams:
    state, step = language(tables)
    return beam_search(step, state, end=END, **options)  # type: ignore[arg-type]


def every(table: Tensor, length: int, penalty: float) -> list[tuple[float, list[int]]]:
    """All sequences of one picture with their log-probabilities, those that end first, best first."""
    V = len(table)
    log_probabilities = table.log_softmax(-1)
    ended, cut = [], []
    for count in range(1, length + 1):
        for words in product(range(2, V), repeat=count):
            before, value = (0, 0), 0.0
            for word in words:
                value += float(log_probabilities[before[0], before[1], word])
                before = (before[1], word)
            if count < length:
                value_ended = value + float(log_probabilities[before[0], before[1], END])
                ended.append((value_ended / (count + 1) ** penalty, value_ended, [*words, END]))
            else:
                cut.append((value / length**penalty, value, list(words)))
    ranked = sorted(ended, reverse=True) + sorted(cut, reverse=True)
    return [(value, words) for _, value, words in ranked]


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    V=st.integers(3, 5),
    length=st.integers(1, 4),
    penalty=st.sampled_from([0.0, 0.7, 1.0, 2.0]),
)
def test_as_wide_as_there_are_sequences_it_is_exact(seed: int, V: int, length: int, penalty: float) -> None:
    tables = 2 * torch.randn(2, V, V, V, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    width = max(3, (V - 1) ** length)
    found = search(tables, width=width, best=3, length=length, length_penalty=penalty)
    for words, values, maps, table in zip(*found, tables, strict=True):
        expected = every(table, length, penalty)[:3]
        for row, value, shown, (right_value, right) in zip(words, values, maps, expected, strict=False):
            assert row[: len(right)].tolist() == right and not row[len(right) :].any()
            assert float(value) == pytest.approx(right_value, abs=1e-9)
            # the map of a word is that of its own beam: it shows the word before
            assert shown[: len(right)].argmax(-1).tolist() == [0, *right[:-1]]
            assert not shown[len(right) :].any()
        for row, value in zip(words[len(expected) :], values[len(expected) :], strict=True):
            assert not row.any() and value == 0


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 9), penalty=st.sampled_from([0.0, 1.0]))
def test_a_picture_is_answered_as_if_it_were_alone(seed: int, width: int, penalty: float) -> None:
    tables = 3 * torch.randn(4, 6, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    options = {"width": width, "best": min(width, 3), "length": 7, "length_penalty": penalty}
    together = search(tables, **options)
    for number in range(len(tables)):
        alone = search(tables[number : number + 1], **options)
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[number], other[0])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 20))
def test_there_is_always_an_answer_of_words(seed: int, width: int) -> None:
    tables = torch.randn(3, 5, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    tables[0, ..., END] = -1e9  # never wants to end
    tables[1, ..., END] = 1e9  # wants to say nothing
    tables[2, ..., 0] = 1e9  # wants to say what is barred
    found = search(tables, width=width, best=1, length=6)
    assert (found.words[:, 0, 0] > END).all()
    assert width > 3 or (found.words[0, 0] > END).all()
    assert found.words[1, 0, 1] == END
    assert found.log_probabilities.isfinite().all() and found.maps.isfinite().all()


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 12),
    length=st.integers(1, 6),
    penalty=st.sampled_from([0.0, 0.7, 2.0]),
)
def test_answers_differ_are_in_order_and_have_their_own_probability(
    seed: int, width: int, length: int, penalty: float
) -> None:
    V = 5
    tables = 2 * torch.randn(3, V, V, V, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = search(tables, width=width, best=width, length=length, length_penalty=penalty)
    for words, values, table in zip(
        found.words.tolist(), found.log_probabilities.tolist(), tables, strict=True
    ):
        said = [[word for word in row if word] for row in words if any(row)]
        assert len({*map(tuple, said)}) == len(said) >= 1
        likely = table.log_softmax(-1)
        for row, value in zip(said, values, strict=False):
            before = [0, 0, *row]
            own = sum(float(likely[before[n], before[n + 1], word]) for n, word in enumerate(row))
            assert value == pytest.approx(own, abs=1e-9)
        # those that ended come first, each kind by its score
        ranks = [
            (row[-1] == END, value / len(row) ** penalty) for row, value in zip(said, values, strict=False)
        ]
        assert ranks == sorted(ranks, reverse=True)


def test_greedy_takes_the_likeliest_word_after_word() -> None:
    tables = torch.randn(3, 8, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = search(tables, width=1, best=1, length=9)
    for table, words in zip(tables, found.words[:, 0].tolist(), strict=True):
        before = (0, 0)
        for place, word in enumerate(words):
            allowed = table[before[0], before[1]].clone()
            allowed[[0, END] if place == 0 else [0]] = -torch.inf
            if before[1] == END:
                break
            assert word == int(allowed.argmax())
            before = (before[1], word)


def test_beams_that_end_make_room_for_others() -> None:
    """The two likeliest ways on from the words 2 and 3 both end, with .36 and .32; 2 4, with .24, is taken up
    all the same, and as three words the best by far when lengths are made up for."""
    table = torch.full((1, 5, 5, 5), -50.0, dtype=torch.float64)
    table[0, 0, 0, [2, 3]] = torch.tensor([0.6, 0.4], dtype=torch.float64).log()
    table[0, 0, 2, [END, 4]] = torch.tensor([0.6, 0.4], dtype=torch.float64).log()
    table[0, 0, 3, [END, 4]] = torch.tensor([0.8, 0.2], dtype=torch.float64).log()
    table[0, :, 4, END] = 0
    found = search(table, width=2, best=2, length=3, length_penalty=1.0)
    assert found.words.tolist() == [[[2, 4, END], [2, END, 0]]]
    assert found.log_probabilities[0].exp().tolist() == pytest.approx([0.24, 0.36])


def test_the_graph_that_is_exported_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = 3 * torch.randn(4, 6, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    options = {"width": 4, "best": 2, "length": 8}
    early = search(tables, **options)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    for one, other in zip(early, search(tables, **options), strict=True):
        torch.testing.assert_close(one, other)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 5), penalty=st.sampled_from([0.0, 1.0]))
def test_what_has_ended_is_not_searched_on(seed: int, width: int, penalty: float) -> None:
    """Pictures that end after one, three, ... words go as they end, with all that is known of them; the
    others are answered as before."""
    generator = torch.Generator().manual_seed(seed)
    tables = torch.randn(6, 6, 6, 6, dtype=torch.float64, generator=generator)
    tables[..., END] = torch.tensor([9.0, 9.0, 9.0, 1.0, 1.0, -9.0], dtype=torch.float64)[:, None, None]
    options = {"width": width, "best": width, "length": 8, "length_penalty": penalty, "end": END}
    (before, _), own = language(tables)
    searched: list[int] = []

    def step(words: Tensor, state: State, *memory: Tensor) -> Next:
        searched.append(len(words))
        (number,) = memory
        return own(words, (*state, number[:, None].expand_as(words)))._replace(  # type: ignore[operator]
            state=(words,)
        )

    together = beam_search(step, (before,), (torch.arange(6),), **options)  # type: ignore[arg-type]
    assert searched[0] == 6 and searched == sorted(searched, reverse=True)
    assert width > 3 or searched[-1] < 6
    for number in range(6):
        alone = search(tables[number : number + 1], **{k: v for k, v in options.items() if k != "end"})
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[number], other[0])
