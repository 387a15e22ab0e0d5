"""From a sequence of words to a sequence of actions with attention (Anderson et al. 2018, arXiv:1711.07280,
section 5.1), in the action space of Fried et al. 2018 (arXiv:1806.02724): all around is seen, and one goes to
a neighbour."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vision_apps.applications.navigation.agent import Agent, Decision, Words
from vision_apps.applications.navigation.eyes import Eyes, Seen, attended, fitting
from vision_apps.applications.navigation.types import DIRECTION, Observation


class Seq2Seq(Agent):
    """An LSTM reads the instruction; another one, which begins with what that has read, takes in each step
    how one came here and the views that it attends to, attends to the words, and chooses the action that fits
    best.

    Args:
        vocabulary, actions, image_size, feature_width: of the data.
        words: entries of a word's vector.
        hidden: units of both LSTMs.
        action: entries of the vector of the last action.
        dropout: probability of dropping a unit of words, of what is seen and of what is remembered.
        cell, width: of pictures, see `Eyes`.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        actions: int,
        image_size: int | Sequence[int],
        feature_width: int | None = None,
        words: int = 256,
        hidden: int = 512,
        action: int = 32,
        dropout: float = 0.5,
        cell: int = 8,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.memory = 2 * hidden + 1  # the LSTM's, and whether it has begun
        self.hidden = hidden
        self.embedding = nn.Embedding(len(vocabulary), words, padding_idx=0)
        self.reader = nn.LSTM(words, hidden, batch_first=True)
        self.begin = nn.Linear(hidden, 2 * hidden)
        self.eyes = Eyes(actions, image_size, feature_width, cell, width)
        self.pictures = not self.eyes.features
        self.action = nn.Linear(DIRECTION, action)
        self.looking = nn.Linear(hidden, self.eyes.view_width, bias=False)
        self.remember = nn.LSTMCell(action + self.eyes.view_width, hidden)
        self.asking = nn.Linear(hidden, hidden, bias=False)
        self.joining = nn.Linear(2 * hidden, hidden, bias=False)
        self.choosing = nn.Linear(hidden, self.eyes.candidate_width)
        self.dropout = nn.Dropout(dropout)

    def read(self, instructions: Tensor) -> Words:
        there = instructions != 0
        vectors, _ = self.reader(self.dropout(self.embedding(instructions)))
        last = (there.sum(1) - 1).clamp_min(0)
        whole = vectors.gather(1, last[:, None, None].expand(-1, -1, self.hidden))[:, 0]
        return Words(self.dropout(vectors) * there[..., None], there, whole * there.any(1)[:, None])

    def see(self, observation: Observation, words: Words) -> tuple[Tensor, ...]:
        seen: Seen = self.eyes(observation)
        return seen

    def decide(self, seen: tuple[Tensor, ...], words: Words, memory: Tensor) -> Decision:
        around = Seen(*seen)
        begun = memory[:, -1:]
        before = torch.where(begun > 0, memory[:, :-1], self.begin(words.whole).tanh())
        hidden, cells = before.chunk(2, dim=1)
        led = self.action(around.led).tanh()
        view, _ = attended(self.looking(hidden), around.views)
        hidden, cells = self.remember(self.dropout(torch.cat((led, view), 1)), (hidden, cells))
        kept = self.dropout(hidden)
        heard, attention = attended(self.asking(kept), words.vectors, words.there)
        joined = self.joining(torch.cat((heard, kept), 1)).tanh()
        logits = fitting(self.choosing(self.dropout(joined)), around)
        return Decision(logits, torch.cat((hidden, cells, torch.ones_like(begun)), 1), attention)
