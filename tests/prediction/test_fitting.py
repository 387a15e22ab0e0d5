"""Weights from choices: as an independent logistic regression has them, and what few or odd choices give."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vision_apps.prediction.fitting import (
    Compared,
    Values,
    agreement,
    fit,
    held_out_agreement,
    pairs,
)


def drawn(count: int, factors: list[float], seed: int = 0, texts: int = 4) -> list[Compared]:
    """Choices of somebody who values texts so, with the noise that makes pairs logistic."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        scores = rng.normal(size=(texts, len(factors)))
        found.append(Compared(scores, int((scores @ factors + rng.gumbel(size=texts)).argmax())))
    return found


def test_pairs_are_the_chosen_text_less_each_other() -> None:
    scores = np.array([[1.0, 2], [3, 5], [0, 9]])
    assert pairs(Compared(scores, 1)).tolist() == [[2, 3], [3, -4]]


def test_without_a_ridge_the_weights_are_those_of_a_logistic_regression() -> None:
    choices = drawn(300, [1.5, -2.0, 0.5])
    differences: Values = np.concatenate([pairs(choice) for choice in choices])
    # it needs both classes: a pair seen from the other side is the same pair
    both = np.concatenate((differences, -differences))
    classes = np.repeat([1, 0], len(differences))
    other = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(both, classes)
    (factors,) = other.coef_
    assert fit(choices, ridge=0).weights == pytest.approx(factors[1:] / factors[0], abs=2e-3)


def test_what_somebody_values_is_found() -> None:
    choices = drawn(2000, [2.0, 1.0, -3.0])
    found = fit(choices)
    assert found.weights == pytest.approx([0.5, -1.5], abs=0.1) and not found.turned
    assert agreement(choices, found.weights) > agreement(choices, [0, 0]) + 0.1
    assert held_out_agreement(choices) == pytest.approx(agreement(choices, found.weights), abs=0.02)


def test_the_ridge_holds_few_choices_near_the_own_order() -> None:
    """The greatest likelihood alone would have no bound: the choices can be told apart."""
    one = [Compared(np.array([[0.0, 1.0], [0.0, 0.0]]), 0)]
    (weight,), turned = fit(one)
    # by hand: of one pair the standard deviation is 0, so that nothing holds the factor; of two it is 0.5
    two = [*one, Compared(np.array([[0.0, 2.0], [0.0, 0.0]]), 0)]
    (held,), _ = fit(two)
    slope = 1 / (1 + np.exp(held)) + 2 / (1 + np.exp(2 * held))
    assert slope == pytest.approx(0.25 * held, rel=1e-3), "the likelihood's slope is that of the ridge"
    assert weight > held and not turned


def test_a_score_that_never_differs_has_no_weight() -> None:
    choices = [Compared(np.insert(one.scores, 2, 7, axis=1), one.chosen) for one in drawn(50, [1.0, 1.0])]
    assert fit(choices).weights[1] == 0


def test_choices_against_the_own_values_are_told() -> None:
    found = fit(drawn(300, [-3.0, 1.0]))
    assert found.turned and found.weights[0] > 10


def test_of_equal_texts_the_first_counts() -> None:
    same = np.zeros((3, 2))
    assert agreement([Compared(same, 0), Compared(same, 2)], [1.0]) == 0.5
