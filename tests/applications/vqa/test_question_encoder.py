"""Words become vectors: of each question what it says alone, and word by word the same."""

from typing import Any

import pytest
import torch

from vision_apps.applications.vqa.question_encoder import EXPORTED, QuestionEncoder

WORDS = ["", "<unknown>", "a", "b", "c", "d"]


def encoder(cell: Any) -> QuestionEncoder:
    torch.manual_seed(0)
    return QuestionEncoder(WORDS, cell, words=4, width=5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_what_is_past_the_end_changes_no_vector(cell: str) -> None:
    reader = encoder(cell)
    both = reader(torch.tensor([[2, 3, 0, 0], [4, 5, 2, 3]]))
    torch.testing.assert_close(both[:1], reader(torch.tensor([[2, 3]])))
    torch.testing.assert_close(both[1:], reader(torch.tensor([[4, 5, 2, 3]])))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_word_knows_those_before_it(cell: str) -> None:
    reader = encoder(cell)
    after, there = reader.after_each(torch.tensor([[2, 3, 4], [5, 0, 0]]))
    assert there.tolist() == [[True] * 3, [True, False, False]]
    for length in (1, 2, 3):
        torch.testing.assert_close(after[0, length - 1], reader(torch.tensor([[2, 3, 4][:length]]))[0])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_word_by_word_it_is_the_same(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an exported network reads, up to the number of words that it does."""
    reader = encoder(cell)
    questions = torch.tensor([[2, 3, 0, 0], [4, 5, 2, 3], [5, 0, 0, 0], [0, 0, 0, 0]])
    long = torch.full((1, EXPORTED + 3), 2)
    expected, of_long = reader(questions), reader(long[:, :EXPORTED])
    assert not expected[3].any()
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(reader(questions), expected)
    torch.testing.assert_close(reader(long), of_long)
