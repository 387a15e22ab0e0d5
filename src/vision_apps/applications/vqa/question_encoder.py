"""From the words of questions to vectors."""

import logging
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from vision_apps.applications.vqa import word_vectors as given
from vision_apps.data.questions.words import numbered

log = logging.getLogger(__name__)

Cell = Literal["gru", "lstm"]
EXPORTED = 24  # words of a question that an exported network reads: its graph has a step for each


class QuestionEncoder(nn.Module):
    """An embedding of words and one recurrent layer over them.

    Args:
        vocabulary: words of questions by their numbers; 0 is past the end.
        cell: ``gru`` or ``lstm``.
        words: entries of a word's vector.
        width: of what comes out.
        dropout: probability of dropping an entry of a word's vector.
        word_vectors: a file of vectors that words begin with, see `word_vectors.read`; a word that is not in
            it begins at random. They are part of the weights: what was trained needs no file.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        cell: Cell = "gru",
        words: int = 64,
        width: int = 128,
        dropout: float = 0.0,
        word_vectors: str | None = None,
    ) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(len(vocabulary), words, padding_idx=0)
        if word_vectors is not None:
            self._begin_with(word_vectors, vocabulary)
        self.dropout = nn.Dropout(dropout)
        layer = nn.LSTM if cell == "lstm" else nn.GRU
        self.memory = layer(words, width, batch_first=True)

    def _begin_with(self, path: str, vocabulary: Sequence[str]) -> None:
        numbers = numbered(vocabulary)
        found = given.read(path, numbers, self.embedding.embedding_dim)
        with torch.no_grad():
            for number, vector in found.items():
                self.embedding.weight[number] = vector
        missing = len(found) < len(numbers)
        log.log(
            logging.WARNING if missing else logging.INFO,
            "%s: %d of %d words of the questions (%.0f%%) have one in %s%s",
            *(given.KEY, len(found), len(numbers), 100 * len(found) / len(numbers), path),
            "; the others begin at random" if missing else "",
        )

    def forward(self, questions: Tensor) -> Tensor:
        """Words int64 [N, L] -> what is known after the last one, [N, width], 0 where there is none. What is
        past the end changes nothing."""
        after, there = self.after_each(questions)
        count = there.sum(1)
        known = after[torch.arange(after.shape[0], device=after.device), (count - 1).clamp_min(0)]
        return torch.where(count[:, None] > 0, known, 0)

    def after_each(self, questions: Tensor) -> tuple[Tensor, Tensor]:
        """Words int64 [N, L] -> what is known after each of them, [N, L, width], and which of them are there,
        bool [N, L]; what is known past the end means nothing. In a graph that is exported L is `EXPORTED`."""
        if torch.compiler.is_exporting():
            return self._in_steps(questions)
        after, _ = self.memory(self.dropout(self.embedding(questions)))
        return after, questions != 0

    def _in_steps(self, questions: Tensor) -> tuple[Tensor, Tensor]:
        """The same of the first `EXPORTED` words, as a graph for any N and L: torch's layers are traced for
        the N and L that they are shown."""
        words = torch.cat((questions, questions.new_zeros(questions.shape[0], EXPORTED)), 1)[:, :EXPORTED]
        weights = self.memory.all_weights[0]
        state = words.new_zeros(words.shape[0], self.width, dtype=weights[0].dtype)
        cell, after = state, []
        for entry in self.embedding(words).unbind(1):
            if isinstance(self.memory, nn.LSTM):
                state, cell = torch.lstm_cell(entry, (state, cell), *weights)
            else:
                state = torch.gru_cell(entry, state, *weights)
            after.append(state)
        return torch.stack(after, 1), words != 0
