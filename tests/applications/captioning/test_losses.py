"""Words are counted as in each caption alone; doubly stochastic attention is the formula of its paper."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vision_apps.applications.captioning.captioner import Seen
from vision_apps.applications.captioning.losses import TARGETS, Target, caption_losses
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
    parts = caption_losses(given, alpha_c=0.5, alpha_target="one")
    lengths = [(0, 0, 3), (0, 1, 2), (1, 0, 1)]
    each = [float(((1 - given.maps[b, r, :n].sum(0)) ** 2).mean()) for b, r, n in lengths]
    assert parts["attention"].weight == 0.5 and parts["attention"].count == 3
    assert float(parts["attention"].total) == pytest.approx(sum(each), rel=1e-6)
    # with as many words as places it can be met, and is 0
    even = given._replace(
        captions=torch.full((1, 1, 4), 3), logits=given.logits[:1, :1].repeat(1, 1, 2, 1)[:, :, :4],
        maps=torch.full((1, 1, 4, 4), 0.25),
    )  # fmt: skip
    assert float(caption_losses(even, alpha_c=1, alpha_target="one")["attention"].total) == pytest.approx(
        0, abs=1e-12
    )


def told(maps: Tensor, there: Tensor | None = None) -> CaptionOutputs:
    """One caption of as many words as there are maps [T, P]."""
    captions = torch.full((1, 1, len(maps)), 3)
    seen = None if there is None else Seen(torch.zeros(1, maps.shape[1], 1), there[None], (1, maps.shape[1]))
    return CaptionOutputs(captions, torch.zeros(1, 1, len(maps), 5), maps[None, None], seen)


def attention(maps: Tensor, target: Target, there: Tensor | None = None) -> Tensor:
    return caption_losses(told(maps, there), alpha_c=1, alpha_target=target)["attention"].total


def test_a_fitting_target_lets_a_word_look_at_its_place() -> None:
    """The paper's asks for attention that is spread, whatever number stands in place of its 1."""
    apart, spread = torch.eye(3, 12), torch.full((3, 12), 1 / 12)
    again = torch.zeros(3, 12)
    again[:, 4] = 1
    assert attention(apart, "fitting") == attention(spread, "fitting") == 0
    assert float(attention(again, "fitting")) == pytest.approx((3 - 1) ** 2 / 12)
    assert attention(spread, "one") < attention(apart, "one") < attention(again, "one")
    logits = torch.randn(3, 12, generator=torch.Generator().manual_seed(0), requires_grad=True)
    gradients = [
        torch.autograd.grad(((target - logits.softmax(-1).sum(0)) ** 2).mean(), logits)[0]
        for target in (1, 3 / 12)
    ]
    torch.testing.assert_close(*gradients)
    (own,) = torch.autograd.grad(attention(logits.softmax(-1), "one"), logits)
    torch.testing.assert_close(own, gradients[0])


def test_where_words_outnumber_places_each_has_its_share() -> None:
    spread = torch.full((6, 2), 0.5)
    assert attention(spread, "fitting") == 0
    uneven = torch.tensor([[1.0, 0]] * 4 + [[0, 1.0]] * 2)
    assert float(attention(uneven, "fitting")) == pytest.approx((4 - 3) ** 2 / 2)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_not_there_asks_for_nothing(target: Target) -> None:
    maps = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)).softmax(-1)
    more = torch.cat((maps, torch.zeros(4, 2)), dim=1)
    there = torch.tensor([True, True, True, False, False])
    torch.testing.assert_close(attention(more, target, there), attention(maps, target))
