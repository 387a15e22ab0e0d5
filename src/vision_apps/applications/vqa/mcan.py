"""Deep modular co-attention (Yu et al., CVPR 2019, arXiv:1906.10770) in the form of an encoder of the
question and a decoder of the picture (section 4.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vision_apps.applications.vqa.film import with_coordinates
from vision_apps.applications.vqa.question_encoder import QuestionEncoder
from vision_apps.applications.vqa.types import VqaOutputs, asked
from vision_apps.core.errors import ConfigError
from vision_apps.networks.backbones import Backbone


class Guided(nn.Module):
    """Places that look at each other and then at the words: self-attention, guided attention and a layer of
    each place alone, every one added to what goes in and normalised (the paper's SA and GA units, figure 2).
    `nn.TransformerDecoderLayer` computes the same, and tells nothing of where it looked."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.own, self.words = (
            nn.MultiheadAttention(width, heads, dropout, batch_first=True) for _ in range(2)
        )
        self.alone = nn.Sequential(
            nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def before(self, places: Tensor) -> Tensor:
        """What does not depend on a question: [B, P, C] -> the same."""
        seen, _ = self.own(places, places, places, need_weights=False)
        return self._added(0, places, seen)

    def after(self, places: Tensor, words: Tensor, past: Tensor, told: bool) -> tuple[Tensor, Tensor | None]:
        """Places [N, P, C] and words [N, L, C], which are none where ``past`` [N, L] -> places, and if it is
        to be ``told`` how much each looked at each word, [N, P, L], the mean over the heads: sums to 1."""
        heard, looked = self.words(places, words, words, key_padding_mask=past, need_weights=told)
        places = self._added(1, places, heard)
        return self._added(2, places, self.alone(places)), looked

    def _added(self, number: int, values: Tensor, new: Tensor) -> Tensor:
        norm: Tensor = self.norms[number](values + self.dropout(new))
        return norm


class Reduced(nn.Module):
    """Many vectors to one, their mean by weights that a small network gives (section 4.3)."""

    def __init__(self, width: int, out: int, dropout: float) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1)
        )
        self.merge = nn.Linear(width, out)

    def forward(self, values: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[N, L, C], which are none where ``past`` [N, L] -> [N, out] and the weights [N, L], which sum to
        1."""
        weights: Tensor = self.weigh(values)[..., 0]
        if past is not None:
            weights = weights.masked_fill(past, -torch.inf)
        weights = weights.softmax(-1)
        merged: Tensor = self.merge((weights[:, None] @ values)[:, 0])
        return merged, weights


class Mcan(nn.Module):
    """Words that attend to each other, places of the coarsest map of ``backbone`` that attend to each other
    and to what the words became; both reduced to a vector, and the answer told from their sum.

    A picture goes through the backbone, and through the part of the first layer that no question has touched
    yet, once for all that is asked about it. The paper looks at boxes that a detector found; of a map each
    place also says where it lies, as attention knows no order.

    Args:
        question: from words to vectors.
        answer_names: the answers that there are.
        layers: of the question, and as many of the picture.
        width: features of a word and of a place.
        heads: of an attention; they share the width.
        inner: features of the layers of each word or place alone.
        reduced: features of what both are reduced to.
        dropout: probability of dropping a weight of an attention or a feature of what is added.
    """

    def __init__(
        self,
        backbone: Backbone,
        question: QuestionEncoder,
        answer_names: Sequence[str],
        layers: int = 6,
        width: int = 512,
        heads: int = 8,
        inner: int = 2048,
        reduced: int = 1024,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if layers < 1 or width % heads:
            raise ConfigError(
                f"model.layers: {layers}, model.width: {width}, model.heads: {heads}; expected at least one "
                "layer, and a width that the heads can share"
            )
        self.backbone = backbone
        self.question = question
        self.word = nn.Linear(question.width, width) if question.width != width else nn.Identity()
        self.place = nn.Linear(backbone.channels[-1] + 2, width)
        self.readers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, inner, dropout, batch_first=True) for _ in range(layers)
        )
        self.lookers = nn.ModuleList(Guided(width, heads, inner, dropout) for _ in range(layers))
        self.words, self.places = (Reduced(width, reduced, dropout) for _ in range(2))
        self.norm = nn.LayerNorm(reduced)
        self.head = nn.Linear(reduced, len(answer_names))

    def forward(self, pixels: Tensor, questions: Tensor) -> VqaOutputs:
        """Normalised pixels [B, 3, H, W] and words int64 [B, Q, L] -> logits and places, whole and for each
        word. In training the rows without words are left out, their logits are 0, and nobody asks where the
        network looks: places are [B, Q, 1, 1]."""
        pictures, count = questions.shape[:2]
        texts = questions.flatten(0, 1)
        of = torch.arange(pictures, device=texts.device)[:, None].expand(-1, count).flatten()
        maps = with_coordinates(self.backbone(pixels)[-1])
        grid = self.place(maps.flatten(2).mT)
        if self.training:
            there = asked(texts)
            # torch has no attention of nothing: where no question is, as in a process's share of a batch, one
            # row is answered and counts for nothing
            first = torch.arange(len(texts), device=texts.device) == 0
            rows = (there | (first & ~there.any())).nonzero()[:, 0]
            told, _, _ = self._told(grid, texts[rows], of[rows])
            told = torch.where(there[rows][:, None], told, 0)
            logits = told.new_zeros(len(texts), told.shape[1]).index_copy(0, rows, told)
            return VqaOutputs(logits.unflatten(0, (pictures, count)), told.new_zeros(pictures, count, 1, 1))
        told, weights, looked = self._told(grid, texts, of)
        assert looked is not None
        if torch.compiler.is_exporting():  # of another number of words, see `QuestionEncoder.after_each`
            length = questions.shape[2]
            filled = torch.cat((looked, looked.new_zeros(*looked.shape[:2], length)), 2)
            looked = filled[..., :length]
        places, by_word = (
            part.detach().float().unflatten(-1, maps.shape[2:]).unflatten(0, (pictures, count))
            for part in (weights, weights[:, None] * looked.mT)
        )
        return VqaOutputs(told.unflatten(0, (pictures, count)), places, by_word)

    def _told(self, grid: Tensor, texts: Tensor, of: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Places [B, P, C] and N questions int64 [N, L] about the pictures ``of`` [N] -> logits [N, K], the
        weight of each place in what was seen, [N, P], which sums to 1, and in evaluation how much each place
        looked at each word in the last layer, [N, P, L], likewise for each place."""
        words, there = self.question.after_each(texts)
        # a text without words has one all the same, as the softmax of nothing is none
        first = torch.arange(there.shape[1], device=there.device) == 0
        past = ~(there | first)
        words = self.word(words)
        for reader in self.readers:
            words = reader(words, src_key_padding_mask=past)
        looked, last = None, len(self.lookers) - 1
        for number, looker in enumerate(self.lookers):
            assert isinstance(looker, Guided)
            grid = looker.before(grid)
            if number == 0:
                grid = grid.index_select(0, of)
            grid, looked = looker.after(grid, words, past, not self.training and number == last)
        said, _ = self.words(words, past)
        seen, weights = self.places(grid)
        logits: Tensor = self.head(self.norm(said + seen))
        return logits, weights, looked
