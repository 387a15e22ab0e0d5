"""FiLM: questions that scale and shift the maps of a picture (Perez et al. 2018, arXiv:1709.07871)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vision_apps.applications.vqa.question_encoder import QuestionEncoder
from vision_apps.applications.vqa.types import VqaOutputs, asked
from vision_apps.networks.backbones import Backbone

_SHARP = 8  # the power of a place's share of its channel's greatest value: near to where the maximum is
_FAINT = 1e-2  # a channel whose greatest value is below tells little of where it is


def with_coordinates(maps: Tensor) -> Tensor:
    """[N, C, h, w] -> [N, C + 2, h, w]: x and y of each place behind the channels, -1..1."""
    rows, columns = maps.shape[-2:]
    x = (2 * torch.arange(columns, device=maps.device, dtype=maps.dtype) + 1) / columns - 1
    y = (2 * torch.arange(rows, device=maps.device, dtype=maps.dtype) + 1) / rows - 1
    shape = (maps.shape[0], 1, rows, columns)  # len() would fix it in an exported graph
    return torch.cat((maps, x.expand(shape), y[:, None].expand(shape)), dim=1)


def looked_at(maps: Tensor) -> Tensor:
    """How much each place has to do with the greatest value of each channel, which is all that a maximum over
    the places takes along: [N, C, h, w], at least 0 -> [N, h, w].

    A channel gives its greatest value to the places in shares that fall off steeply below it, so that small
    differences in rounding stay small.
    """
    maps = maps.detach().float()
    greatest = maps.amax((2, 3), keepdim=True)
    return (greatest * (maps / (greatest + _FAINT)) ** _SHARP).sum(1)


class FilmBlock(nn.Module):
    """A residual block whose normalised maps are scaled and shifted (the paper's figure 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = nn.Conv2d(width + 2, width, 1)
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width, affine=False)

    def before(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """What does not depend on the scale and shift: [N, C, h, w] -> two of these."""
        entered = self.input(with_coordinates(maps)).relu()
        return entered, self.norm(self.conv(entered))

    @staticmethod
    def after(entered: Tensor, normed: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """``scale`` and ``shift`` [N, C], around 1 and 0."""
        return entered + (normed * scale[:, :, None, None] + shift[:, :, None, None]).relu()


class Film(nn.Module):
    """The maps of ``backbone``, the coarser ones enlarged to the finest and added; blocks that each question
    scales and shifts; the maximum over the places, and a hidden layer before the answers.

    A picture goes through the backbone, and through the part of the first block that no question has touched
    yet, once for all that is asked about it.

    Args:
        question: from words to a vector.
        answer_names: the answers that there are.
        width: channels of the blocks.
        hidden: channels whose maximum is taken, and units of the hidden layer.
        dropout: probability of dropping a unit of the hidden layer.
    """

    def __init__(
        self,
        backbone: Backbone,
        question: QuestionEncoder,
        answer_names: Sequence[str],
        blocks: int = 2,
        width: int = 64,
        hidden: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.stems = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in backbone.channels)
        self.question = question
        self.modulation = nn.Linear(question.width, 2 * width * blocks)
        self.blocks = nn.ModuleList(FilmBlock(width) for _ in range(blocks))
        self.last = nn.Conv2d(width + 2, hidden, 1)
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(answer_names)),
        )

    def forward(self, pixels: Tensor, questions: Tensor) -> VqaOutputs:
        """Normalised pixels [B, 3, H, W] and words int64 [B, Q, L] -> logits and places. In training the
        rows without words are left out of the blocks' statistics, their logits are 0, and nobody asks where
        the network looks: places are [B, Q, 1, 1]."""
        pictures, count = questions.shape[:2]
        texts = questions.flatten(0, 1)
        of = torch.arange(pictures, device=texts.device)[:, None].expand(-1, count).flatten()
        maps = self._joined(self.backbone(pixels))
        if not self.training:
            found = self._modulated(maps, texts, of)
            logits, places = self.head(found.amax((2, 3))), looked_at(found)
        else:
            rows = asked(texts).nonzero()[:, 0]
            told = self.head(self._modulated(maps, texts[rows], of[rows]).amax((2, 3)))
            logits = told.new_zeros(len(texts), told.shape[1]).index_copy(0, rows, told)
            places = told.new_zeros(len(texts), 1, 1)
        return VqaOutputs(*(part.unflatten(0, (pictures, count)) for part in (logits, places)))

    def _joined(self, levels: Sequence[Tensor]) -> Tensor:
        """[B, C, h, w] of the finest level."""
        finest = levels[0].shape[-2:]
        each = [stem(level) for stem, level in zip(self.stems, levels, strict=True)]
        return torch.stack([each[0], *(interpolate(one, finest) for one in each[1:])]).sum(0)

    def _modulated(self, maps: Tensor, texts: Tensor, of: Tensor) -> Tensor:
        """Maps [B, C, h, w] and N questions int64 [N, L] about the pictures ``of`` [N] -> what they made of
        them, [N, hidden, h, w], at least 0."""
        moved = self.modulation(self.question(texts)).unflatten(1, (2, len(self.blocks), -1))
        scales, shifts = moved.unbind(1)
        for number, block in enumerate(self.blocks):
            assert isinstance(block, FilmBlock)
            parts = block.before(maps)
            if number == 0:
                parts = parts[0].index_select(0, of), parts[1].index_select(0, of)
            maps = block.after(*parts, 1 + scales[:, number], shifts[:, number])
        found: Tensor = self.last(with_coordinates(maps)).relu()
        return found
