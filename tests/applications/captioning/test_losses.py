"""Words are counted as in each caption alone; doubly stochastic attention is the formula of its paper."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from vision_apps.applications.captioning.losses import caption_losses
from vision_apps.applications.captioning.types import CaptionOutputs

CAPTIONS = torch.tensor([[[3, 4, 1], [4, 1, 0]], [[1, 0, 0], [0, 0, 0]]])


def outputs() -> CaptionOutputs:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 3, 5, generator=generator)
    return CaptionOutputs(CAPTIONS, logits, torch.rand(2, 2, 3, 4, generator=generator).softmax(-1))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_words_are_counted_and_what_is_past_the_end_is_not(smoothing: float) -> None:
    given = outputs()
    (part,) = caption_losses(given, smoothing).values()
    each = [
        cross_entropy(given.logits[b, r, t], CAPTIONS[b, r, t], label_smoothing=smoothing)
        for b in range(2)
        for r in range(2)
        for t in range(3)
        if CAPTIONS[b, r, t]
    ]
    assert part.count == len(each) == 6
    assert float(part.total) == pytest.approx(float(sum(each)), rel=1e-6)


def test_attention_asks_each_place_for_one() -> None:
    given = outputs()
    parts = caption_losses(given, alpha_c=0.5)
    lengths = [(0, 0, 3), (0, 1, 2), (1, 0, 1)]
    each = [float(((1 - given.maps[b, r, :n].sum(0)) ** 2).mean()) for b, r, n in lengths]
    assert parts["attention"].weight == 0.5 and parts["attention"].count == 3
    assert float(parts["attention"].total) == pytest.approx(sum(each), rel=1e-6)
    # with as many words as places it can be met, and is 0
    even = given._replace(
        captions=torch.full((1, 1, 4), 3), logits=given.logits[:1, :1].repeat(1, 1, 2, 1)[:, :, :4],
        maps=torch.full((1, 1, 4, 4), 0.25),
    )  # fmt: skip
    assert float(caption_losses(even, alpha_c=1)["attention"].total) == pytest.approx(0, abs=1e-12)
