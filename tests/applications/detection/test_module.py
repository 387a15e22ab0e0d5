"""The application around a detector that is made up: what it is given, and what becomes of its answers."""

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from torch import Tensor, nn

from vision_apps.applications.detection.detector import Detector
from vision_apps.applications.detection.mean_boxes import mean_boxes
from vision_apps.applications.detection.module import PATIENCE, Detection
from vision_apps.applications.detection.types import (
    DetectionAnswer,
    DetectionBatch,
    DetectionInputs,
    Detections,
    Target,
)
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import one_by_one, replaced
from vision_apps.core.losses import Part, mean, values
from vision_apps.core.pictures import sheet, to_pil
from vision_apps.data.boxes.coco import CocoJson
from vision_apps.data.boxes.voc import VocFolder
from vision_apps.data.resizing import LETTERBOX_GREY, resize_picture, restore_boxes

NAMES = ["cat", "dog", "emu"]


class Seen(NamedTuple):
    pixels: Tensor
    regions: list[Tensor] | None


class Made(Detector[Seen]):
    """Answers what it was told, and remembers what it was given."""

    def __init__(self, found: list[Detections] | None = None, external: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.found = found
        self.external = external
        self.targets: list[Target] | None = None
        self.positives = 1.0

    def forward(
        self, pixels: Tensor, targets: list[Target] | None = None, proposals: list[Tensor] | None = None
    ) -> Seen:
        self.targets = targets
        return Seen(pixels * self.weight, proposals)

    def loss(self, outputs: Seen, targets: list[Target]) -> dict[str, Part]:
        self.loss_targets = targets
        positives = Part(torch.tensor(self.positives), len(targets), weight=0)
        return {"loss": mean(outputs.pixels.square()), "positives": positives}

    def detect(self, outputs: Seen) -> list[Detections]:
        nothing = Detections(torch.empty(0, 4), torch.empty(0), torch.empty(0).long())
        return self.found or [nothing] * len(outputs.pixels)

    def proposals_of(self, images: Tensor) -> list[Tensor] | None:
        if not self.external:
            return None
        assert images.dtype == torch.uint8
        side = images.shape[-1]
        return [torch.tensor([[0, 0, side, side / 2]])] * len(images)

    def unmatched(self, targets: list[Target], size: tuple[int, int]) -> Tensor:
        boxes = torch.cat([target.boxes for target in targets])
        return (boxes[:, 2:] - boxes[:, :2]).amin(1) < 8


def module(network: nn.Module | None = None, **arguments: Any) -> Detection:
    given = {"num_classes": 3, "class_names": NAMES, "image_size": 64, "mean": [0.5] * 3, "std": [0.25] * 3}
    return Detection(network or Made(), **{**given, **arguments})


def batch(height: int = 64, width: int = 64, proposals: int = 0) -> DetectionBatch:
    """An object and an ignored one in the first picture, an object in the second."""
    boxes = torch.zeros(2, 3, 4)
    boxes[0, 0] = torch.tensor([8, 8, 40, 24])
    boxes[0, 1] = torch.tensor([40, 40, 60, 60])
    boxes[1, 0] = torch.tensor([0, 0, 6, 40])
    labels = torch.tensor([[1, 0, -1], [2, -1, -1]])
    ignored = torch.zeros(2, 3, dtype=torch.bool)
    ignored[0, 1] = True
    regions = torch.zeros(2, proposals, 4)
    regions[:, : proposals - 1] = torch.tensor([2, 4, 20, 30.0])
    images = torch.randint(256, (2, 3, height, width), dtype=torch.uint8)
    return DetectionBatch(images, boxes, labels, ignored, torch.tensor([[height, width]] * 2), regions)


def found(boxes: list[list[float]], scores: list[float], labels: list[int]) -> Detections:
    return Detections(torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), torch.tensor(labels).long())


# ---- to the network and back -------------------------------------------------------------------------------


def test_pixels_are_normalised() -> None:
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    seen = module().outputs(DetectionInputs(images))
    torch.testing.assert_close(seen.pixels, (images.float() / 255 - 0.5) / 0.25)
    assert seen.regions is None


def test_what_the_backbone_expects_goes_before_the_data() -> None:
    network = Made()
    network.backbone = nn.Identity()
    network.backbone.mean, network.backbone.std = [0.0] * 3, [0.5] * 3
    seen = module(network).outputs(DetectionInputs(torch.full((1, 3, 64, 64), 255, dtype=torch.uint8)))
    torch.testing.assert_close(seen.pixels, torch.full((1, 3, 64, 64), 2.0))


def test_a_picture_of_another_size_is_fitted_and_its_boxes_come_back() -> None:
    # 100 x 200 px in a letterbox of 64: 32 x 64, the rest is grey
    images = torch.zeros(1, 3, 100, 200, dtype=torch.uint8)
    network = Made([found([[0, 0, 64, 32], [32, 8, 48, 16], [60, 20, 70, 50]], [0.9, 0.8, 0.7], [0, 1, 2])])
    made = module(network, max_detections=4)
    pixels = made.outputs(DetectionInputs(images)).pixels
    assert pixels.shape == (1, 3, 64, 64)
    assert torch.allclose(pixels[..., 32:, :], torch.tensor((LETTERBOX_GREY / 255 - 0.5) / 0.25))
    answer = made(DetectionInputs(images))
    expected = [[0, 0, 200, 100], [100, 25, 150, 50], [187.5, 62.5, 200, 100], [0, 0, 0, 0]]
    assert torch.allclose(answer.boxes[0], torch.tensor(expected, dtype=torch.float32), atol=1e-3)
    assert answer.scores[0].tolist() == pytest.approx([0.9, 0.8, 0.7, 0])
    assert answer.labels[0].tolist() == [0, 1, 2, -1]


def test_what_is_scored_is_what_is_answered_of_the_file() -> None:
    """100 x 200 px, fitted to 32 x 64 of 64 x 64: a box is cut at the picture's lower edge, and one in the
    grey is no answer."""
    file = torch.randint(256, (1, 3, 100, 200), dtype=torch.uint8)
    told = found([[8, 8, 40, 50], [2, 40, 60, 64], [60, 20, 70, 30]], [0.9, 0.8, 0.7], [0, 1, 2])
    made = module(Made([told]))
    fitted, _ = resize_picture(file, 64)
    given = batch()
    given = replaced(given, lambda field: field[:1])._replace(images=fitted, sizes=torch.tensor([[100, 200]]))
    _, scored = made.evaluate(given)
    assert scored.boxes[0, :2].tolist() == [[8, 8, 40, 32], [60, 20, 64, 30]]
    assert scored.labels[0, :3].tolist() == [0, 2, -1]
    answer = made(DetectionInputs(file))
    assert torch.equal(restore_boxes(scored.boxes, given.sizes, 64), answer.boxes)
    assert torch.equal(scored.scores, answer.scores) and torch.equal(scored.labels, answer.labels)


def test_mean_boxes_are_relative_to_the_picture_and_not_to_its_frame() -> None:
    """The same object in a wide and in a high picture, each fitted to a square."""
    given = batch()._replace(sizes=torch.tensor([[100, 200], [200, 100]]))
    boxes = torch.zeros(2, 3, 4)
    boxes[0, 0], boxes[1, 0] = torch.tensor([16, 8, 48, 24]), torch.tensor([8, 16, 24, 48])
    labels = torch.tensor([[1, -1, -1], [1, -1, -1]])
    given = given._replace(boxes=boxes.float(), box_labels=labels, ignored=labels == 9)
    made = module()
    made.prepare(given)
    assert made.mean_boxes[1].tolist() == [0.25, 0.25, 0.75, 0.75]
    answer = made.baselines(given)["mean_boxes"]
    assert answer.boxes[:, 0].tolist() == [[16, 8, 48, 24], [8, 16, 24, 48]]
    metrics = made.build_metrics()
    made.score(metrics, answer, given)
    assert metrics.compute()["ap"] == 1


def test_stretched_pictures_of_a_size_that_is_not_square() -> None:
    network = Made([found([[0, 0, 32, 48]], [0.9], [0])])
    made = module(network, image_size=[48, 32], resize_mode="stretch")
    images = torch.zeros(1, 3, 100, 200, dtype=torch.uint8)
    assert made.outputs(DetectionInputs(images)).pixels.shape == (1, 3, 48, 32)
    assert made(DetectionInputs(images)).boxes[0, 0].tolist() == [0, 0, 200, 100]


def test_more_detections_than_rows_are_cut() -> None:
    network = Made([found([[0, 0, 5, 5.0]] * 7, [0.9 - 0.1 * n for n in range(7)], [0] * 7)])
    answer = module(network, max_detections=3)(DetectionInputs(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)))
    assert answer.scores.shape == (1, 3) and answer.scores[0].tolist() == pytest.approx([0.9, 0.8, 0.7])


def test_targets_are_without_padding_and_in_the_networks_pixels() -> None:
    made = module(image_size=32)
    first, second = made.targets(batch())
    assert first.boxes.tolist() == [[4, 4, 20, 12]] and first.labels.tolist() == [1]
    assert first.ignored.tolist() == [[20, 20, 30, 30]]
    assert second.boxes.tolist() == [[0, 0, 3, 20]] and second.ignored.shape == (0, 4)


def test_only_training_shows_the_network_its_targets() -> None:
    network = Made()
    made = module(network)
    made.training_outputs(batch())
    assert network.targets is not None and network.targets[0].labels.tolist() == [1]
    made.outputs(made.inputs(batch()))
    assert network.targets is None


def test_proposals_of_the_data_are_fitted_and_padding_is_left_out() -> None:
    made = module(Made(external=True), image_size=32)
    given = batch(proposals=3)
    inputs = made.inputs(given)
    assert len(inputs) == 2
    for seen in (made.outputs(inputs), made.training_outputs(given)):
        assert [rows.tolist() for rows in seen.regions] == [[[1, 2, 10, 15]] * 2] * 2


def test_proposals_that_are_missing_are_made_where_the_network_needs_them() -> None:
    given = batch()
    assert module().inputs(given).proposals is None
    made = module(Made(external=True), image_size=32)
    for seen in (made.outputs(DetectionInputs(given.images)), made.training_outputs(given)):
        assert [rows.tolist() for rows in seen.regions] == [[[0, 0, 32, 16]]] * 2
    assert module(Made()).outputs(DetectionInputs(given.images)).regions is None


# ---- training ----------------------------------------------------------------------------------------------


def test_many_steps_without_a_positive_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    made = module()

    def steps(count: int) -> None:
        for _ in range(count):
            made.losses.add({"positives": torch.tensor(0.0)})
            made.on_after_backward()

    with caplog.at_level(logging.WARNING):
        steps(PATIENCE - 1)
        assert not caplog.records
        steps(2 * PATIENCE)
    (record,) = caplog.records
    assert "no object was matched to any anchor, cell or region in the last 50 steps" in record.getMessage()
    assert "vision-apps data check" in record.getMessage()


def test_a_positive_now_and_then_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    made = module()
    for step in range(4 * PATIENCE):
        made.losses.add({"positives": torch.tensor(float(step % 20 == 0))})
        made.on_after_backward()
    assert not caplog.records


def test_objects_that_nothing_can_match_are_found() -> None:
    (finding,) = module().check(batch())
    assert "1 of 2 (50%)" in finding and "Made" in finding and "6 x 40 px" in finding
    assert module(image_size=256).check(batch()) == []
    assert module(Detector()).check(batch()) == []  # a network that cannot tell


# ---- what is measured --------------------------------------------------------------------------------------


def test_the_mean_boxes_by_hand() -> None:
    given = batch(64, 128)
    boxes = given.boxes.clone()
    labels = given.box_labels.clone()
    boxes[1, 1], labels[1, 1] = torch.tensor([0, 0, 32, 32]), 1
    mean, frequency = mean_boxes(given._replace(boxes=boxes, box_labels=labels), given.sizes, 3)
    assert torch.allclose(mean[1], torch.tensor([4 / 128, 4 / 64, 36 / 128, 28 / 64]))
    assert frequency.tolist() == [0, 1, 0.5]  # what is ignored does not count
    assert mean[0].tolist() == [0, 0, 0, 0]


def test_the_baseline_answers_alike_and_survives_a_checkpoint() -> None:
    made = module()
    (nothing,) = made.baselines(batch()).values()
    assert (nothing.labels == -1).all()
    made.prepare(batch())
    again = module()
    again.load_state_dict(made.state_dict())
    answer = again.baselines(batch())["mean_boxes"]
    assert answer.labels.tolist() == [[1, 2, -1]] * 2
    assert answer.scores[0].tolist() == [0.5, 0.5, 0]
    assert answer.boxes[0, 0].tolist() == [8, 8, 40, 24]


def answered() -> tuple[DetectionBatch, DetectionAnswer]:
    """The first picture's object misplaced, the second's found, and something that scores too little."""
    network = Made(
        [
            found([[8, 16, 40, 32], [50, 0, 60, 10]], [0.8, 0.1], [1, 0]),
            found([[0, 0, 6, 40.0]], [0.9], [2]),
        ]
    )
    given = batch()
    return given, module(network)(DetectionInputs(given.images))


def test_scalars_come_from_one_metric_and_the_worst_is_known() -> None:
    made = module()
    given, answer = answered()
    metrics = made.build_metrics()
    made.score(metrics, answer, given)
    values = metrics.compute()
    assert set(made.headline) - {"loss"} <= set(values)
    assert all(value.isfinite() for value in values.values() if value.ndim == 0)
    assert values["recall"] == 0.5 and values["errors_localization"] == 1
    assert values["voc_ap"] == 0.5
    assert made.quality(answer, given).tolist() == pytest.approx([0, 1])
    figures = made.presentation.figures(metrics.compute())
    assert set(figures) == {"precision_recall", "classes", "confusion"}
    table = made.presentation.tables(metrics.compute())["classes"]
    assert [row["class"] for row in table] == made.class_names
    assert [row["objects"] for row in table] == [0, 1, 1]  # one is ignored
    assert [row["ap50"] for row in table if row["objects"]].count(None) == 0
    assert all(row["ap"] is None for row in table if not row["objects"])


# ---- what is shown -----------------------------------------------------------------------------------------


def test_rows_are_of_one_size_with_a_column_for_each_title() -> None:
    made = module()
    given, answer = answered()
    rows, titles, _ = made.presentation.draw_with_truth(given, answer)
    assert len({row.shape for row in rows}) == 1 and len(rows) == 2
    assert sheet(rows, titles).dtype == torch.uint8
    shown = made.presentation.draw_answer(made.inputs(given), answer)
    assert [picture.shape for picture in shown] == [(3, 384, 384)] * 2


def test_descriptions_are_in_pixels_and_above_the_threshold() -> None:
    given, answer = answered()
    inputs = module().inputs(given)
    rows = json.loads(json.dumps(module().presentation.describe(inputs, answer)))
    assert rows == [
        {"objects": [{"class": "dog", "score": 0.8, "box": [8, 16, 40, 32]}]},
        {"objects": [{"class": "emu", "score": 0.9, "box": [0, 0, 6, 40]}]},
    ]
    assert len(module(score_threshold=0.05).presentation.describe(inputs, answer)[0]["objects"]) == 2


def test_files_of_predictions_are_read_back_by_our_readers(tmp_path: Path) -> None:
    made = module()
    given, answer = answered()
    rows = []
    (tmp_path / "images").mkdir()
    samples = zip(one_by_one(made.inputs(given)), one_by_one(answer), strict=True)
    for number, (inputs, one) in enumerate(samples):
        to_pil(inputs.images[0]).save(tmp_path / "images" / f"photo-{number}.png")
        written = made.presentation.files(inputs, one, f"photo-{number}", f"mine/photo-{number}.png")
        for name, content in written.items():
            assert f"<filename>photo-{number}.png</filename>".encode() in content
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        row = {"file": f"images/photo-{number}.png", "width": 64, "height": 64}
        rows.append(row | made.presentation.describe(inputs, one)[0])
    for name, content in made.presentation.closing_files(rows).items():
        (tmp_path / name).write_bytes(content)

    voc = VocFolder(str(tmp_path), classes=NAMES).read()
    coco = CocoJson(str(tmp_path), images=".").read()
    for read in (voc, coco):
        assert read.class_names == NAMES
        first, second = read.splits["train"]
        assert first.boxes.tolist() == [[8, 16, 40, 32]] and first.labels.tolist() == [1]
        assert second.boxes.tolist() == [[0, 0, 6, 40]] and second.labels.tolist() == [2]


def test_the_example_fits() -> None:
    made = module(image_size=[48, 80])
    example = made.example()
    assert type(example) is DetectionBatch and example.images.shape == (2, 3, 48, 80)
    assert [len(target.labels) for target in made.targets(example)] == [1, 0]
    assert values(made.loss(made.training_outputs(example), example))["loss"].isfinite()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_names": ["cat"]}, r"module.class_names: 1 names for num_classes=3"),
        ({"max_detections": 0}, r"module.max_detections: 0; expected at least 1, such as 100"),
        ({"score_threshold": 1.5}, r"module.score_threshold: 1.5; expected 0 to 1, such as 0.3"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        module(**arguments)
