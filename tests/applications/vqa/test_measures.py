"""Losses and figures of answers, against sums written out."""

import math

import pytest
import torch
from torch import Tensor

from vision_apps.applications.vqa import metrics as measures
from vision_apps.applications.vqa.losses import binary_cross_entropy, cross_entropy, soft_scores
from vision_apps.applications.vqa.types import VqaAnswer, VqaBatch
from vision_apps.data.questions.official import score

TYPES = ["what color", "is it"]
# two pictures with two and one questions; the second question of the first has an answer that is not listed
BATCH = VqaBatch(
    torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
    torch.tensor([[[2, 3], [4, 0]], [[2, 2], [0, 0]]]),
    torch.tensor([[0, -1], [2, -1]]),
    torch.tensor([[0, 1], [0, -1]]),
)
PROBABILITIES = torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [[0.5, 0.2, 0.3], [0.9, 0.05, 0.05]]])
PEOPLE = torch.tensor([[[0, 0, 1, -1], [1, 1, 1, 1]], [[2, 2, 2, 0], [-1, -1, -1, -1]]])


def figures(batch: VqaBatch, probabilities: Tensor = PROBABILITIES) -> dict[str, float | None]:
    metrics = measures.build(TYPES)
    measures.update(metrics, VqaAnswer(probabilities, torch.zeros(2, 2, 1, 1)), batch, TYPES)
    found = {name: metric.compute() for name, metric in metrics.items()}
    return {name: None if value is None else float(value) for name, value in found.items()}


def test_soft_scores_are_the_challenges() -> None:
    found = soft_scores(PEOPLE, 3)
    expected = [[score(row.count(k), 4) for k in range(3)] for row in PEOPLE.flatten(0, 1).tolist()]
    torch.testing.assert_close(found.flatten(0, 1), torch.tensor(expected))


def test_what_is_not_listed_teaches_nothing_and_counts_as_wrong() -> None:
    part = cross_entropy(PROBABILITIES.log(), BATCH)
    assert float(part.count) == 2
    assert float(part.total) == pytest.approx(-math.log(0.7) - math.log(0.3), rel=1e-6)
    found = figures(BATCH)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["accuracy_what_color"] == 0.5 and found["accuracy_is_it"] == 0
    assert found["unlisted"] == pytest.approx(1 / 3)
    assert found["vqa_accuracy"] is None and found["told_as_other"] is None
    listed = BATCH._replace(answers=torch.tensor([[0, 1], [2, -1]]))
    assert float(cross_entropy(PROBABILITIES.log(), listed).count) == 3
    assert figures(listed)["unlisted"] is None and figures(listed)["accuracy"] == pytest.approx(2 / 3)


def test_people_decide_where_there_are_several() -> None:
    batch = BATCH._replace(human_answers=PEOPLE)
    expected = [score(2, 4), score(4, 4), score(1, 4)]
    assert figures(batch)["vqa_accuracy"] == pytest.approx(sum(expected) / 3)
    last = torch.eye(3)[2].expand(2, 2, 3)
    assert figures(batch, last)["vqa_accuracy"] == pytest.approx(score(3, 4) / 3), "three of four, once"
    logits = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0))
    part = binary_cross_entropy(logits, batch)
    total = 0.0
    for place in ((0, 0), (0, 1), (1, 0)):
        for k in range(3):
            truth, told = score(PEOPLE[place].tolist().count(k), 4), float(logits[place][k].sigmoid())
            total -= truth * math.log(told) + (1 - truth) * math.log(1 - told)
    assert float(part.total) == pytest.approx(total, rel=1e-5) and float(part.count) == 3


def test_answers_of_another_picture_are_counted_where_the_truth_differs() -> None:
    batch = BATCH._replace(
        answers=torch.tensor([[1, 1], [2, -1]]), other_answers=torch.tensor([[0, 1], [0, -1]])
    )
    assert figures(batch)["told_as_other"] == 1, "0 is told twice where it is true of the other picture"
    none = batch._replace(other_answers=torch.tensor([[-1, 1], [2, -1]]))
    assert figures(none)["told_as_other"] is None


def test_shares_of_each_type_are_those_of_its_questions() -> None:
    batch = BATCH._replace(answers=torch.tensor([[0, -1], [2, -1]]))
    expected = torch.tensor([[0.5, 0, 0.5]])
    # no question of the second type has an answer in the list: it gets that of all
    torch.testing.assert_close(measures.shares(batch, 2, 3), expected.expand(3, 3))
    nothing = batch._replace(answers=torch.full((2, 2), -1))
    torch.testing.assert_close(measures.shares(nothing, 2, 3), torch.full((3, 3), 1 / 3))


def test_a_question_of_no_known_type_has_no_share() -> None:
    """Of three answers to questions of the types 0, none and 1, a person said 0, 1 and 2."""
    batch = BATCH._replace(
        answers=torch.tensor([[0, 1], [2, -1]]), question_types=torch.tensor([[0, -1], [1, -1]])
    )
    expected = torch.tensor([[1, 0, 0], [0, 0, 1], [0.5, 0, 0.5]])
    torch.testing.assert_close(measures.shares(batch, 2, 3), expected)


def test_types_have_names_of_their_own_in_any_script() -> None:
    names = ["what color", "yes/no", "yes no", "(Is it?)", "top 10", "是否", "颜色", "?!", "...", "Цвет"]
    assert measures.of_types(names) == [
        *("accuracy_what_color", "accuracy_yes_no", "accuracy_yes_no_3", "accuracy_is_it", "accuracy_top_10"),
        *("accuracy_是否", "accuracy_颜色", "accuracy_8", "accuracy_9", "accuracy_цвет"),
    ]


def test_one_true_answer_is_what_everybody_said() -> None:
    """A run that learned from several people may be tested on questions with one answer each."""
    logits = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0))
    people = BATCH._replace(human_answers=BATCH.answers[..., None].expand(-1, -1, 10))
    one, all_of_them = binary_cross_entropy(logits, BATCH), binary_cross_entropy(logits, people)
    assert one.count == 3
    torch.testing.assert_close(one, all_of_them)
    truth = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]])  # the second question's answer is not listed
    likely = logits[[0, 0, 1], [0, 1, 0]].sigmoid()
    expected = -(truth * likely.log() + (1 - truth) * (1 - likely).log()).sum()
    torch.testing.assert_close(one.total, expected)
