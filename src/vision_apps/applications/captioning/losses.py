"""What captioning minimises."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.applications.captioning.types import CaptionOutputs
from vision_apps.core.losses import Part
from vision_apps.data.captions.words import PAST

Target = Literal["fitting", "one"]
TARGETS: tuple[Target, ...] = get_args(Target)


def caption_losses(
    outputs: CaptionOutputs,
    label_smoothing: float = 0.0,
    alpha_c: float = 0.0,
    alpha_target: Target = "fitting",
) -> dict[str, Part]:
    """``words``: the cross-entropy (nat) over all words of all captions, their ends included. With
    ``alpha_c`` also ``attention``, how far the weight that each place has had over a caption is from its
    target, squared, over the places that are there and the captions.

    Args:
        label_smoothing: share of the truth that is spread over all words (Szegedy et al. 2016, section 7).
        alpha_c: weight of the second part.
        alpha_target: ``one`` asks each place for the weight of one word (Xu et al. 2015, equation 14, with
            ``alpha_c`` 1). All places together have as much as there are words, so that any number in place
            of one has the same gradient: where there are more places than words, only looking everywhere
            at once lowers it. ``fitting`` asks each place for no more than the weight of one word, or its
            share where there are more words than places: only looking at one place again and again is
            worse.
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
        everywhere = torch.ones_like(outputs.maps[:, 0, 0], dtype=torch.bool)
        places = everywhere if outputs.seen is None else outputs.seen.there  # [B, P]
        spread = _far(weights, said.sum(2), places[:, None], alpha_target)
        there = said.any(2)
        parts["attention"] = Part((spread * there).sum(), there.sum(), alpha_c)
    return parts


def _far(weights: Tensor, words: Tensor, places: Tensor, target: Target) -> Tensor:
    """Of the weights [B, R, P] that the ``places`` that are there, bool [B, 1, P], have had over so many
    words [B, R]: [B, R]."""
    count = places.sum(-1)
    most = (words / count).clamp_min(1)[..., None]
    far = 1 - weights if target == "one" else (weights - most).relu()
    return (far**2 * places).sum(-1) / count
