"""Losses against torch's own, formulas written out pixel by pixel, and hand-made numbers."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.applications.segmentation import losses
from vision_apps.applications.segmentation.losses import balanced_weights
from vision_apps.core.losses import Part

K = 4
WEIGHTS = torch.tensor([0.5, 1.0, 3.0, 0.2])


def value_of(loss: Callable[..., Part]) -> Callable[..., Tensor]:
    def value(*arguments: Any, **options: Any) -> Tensor:
        part = loss(*arguments, **options)
        return part.value(part.total, part.count)

    return value


cross_entropy, focal, dice = map(value_of, (losses.cross_entropy, losses.focal, losses.dice))


def some(seed: int = 0, ignored: float = 0.3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, K, 5, 6, generator=generator)
    masks = torch.randint(K, (2, 5, 6), generator=generator, dtype=torch.uint8)
    masks[torch.rand(masks.shape, generator=generator) < ignored] = 255
    return logits, masks


def pixels(logits: Tensor, masks: Tensor) -> list[tuple[Tensor, int]]:
    """Probabilities and class of every pixel that counts."""
    rows = logits.softmax(1).movedim(1, -1).reshape(-1, K)
    return [(p, int(t)) for p, t in zip(rows, masks.flatten(), strict=True) if t != 255]


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_torch_s(weights: Tensor | None) -> None:
    logits, masks = some()
    expected = F.cross_entropy(logits, masks.long(), weight=weights, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, masks, weights), expected)


def test_pixel_weights_are_added_to_the_class_s() -> None:
    logits, masks = some()
    extra = torch.rand(2, 5, 6)
    total = mass = 0.0
    for p, t, w in zip(
        logits.softmax(1).movedim(1, -1).reshape(-1, K), masks.flatten(), extra.flatten(), strict=True
    ):
        if t != 255:
            weight = float(WEIGHTS[int(t)]) + float(w)
            total, mass = total - weight * math.log(p[int(t)]), mass + weight
    assert cross_entropy(logits, masks, WEIGHTS, extra).item() == pytest.approx(total / mass, rel=1e-5)


@given(gamma=st.floats(0, 5), seed=st.integers(0, 20))
def test_focal_is_the_formula(gamma: float, seed: int) -> None:
    logits, masks = some(seed)
    rows = pixels(logits, masks)
    total = sum(-float(WEIGHTS[t]) * (1 - float(p[t])) ** gamma * math.log(p[t]) for p, t in rows)
    mass = sum(float(WEIGHTS[t]) for _, t in rows)
    assert focal(logits, masks, WEIGHTS, gamma).item() == pytest.approx(total / mass, rel=1e-4)


def test_focal_without_gamma_is_cross_entropy() -> None:
    logits, masks = some()
    torch.testing.assert_close(focal(logits, masks, gamma=0.0), cross_entropy(logits, masks))


def test_focal_of_certain_pixels_has_a_finite_gradient() -> None:
    logits = torch.zeros(1, 2, 1, 2)
    logits[:, 0] = 200
    logits.requires_grad_()
    focal(logits, torch.zeros(1, 1, 2, dtype=torch.uint8), gamma=0.5).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_dice_by_hand() -> None:
    # one row of four pixels; certain answers 0 0 1 1, truth 0 1 1 ignored
    masks = torch.tensor([[[0, 1, 1, 255]]], dtype=torch.uint8)
    answer = torch.tensor([0, 0, 1, 1])
    logits = 100.0 * F.one_hot(answer, K).T.reshape(1, K, 1, 4)
    # class 0: |P| 2, |T| 1, both 1; class 1: |P| 1, |T| 2, both 1; classes 2 and 3 are not in the truth
    assert dice(logits, masks).item() == pytest.approx(1 - (2 / 3 + 2 / 3) / 2)
    weights = torch.tensor([1.0, 0.0, 7.0, 7.0])
    assert dice(logits, masks, weights).item() == pytest.approx(1 - 2 / 3)


@given(seed=st.integers(0, 20), weighted=st.booleans())
def test_dice_is_the_formula(seed: int, weighted: bool) -> None:
    logits, masks = some(seed)
    rows = pixels(logits, masks)
    total = mass = 0.0
    for k in {t for _, t in rows}:
        both = sum(float(p[k]) for p, t in rows if t == k)
        either = sum(float(p[k]) for p, _ in rows) + sum(t == k for _, t in rows)
        weight = float(WEIGHTS[k]) if weighted else 1.0
        total, mass = total + weight * (1 - 2 * both / either), mass + weight
    assert dice(logits, masks, WEIGHTS if weighted else None).item() == pytest.approx(total / mass, rel=1e-5)


@given(seed=st.integers(0, 20), weighted=st.booleans())
def test_what_is_ignored_has_no_part(seed: int, weighted: bool) -> None:
    logits, masks = some(seed)
    ignored = (masks == 255)[:, None].expand_as(logits)
    other = torch.where(ignored, -3 * logits, logits)
    weights = WEIGHTS if weighted else None
    for loss in (cross_entropy, focal, dice):
        torch.testing.assert_close(loss(other, masks, weights), loss(logits, masks, weights))


@pytest.mark.parametrize("loss", [cross_entropy, focal, dice])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_nothing_counted_is_zero_with_gradients(loss, weights: Tensor | None) -> None:
    logits = torch.randn(2, K, 3, 3, requires_grad=True)
    value = loss(logits, torch.full((2, 3, 3), 255, dtype=torch.uint8), weights)
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None and torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("loss", [cross_entropy, focal, dice])
def test_half_precision_scores_are_summed_in_full(loss) -> None:
    logits, masks = some()
    found = loss(logits.bfloat16(), masks)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(logits.bfloat16().float(), masks))


def test_the_right_answer_costs_nothing() -> None:
    _, masks = some(ignored=0.2)
    right = 100.0 * F.one_hot(torch.where(masks == 255, 0, masks).long(), K).movedim(-1, 1)
    for loss in (cross_entropy, focal, dice):
        assert loss(right, masks).item() == pytest.approx(0, abs=1e-5)


def test_balanced_weights_are_median_frequency_over_frequency() -> None:
    # shares 0.6, 0.2, 0.1 of the images that have the class, the fourth unseen
    weights = balanced_weights(torch.tensor([600, 100, 100, 0]), torch.tensor([1000, 500, 1000, 0]))
    torch.testing.assert_close(weights, torch.tensor([0.2 / 0.6, 1.0, 2.0, 1.0]))


def test_an_even_number_of_classes_has_the_mean_of_the_middle_two() -> None:
    weights = balanced_weights(torch.tensor([30, 10]), torch.tensor([40, 40]))
    torch.testing.assert_close(weights, torch.tensor([0.5 / 0.75, 0.5 / 0.25]))


def test_nothing_seen_weighs_alike() -> None:
    zero = torch.zeros(3, dtype=torch.int64)
    assert torch.equal(balanced_weights(zero, zero), torch.ones(3))
