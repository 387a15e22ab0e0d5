"""Scores against torchvision, scikit-learn and counts by hand."""

import torch
from sklearn.metrics import average_precision_score

from vision_apps.applications.localization import metrics as measures
from vision_apps.applications.localization.module import Localization
from vision_apps.applications.localization.types import LocalizationAnswer, MainObject, main_object
from vision_apps.core.stage import Stage


def some_boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=generator) * 40
    return torch.cat((corners.amin(1), corners.amax(1)), dim=1)


def answer(boxes: torch.Tensor, presence: torch.Tensor, probabilities: torch.Tensor) -> LocalizationAnswer:
    return LocalizationAnswer(boxes, presence, probabilities, vector=torch.empty(len(boxes), 0))


def test_scores_by_hand() -> None:
    """Four pictures of 10 x 20: right; box wrong; class wrong; empty."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 1, 1]])
    truth = MainObject(
        torch.tensor([[0.0, 0, 10, 8], [10, 0, 20, 10], [5, 0, 15, 10], [0, 0, 0, 0]]),
        torch.tensor([0, 1, 2, -1]),
    )
    probabilities = torch.eye(3)[[0, 1, 0, 0]]
    presence = torch.tensor([0.9, 0.2, 0.8, 0.6])
    metrics = measures.build()
    measures.update(
        metrics, answer(boxes, presence, probabilities), truth, torch.tensor([[10, 20]]).expand(4, 2)
    )
    found = {name: metric.compute().item() for name, metric in metrics.items()}
    expected = {
        "loc_accuracy": 1 / 3,
        "mean_iou": (0.8 + 0 + 1) / 3,
        "class_accuracy": 2 / 3,
        "box_mse": (0.2**2 / 4 + (0.5**2 + 0.5**2) / 4 + 0) / 3,
        "presence_accuracy": 2 / 4,
        "presence_ap": average_precision_score([1, 1, 1, 0], presence.tolist()),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=0)


def test_an_iou_of_exactly_one_half_is_not_above_it() -> None:
    """As ImageNet's localization has it: more than one half."""
    truth = MainObject(torch.tensor([[0.0, 0, 10, 10]] * 2), torch.tensor([0, 0]))
    boxes = torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 5.01]])
    metrics = measures.build()
    measures.update(
        metrics, answer(boxes, torch.ones(2), torch.eye(2)[[0, 0]]), truth, torch.tensor([[10, 10]] * 2)
    )
    assert metrics["loc_accuracy"].compute() == 0.5


def test_batches_add_up() -> None:
    truth = MainObject(some_boxes(10, 0), torch.tensor([0, -1, 1, 1, -1, 0, 0, 1, -1, 1]))
    boxes, probabilities, presence = some_boxes(10, 1), torch.rand(10, 2).softmax(1), torch.rand(10)
    whole, parts = measures.build(), measures.build()
    measures.update(whole, answer(boxes, presence, probabilities), truth, torch.full((10, 2), 40))
    for rows in (slice(0, 1), slice(1, 2), slice(2, 7), slice(7, 10)):
        some = MainObject(truth.boxes[rows], truth.labels[rows])
        given = answer(boxes[rows], presence[rows], probabilities[rows])
        measures.update(parts, given, some, torch.full((len(some.labels), 2), 40))
    for name, metric in whole.items():
        torch.testing.assert_close(metric.compute(), parts[name].compute())


def test_without_objects_only_presence_is_defined() -> None:
    """An error of 0 would be the best there is, where nothing was measured."""
    metrics = measures.build()
    truth = MainObject(torch.zeros(2, 4), torch.tensor([-1, -1]))
    given = answer(some_boxes(2, 0), torch.tensor([0.1, 0.7]), torch.eye(2))
    measures.update(metrics, given, truth, torch.full((2, 2), 40))
    found = {name: metric.compute() for name, metric in metrics.items()}
    assert found.pop("presence_accuracy") == 0.5
    assert set(found.values()) == {None} and set(found) == set(Localization.conditional)
    stage = Stage(lambda: metrics, torch.device("cpu"))
    stage.metrics()
    assert stage.compute()[0] == {"presence_accuracy": 0.5}


def test_the_largest_object_is_the_one_to_be_found() -> None:
    boxes = torch.tensor(
        [
            [[0.0, 0, 4, 4], [0, 0, 5, 5], [9, 9, 10, 10]],
            [[0, 0, 2, 8], [0, 0, 4, 4], [0, 0, 0, 0]],  # equal areas: the first
            [[0, 0, 9, 9], [0, 0, 0, 0], [0, 0, 0, 0]],  # padding may hold anything
            [[3, 3, 3, 3], [0, 0, 0, 0], [0, 0, 0, 0]],
        ]
    )
    labels = torch.tensor([[0, 1, 2], [2, 1, -1], [-1, -1, -1], [1, -1, -1]])
    found = main_object(boxes, labels)
    assert found.labels.tolist() == [1, 2, -1, 1]
    assert found.boxes.tolist() == [[0, 0, 5, 5], [0, 0, 2, 8], [0, 0, 0, 0], [3, 3, 3, 3]]
