"""The one metric of detection: its scalars, and that they do not depend on how they were gathered."""

from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from vision_apps.applications.detection.coco_ap import NAMES, coco_figures
from vision_apps.applications.detection.errors import KINDS, split_errors
from vision_apps.applications.detection.metrics import DetectionMetrics, evaluate, panoptic_quality, tables_of
from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable
from vision_apps.applications.detection.types import DetectionAnswer, DetectionBatch
from vision_apps.applications.detection.voc_ap import voc_figures
from vision_apps.core import ranks
from vision_apps.core.fields import replaced
from vision_apps.data.resizing import resize_boxes


def padded(
    found: DetectionTable, truths: GroundTruthTable, images: int, side: int = 400
) -> tuple[DetectionAnswer, DetectionBatch]:
    """Flat tables as an answer and a batch."""

    def rows(field: Tensor, numbers: Tensor, fill: float) -> Tensor:
        most = max(1, int(torch.bincount(numbers, minlength=images).max()))
        out = torch.full((images, most, *field.shape[1:]), fill, dtype=field.dtype)
        for image in range(images):
            own = field[numbers == image]
            out[image, : len(own)] = own
        return out

    answer = DetectionAnswer(
        rows(found.boxes.float(), found.images, 0),
        rows(found.scores.float(), found.images, 0),
        rows(found.labels, found.images, -1),
    )
    batch = DetectionBatch(
        torch.zeros(images, 3, side, side, dtype=torch.uint8),
        rows(truths.boxes.float(), truths.images, 0),
        rows(truths.labels, truths.images, -1),
        rows(truths.ignored, truths.images, False),
        torch.full((images, 2), side),
        torch.zeros(images, 0, 4),
    )
    return answer, batch


def part(values: Any, rows: slice) -> Any:
    return replaced(values, lambda field: field[rows])


def plain(values: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value.ndim == 0}


def test_scalars_are_those_of_the_functions(random_tables: Any) -> None:
    answer, batch = padded(*random_tables(5), images=12)
    metrics = MetricCollection({"detection": DetectionMetrics(3, score_threshold=0.4)})
    metrics.update(answer, batch)
    values = plain(metrics.compute())

    found, truths = tables_of(answer, batch)
    expected = coco_figures(found, truths, 3).figures | voc_figures(found, truths, 3).means()
    split = split_errors(found, truths, 3, 0.4)
    expected["precision"], expected["recall"] = split.precision_recall()
    expected |= {f"errors_{kind}": count for kind, count in split.counts().items()}
    assert values == pytest.approx(expected, abs=1e-6)
    assert set(values) == {*NAMES, "voc07_ap", "voc_ap", "precision", "recall"} | {
        f"errors_{kind}" for kind in KINDS
    }


def shared(
    answer: DetectionAnswer, batch: DetectionBatch, batches: list[slice], patch: pytest.MonkeyPatch
) -> list[DetectionMetrics]:
    """What each of two processes measures that share every batch in turns."""
    found = []
    for rank in (0, 1):
        patch.setattr(ranks, "rank", lambda rank=rank: rank)
        found.append(DetectionMetrics(3))
        for rows in batches:
            found[-1].update(*(part(part(values, rows), slice(rank, None, 2)) for values in (answer, batch)))
    return found


@pytest.mark.parametrize("ties", [True, False])
def test_processes_that_are_merged_equal_the_whole(
    random_tables: Any, monkeypatch: pytest.MonkeyPatch, ties: bool
) -> None:
    """In whatever order they arrive, equal scores follow the order of the data."""
    answer, batch = padded(*random_tables(6), images=12)
    if ties:
        answer = answer._replace(scores=torch.full_like(answer.scores, 0.5))
    whole = DetectionMetrics(3)
    whole.update(answer, batch)
    pairs = [slice(start, start + 2) for start in range(0, 12, 2)]  # some without objects or answers
    first, second = shared(answer, batch, pairs, monkeypatch)
    second.merge_state(first)  # puts what it is given first
    for ours, theirs in zip(second.tables(), whole.tables(), strict=True):
        for a, b in zip(ours[:4], theirs[:4], strict=True):
            assert torch.equal(a, b)
    assert plain(second.compute()) == plain(whole.compute())


def test_processes_that_are_joined_equal_the_whole(
    random_tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torchmetrics joins them: each state is gathered and concatenated."""
    answer, batch = padded(*random_tables(7), images=12)
    whole = DetectionMetrics(3)
    whole.update(answer, batch)
    first, second = shared(answer, batch, [slice(0, 8), slice(8, 12)], monkeypatch)
    for states in (first, second):  # a gathered state is one tensor
        for name in states._defaults:
            setattr(states, name, [torch.cat(getattr(states, name))])
    gathered = {
        id(a[0]): [a[0], b[0]]
        for name in first._defaults
        for a, b in [(getattr(first, name), getattr(second, name))]
    }
    first._sync_dist(dist_sync_fn=lambda value, group: gathered[id(value)])
    assert plain(first.compute()) == plain(whole.compute())


def test_objects_are_small_in_the_pixels_of_their_file() -> None:
    # 60 px of a file of 1200 x 800, seen at 300: 15 px, which is small only there
    sizes = torch.tensor([[800, 1200]])
    in_file = torch.tensor([[[100, 100, 160, 160.0]]])
    for resize_mode in ("letterbox", "stretch"):
        boxes = resize_boxes(in_file, sizes, 300, resize_mode)
        batch = DetectionBatch(
            torch.zeros(1, 3, 300, 300, dtype=torch.uint8),
            boxes,
            torch.zeros(1, 1).long(),
            torch.zeros(1, 1, dtype=torch.bool),
            sizes,
            torch.zeros(1, 0, 4),
        )
        metric = DetectionMetrics(1, resize_mode=resize_mode)
        metric.update(DetectionAnswer(boxes, torch.ones(1, 1), torch.zeros(1, 1).long()), batch)
        values = plain(metric.compute())
        assert values["ap_medium"] == pytest.approx(1) and "ap_small" not in values


def test_the_area_that_is_annotated_decides_the_size() -> None:
    """A mask of 600 px in a box of 40 x 40: small, as COCO counts it."""
    box, one = torch.tensor([[[10, 10, 50, 50.0]]]), torch.zeros(1, 1).long()
    batch = DetectionBatch(
        torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
        box,
        one,
        one.bool(),
        torch.tensor([[64, 64]]),
        torch.zeros(1, 0, 4),
    )
    for areas, size in ((None, "medium"), (torch.tensor([[600.0]]), "small")):
        metric = DetectionMetrics(1)
        metric.update(DetectionAnswer(box, torch.ones(1, 1), one), batch._replace(areas=areas))
        values = plain(metric.compute())
        assert [name for name in values if name.startswith("ap_")] == [f"ap_{size}"]


def test_nothing_at_all_and_a_new_start() -> None:
    metric = DetectionMetrics(2)
    nothing = DetectionTable(torch.empty(0, 4), torch.empty(0), torch.empty(0).long(), torch.empty(0).long())
    none = GroundTruthTable(
        torch.empty(0, 4), torch.empty(0).long(), torch.empty(0, dtype=torch.bool), torch.empty(0).long()
    )
    metric.update(*padded(nothing, none, images=3))
    values = plain(metric.compute())
    assert "ap" not in values and values["errors_missed"] == 0
    metric.reset()
    one = none._replace(
        boxes=torch.tensor([[0, 0, 9, 9.0]]),
        labels=torch.ones(1).long(),
        ignored=torch.zeros(1, dtype=torch.bool),
        images=torch.ones(1).long(),
    )
    metric.update(*padded(nothing, one, images=3))
    values = plain(metric.compute())
    assert values["ap"] == values["recall"] == values["precision"] == 0 and values["errors_missed"] == 1
    assert all(value == value for value in values.values())


@pytest.mark.parametrize("classes", [1, 3])
def test_what_figures_are_drawn_from(random_tables: Any, classes: int) -> None:
    """torchmetrics makes a scalar of a tensor with one value, which of one class these must not be."""
    found, truths = random_tables(8)
    found, truths = (table._replace(labels=table.labels % classes) for table in (found, truths))
    metric = DetectionMetrics(classes)
    answer, batch = padded(found, truths, images=12)
    metric.update(answer, batch)
    values = metric.compute()
    found, truths = tables_of(answer, batch)
    coco = coco_figures(found, truths, classes)
    assert torch.equal(values["class_ap"], torch.stack((coco.class_ap, coco.class_ap50)))
    assert torch.equal(values["precision_curve"], coco.curve)
    assert torch.equal(values["confusion"], split_errors(found, truths, classes, 0.3).confusion)
    objects = torch.bincount(truths.labels[~truths.ignored], minlength=classes)
    assert values["confusion"][:-1].sum(1).tolist() == objects.tolist()


def test_quality_of_pictures() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 8], [0, 0, 5, 5.0]])
    truths = GroundTruthTable(
        boxes[:2], torch.zeros(2).long(), torch.zeros(2, dtype=torch.bool), torch.tensor([0, 0])
    )
    found = DetectionTable(boxes[2:], torch.ones(2), torch.zeros(2).long(), torch.tensor([0, 1]))
    quality = panoptic_quality(split_errors(found, truths, 1, 0.5), 3)
    # one of two found with IoU .8 and nothing else; one answer where nothing is; nothing where nothing is
    assert quality.tolist() == pytest.approx([0.8 / 1.5, 0, 1])


def test_evaluation_of_a_perfect_answer(random_tables: Any) -> None:
    _, truths = random_tables(9)
    truths = truths._replace(ignored=torch.zeros_like(truths.ignored))
    found = DetectionTable(truths.boxes, torch.ones(len(truths.labels)), truths.labels, truths.images)
    values = evaluate(found, truths, 3, 0.5)
    assert all(
        values[name] == pytest.approx(1) for name in ("ap", "voc_ap", "voc07_ap", "precision", "recall")
    )
    assert all(values[f"errors_{kind}"] == 0 for kind in KINDS)
