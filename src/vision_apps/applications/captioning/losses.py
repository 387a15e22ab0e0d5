"""What captioning minimises."""

import torch.nn.functional as F

from vision_apps.applications.captioning.types import CaptionOutputs
from vision_apps.core.losses import Part
from vision_apps.data.captions.words import PAST


def caption_losses(
    outputs: CaptionOutputs, label_smoothing: float = 0.0, alpha_c: float = 0.0
) -> dict[str, Part]:
    """``words``: the cross-entropy (nat) over all words of all captions, their ends included. With
    ``alpha_c`` also ``attention``, how far the weight that each place has had over a caption is from 1,
    squared, over places and captions (Xu et al. 2015, equation 14).

    Args:
        label_smoothing: share of the truth that is spread over all words (Szegedy et al. 2016, section 7).
        alpha_c: weight of the second part. 1 is the paper's. It asks every place for as much attention as
            one word has in all; where there are more places than words, only spreading it can do that.
    """
    captions = outputs.captions
    said = captions != PAST
    words = F.cross_entropy(
        outputs.logits.float().flatten(0, 2),
        captions.flatten(),
        ignore_index=PAST,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    parts = {"words": Part(words, said.sum())}
    if alpha_c:
        weights = (outputs.maps.float() * said[..., None]).sum(2)  # [B, R, P]
        there = said.any(2)
        spread = ((1 - weights) ** 2).mean(2) * there
        parts["attention"] = Part(spread.sum(), there.sum(), alpha_c)
    return parts
