"""What a test says of each class, against scikit-learn, and which curves are drawn."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn import metrics as reference
from torch import Tensor

from vision_apps.applications.classification import curves, per_class
from vision_apps.applications.classification.per_class import FIGURES, OneClass, PerClass
from vision_apps.core import figures


def answers(seed: int, samples: int, classes: int) -> tuple[Tensor, Tensor]:
    """Probabilities on few levels, so that some are equal, and a true class that they have to do with."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(classes, (samples,), generator=generator)
    noise = torch.rand(samples, classes, generator=generator)
    scores = (20 * (noise + 0.3 * torch.nn.functional.one_hot(truth, classes))).round()
    return scores / scores.sum(1, keepdim=True).clamp_min(1), truth


def expected(probabilities: Tensor, said: Tensor, truth: Tensor) -> list[float]:
    """Of one class, by scikit-learn: NaN where it is not defined."""
    chosen = {"zero_division": math.nan}
    some, two = bool(truth.any()), bool(truth.any()) and not truth.all()
    return [
        int(truth.sum()),
        reference.precision_score(truth, said, **chosen),
        reference.recall_score(truth, said, **chosen),
        reference.f1_score(truth, said, **chosen),
        reference.average_precision_score(truth, probabilities) if some else math.nan,
        reference.roc_auc_score(truth, probabilities) if two else math.nan,
    ]


@given(seed=st.integers(0, 10**6), samples=st.integers(1, 40), classes=st.integers(2, 5))
def test_figures_are_those_of_scikit_learn(seed: int, samples: int, classes: int) -> None:
    probabilities, truth = answers(seed, samples, classes)
    metric = OneClass(classes)
    for part in torch.arange(samples).split(7):
        metric.update(probabilities[part], truth[part])
    said = probabilities.argmax(1)
    wanted = [expected(probabilities[:, k], said == k, truth == k) for k in range(classes)]
    np.testing.assert_allclose(metric.compute()["class_figures"], wanted, atol=1e-6)


@given(seed=st.integers(0, 10**6), samples=st.integers(1, 40), classes=st.integers(1, 4))
def test_of_several_labels_each_class_is_judged_by_what_was_said(
    seed: int, samples: int, classes: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    probabilities = (10 * torch.rand(samples, classes, generator=generator)).round() / 10
    said, truth = probabilities >= 0.4, torch.rand(samples, classes, generator=generator) < 0.4
    metric = PerClass(classes)
    metric.update(probabilities, said, truth.byte())
    wanted = [expected(probabilities[:, k], said[:, k], truth[:, k]) for k in range(classes)]
    np.testing.assert_allclose(metric.compute()["class_figures"], wanted, atol=1e-6)


def test_curves_are_those_of_scikit_learn() -> None:
    probabilities, truth = answers(3, 200, 3)
    metric = OneClass(3)
    metric.update(probabilities, truth)
    found: Any = metric.compute()
    assert {curve.number for curve in found["class_curves"]} == {0, 1, 2}
    for k, precision, recall, false, true in found["class_curves"]:
        wanted = reference.roc_curve(truth == k, probabilities[:, k], drop_intermediate=False)
        np.testing.assert_allclose((false, true), wanted[:2], atol=1e-6)
        wanted = reference.precision_recall_curve(truth == k, probabilities[:, k])
        np.testing.assert_allclose((precision, recall), wanted[:2], atol=1e-6)


def test_a_row_says_what_is_not_defined_by_nothing() -> None:
    metric = OneClass(3)
    metric.update(torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]), torch.tensor([0, 0]))
    assert per_class.tables(metric.compute(), ["a", "b", "c"]) == {
        "classes": [
            dict(zip(("class", *FIGURES), row, strict=True))
            for row in (
                ("a", 2, 1.0, 0.5, pytest.approx(2 / 3, abs=1e-6), 1.0, None),
                ("b", 0, 0.0, None, 0.0, None, None),
                ("c", 0, None, None, None, None, None),
            )
        ]
    }
    assert per_class.tables({}, ["a"]) == curves.of({}, ["a"]) == {}


def drawn(monkeypatch: pytest.MonkeyPatch, classes: int, samples: int = 300, seed: int = 0) -> Figure:
    kept: list[Figure] = []

    def keep(figure: Figure) -> Tensor:
        kept.append(figure)
        return torch.zeros(3, 1, 1)

    monkeypatch.setattr(figures, "pixels", keep)
    metric = OneClass(classes)
    metric.update(*answers(seed, samples, classes))
    curves.of(metric.compute(), [f"kind {k}" for k in range(classes)])
    return kept[0]


def test_every_class_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn(monkeypatch, per_class.DRAWN)
    left, right = figure.axes
    looks = {(line.get_color(), line.get_linestyle()) for line in left.lines}
    assert len(left.lines) == len(looks) == per_class.DRAWN
    assert figure.get_suptitle() == "12 of 12 classes"
    legend = right.get_legend()
    assert legend is not None and len(legend.get_texts()) == per_class.DRAWN


def test_of_many_classes_the_best_and_the_worst_are_drawn_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figure = drawn(monkeypatch, 30)
    assert figure.get_suptitle() == "12 of 30 classes: the 6 of largest and the 6 of least AP"
    legend = figure.axes[1].get_legend()
    assert legend is not None
    shown = [float(text.get_text().split()[2]) for text in legend.get_texts()]
    metric = OneClass(30)
    metric.update(*answers(0, 300, 30))
    every = sorted(metric.compute()["class_figures"][:, FIGURES.index("ap")].tolist(), reverse=True)
    assert shown == pytest.approx(every[:6] + every[-6:], abs=1e-3)


def test_a_class_without_pictures_is_not_drawn_but_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn(monkeypatch, 5, samples=2, seed=1)
    assert figure.get_suptitle() == "2 of 5 classes" and len(figure.axes[0].lines) == 2
