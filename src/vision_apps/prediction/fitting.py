"""Weights of scores, from what people have chosen."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
LEAST = 0.01  # of the own value's factor: a text's own value is never turned around
DIGITS = 4  # of a weight

Values = NDArray[np.float64]


class Compared(NamedTuple):
    """One choice, among two texts or more."""

    scores: Values  # [N, 1 + K]: of each text its own value and its scores
    chosen: int


class Fitted(NamedTuple):
    weights: list[float]  # K, to be multiplied with the scores and added to the own value
    turned: bool  # the choices go against the own values, which then count as little as `LEAST` lets them


def fit(choices: Sequence[Compared], ridge: float = 1.0) -> Fitted:
    """Weights under which what was chosen comes first as often as may be.

    That a text is chosen before another is told with the probability ``sigmoid(v @ difference)``, where ``v``
    begins with a factor of the own value and goes on with those of the scores (Bradley and Terry, Biometrika
    39, 1952, with a logistic regression of the strengths). ``v`` has the greatest likelihood over all pairs
    of a chosen text and another one beside it, less ``ridge / 2`` times the squares of what the scores
    (divided by their standard deviation) have for a factor and of how far that of the own value is from 1:
    few choices change the order little. The weights are the factors over that of the own value.
    """
    from scipy.optimize import minimize

    differences = np.concatenate([pairs(choice) for choice in choices])
    start = np.zeros(differences.shape[1])
    start[0] = 1
    spread = np.concatenate(([1.0], differences[:, 1:].std(0)))

    def value(factors: Values) -> tuple[float, Values]:
        margins = differences @ factors
        drawn = spread * (factors - start)
        loss = np.logaddexp(0, -margins).sum() + ridge / 2 * drawn @ drawn
        told = np.exp(-np.logaddexp(0, margins))  # the probability of the other text
        return loss, -told @ differences + ridge * spread * drawn

    bounds = [(LEAST, None), *[(None, None)] * (len(start) - 1)]
    found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 10_000})
    weights = [float(f"{weight:.{DIGITS}g}") for weight in found.x[1:] / found.x[0]]
    return Fitted(weights, bool(found.x[0] <= LEAST))


def pairs(choice: Compared) -> Values:
    """The chosen text's row less that of each other one: [N - 1, 1 + K]."""
    others = np.delete(choice.scores, choice.chosen, axis=0)
    return choice.scores[choice.chosen] - others


def agreement(choices: Sequence[Compared], weights: Sequence[float]) -> float:
    """The share of the choices in which these weights put first what was chosen."""
    factors = np.array([1.0, *weights])
    return float(np.mean([(one.scores @ factors).argmax() == one.chosen for one in choices]))


def held_out_agreement(choices: Sequence[Compared]) -> float:
    """The same where the weights are fitted to the other choices, in `FOLDS` parts; of two or more."""
    parts = min(FOLDS, len(choices))
    shares = []
    for part in range(parts):
        others = [one for number, one in enumerate(choices) if number % parts != part]
        own = choices[part::parts]
        shares.append(len(own) * agreement(own, fit(others).weights))
    return sum(shares) / len(choices)
