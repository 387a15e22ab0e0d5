"""Which of the captions of a picture a step learns from."""

import torch
from torch import Tensor

from vision_apps.core import draws


def some_references(captions: Tensor, count: int) -> Tensor:
    """Of each picture ``count`` captions that are drawn, or all where it has fewer.

    Args:
        captions: int64 [B, R, L]; rows of zeros are none.

    Returns:
        int64 [B, min(count, R), L].
    """
    there = captions.any(-1).to(torch.float32)
    places = draws.uniform(len(captions), captions.shape[1]).to(captions.device)
    rows = (places + there).topk(min(count, captions.shape[1]), dim=1).indices
    return captions.gather(1, rows[..., None].expand(-1, -1, captions.shape[2]))
