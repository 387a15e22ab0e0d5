"""What objects are told by the others in their picture."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from vision_apps.core.errors import ConfigError

Kind = Literal["transformer", "lstm"]


class TransformerContext(nn.Module):
    """Objects that look at each other, whatever their order.

    Args:
        width: of an object's features, before and after.
        layers: 0 leaves each object alone.
        heads: of an attention; they share the width.
        dropout: probability of dropping a feature or a weight of an attention.
    """

    def __init__(self, width: int, layers: int = 1, heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        if layers < 0 or width % heads:
            raise ConfigError(
                f"model.layers: {layers}, model.heads: {heads}, model.width: {width}; expected 0 layers "
                "or more, and a width that the heads can share"
            )
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True)
            for _ in range(layers)
        )

    def forward(self, objects: Tensor, boxes: Tensor, there: Tensor) -> Tensor:
        """[B, M, C] -> [B, M, C]; what stands in rows of none changes nothing elsewhere.

        Args:
            boxes: [B, M, 4]; not looked at.
            there: which rows are objects, bool [B, M].
        """
        # torch has no attention of nothing: where a picture is empty its first row is looked at
        first = torch.arange(there.shape[1], device=there.device) == 0
        past = ~(there | (first & ~there.any(1, keepdim=True)))
        for layer in self.layers:
            objects = layer(objects, src_key_padding_mask=past)
        return objects


class LstmContext(nn.Module):
    """A recurrent network over the objects from left to right and back (Zellers et al., CVPR 2018, section
    4.2, where the order of the objects' centres is called leftright).

    Args:
        width: of an object's features, before and after; an even number.
        layers: at least 1.
        dropout: probability of dropping a feature between two layers.
    """

    def __init__(self, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        if layers < 1 or width % 2:
            raise ConfigError(
                f"model.layers: {layers}, model.width: {width}; expected at least 1 layer and an even "
                "width, as model.context=lstm reads both ways"
            )
        self.memory = nn.LSTM(
            width, width // 2, layers, batch_first=True, dropout=dropout, bidirectional=True
        )

    def forward(self, objects: Tensor, boxes: Tensor, there: Tensor) -> Tensor:
        """As `TransformerContext.forward`."""
        middle = (boxes[..., 0] + boxes[..., 2]).masked_fill(~there, torch.inf)
        order = middle.argsort(dim=1, stable=True)
        lined = objects.gather(1, order[..., None].expand_as(objects))
        counts = there.sum(1).clamp_min(1).cpu()
        packed = pack_padded_sequence(lined, counts, batch_first=True, enforce_sorted=False)
        found, _ = pad_packed_sequence(
            self.memory(packed)[0], batch_first=True, total_length=objects.shape[1]
        )
        return torch.zeros_like(found).scatter(1, order[..., None].expand_as(found), found)


def context_of(
    kind: Kind, width: int, layers: int, heads: int, dropout: float
) -> TransformerContext | LstmContext:
    """The context of this kind; `ConfigError` where there is none, or it cannot be built so."""
    if kind == "transformer":
        return TransformerContext(width, layers, heads, dropout)
    if kind == "lstm":
        return LstmContext(width, layers, dropout)
    raise ConfigError(f"model.context: {kind!r}; expected transformer or lstm")
