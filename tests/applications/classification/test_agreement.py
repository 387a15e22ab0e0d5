"""Average precision, F1 and thresholds of sets of labels, against scikit-learn and by trying all."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score
from torch import Tensor

from vision_apps.applications.classification.agreement import LabelAgreement, average_precisions, f1_scores
from vision_apps.applications.classification.thresholds import best_thresholds

NAMES = ["cat", "dog", "red fox"]


def made(seed: int, samples: int, classes: int, levels: int = 1000) -> tuple[Tensor, Tensor]:
    """Probabilities on few levels, so that some are equal, and truths that they have to do with."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(samples, classes, generator=generator) < 0.4
    noise = torch.rand(samples, classes, generator=generator)
    return ((0.3 * truth + 0.7 * noise) * levels).round() / levels, truth


cases = st.tuples(
    st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 4), st.sampled_from([2, 5, 1000])
).map(lambda drawn: made(*drawn))


@given(cases)
def test_figures_are_those_of_scikit_learn(case: tuple[Tensor, Tensor]) -> None:
    probabilities, truth = case
    present = probabilities >= 0.5
    occurs = truth.any(0)
    np.testing.assert_allclose(
        f1_scores(present, truth),
        [f1_score(truth[:, k], present[:, k], zero_division=0) for k in range(truth.shape[1])],
    )
    if occurs.any():
        np.testing.assert_allclose(
            average_precisions(probabilities[:, occurs], truth[:, occurs]),
            [average_precision_score(truth[:, k], probabilities[:, k]) for k in occurs.nonzero()[:, 0]],
            atol=1e-6,
        )


@given(cases)
def test_no_other_threshold_has_a_larger_f1(case: tuple[Tensor, Tensor]) -> None:
    probabilities, truth = case
    thresholds, scores = best_thresholds(probabilities, truth)
    assert thresholds.dtype == probabilities.dtype
    np.testing.assert_allclose(f1_scores(probabilities >= thresholds, truth), scores)
    for k in range(truth.shape[1]):
        if not truth[:, k].any():
            assert (thresholds[k], scores[k]) == (0.5, 0)
            continue
        tried = [*probabilities[:, k].tolist(), 2.0]
        every = [f1_score(truth[:, k], probabilities[:, k] >= t, zero_division=0) for t in tried]
        assert scores[k] == pytest.approx(max(every))
        # of several with this F1 the one that says the least
        fewest = min(
            int((probabilities[:, k] >= t).sum())
            for t, f1 in zip(tried, every, strict=True)
            if f1 == pytest.approx(max(every))
        )
        assert int((probabilities[:, k] >= thresholds[k]).sum()) == fewest


def test_a_threshold_lies_between_two_probabilities() -> None:
    probabilities = torch.tensor([[0.9, 0.2], [0.6, 0.1], [0.2, 0.1]])
    truth = torch.tensor([[1, 1], [1, 1], [0, 1]])
    thresholds, scores = best_thresholds(probabilities, truth)
    torch.testing.assert_close(thresholds, torch.tensor([0.4, 0.05]))
    assert scores.tolist() == [1, 1]


def test_between_neighbouring_numbers_the_upper_one_is_the_threshold() -> None:
    for upper in (0.3, 0.30000004):  # the middle of two is rounded to the even one, which is either
        high = torch.tensor(upper)
        low = torch.nextafter(high, torch.tensor(0.0))
        thresholds, scores = best_thresholds(torch.stack((high, low))[:, None], torch.tensor([[1], [0]]))
        assert scores.item() == 1
        assert thresholds == high


def agreement(probabilities: Tensor, truth: Tensor, batches: int = 1) -> LabelAgreement:
    metric = LabelAgreement(NAMES)
    for one, true in zip(probabilities.chunk(batches), truth.chunk(batches), strict=True):
        metric.update(one, one >= 0.5, true.to(torch.uint8))
    return metric


def test_the_means_are_over_the_classes_that_occur() -> None:
    probabilities, truth = made(0, 30, 3)
    truth[:, 1] = False
    values = agreement(probabilities, truth).compute()
    own = [0, 2]
    aps = average_precision_score(truth[:, own], probabilities[:, own], average=None)
    assert values["mAP"] == pytest.approx(aps.mean())
    said = probabilities[:, own] >= 0.5
    assert values["f1"] == pytest.approx(f1_score(truth[:, own], said, average="macro"))
    assert [values["ap_cat"], values["ap_red_fox"]] == pytest.approx(aps)
    assert "ap_dog" not in values


def test_batches_have_no_part_in_it() -> None:
    probabilities, truth = made(1, 30, 3, levels=7)
    one, several = (agreement(probabilities, truth, batches).compute() for batches in (1, 6))
    assert one.keys() == several.keys()
    for name, value in one.items():
        torch.testing.assert_close(several[name], value, msg=name)


def test_said_anew_with_other_thresholds() -> None:
    probabilities, truth = made(2, 30, 3)
    metric = agreement(probabilities, truth, 3)
    before = metric.compute()
    thresholds, best = before["best"]
    metric.say(thresholds.float())
    after = metric.compute()
    assert after["f1"] == pytest.approx(float(best.mean()))
    assert after["f1"] > before["f1"]
    assert after["mAP"] == before["mAP"]


def test_nothing_is_defined_where_no_class_occurs() -> None:
    values = agreement(torch.rand(4, 3), torch.zeros(4, 3)).compute()
    assert values.keys() == {"best"}
    assert values["best"].tolist() == [[0.5] * 3, [0] * 3]
