"""From the words of questions to vectors."""

from typing import Literal

import torch
from torch import Tensor, nn

Encoder = Literal["gru", "lstm"]
EXPORTED = 24  # words of a question that an exported network reads: its graph has a step for each


class QuestionEncoder(nn.Module):
    """An embedding of words and one recurrent layer over them.

    Args:
        words: numbers of words that there are; 0 is past the end.
        width: of a word's vector.
        hidden: of what comes out.
        dropout: probability of dropping an entry of a word's vector.
    """

    def __init__(
        self, words: int, width: int = 64, hidden: int = 128, kind: Encoder = "gru", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        layer = nn.LSTM if kind == "lstm" else nn.GRU
        self.memory = layer(width, hidden, batch_first=True)

    def forward(self, questions: Tensor) -> Tensor:
        """Words int64 [N, L] -> what is known after the last one, [N, hidden], 0 where there is none. What is
        past the end changes nothing."""
        if torch.compiler.is_exporting():
            return self._in_steps(questions)
        after, _ = self.memory(self.dropout(self.embedding(questions)))
        count = (questions != 0).sum(1)
        known = after[torch.arange(len(questions), device=questions.device), (count - 1).clamp_min(0)]
        return torch.where(count[:, None] > 0, known, 0)

    def _in_steps(self, questions: Tensor) -> Tensor:
        """The same of the first `EXPORTED` words, as a graph for any N and L: torch's layers are traced for
        the N and L that they are shown."""
        words = torch.cat((questions, questions.new_zeros(questions.shape[0], EXPORTED)), 1)[:, :EXPORTED]
        weights = self.memory.all_weights[0]
        state = words.new_zeros(words.shape[0], self.memory.hidden_size, dtype=weights[0].dtype)
        cell = state
        for word in words.unbind(1):
            entry, there = self.embedding(word), (word != 0)[:, None]
            if isinstance(self.memory, nn.LSTM):
                new, new_cell = torch.lstm_cell(entry, (state, cell), *weights)
                cell = torch.where(there, new_cell, cell)
            else:
                new = torch.gru_cell(entry, state, *weights)
            state = torch.where(there, new, state)
        return state
