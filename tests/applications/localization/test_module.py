"""The application around its network: pixels in; boxes in the pixels of the picture and scores out."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from torch import Tensor, nn

from vision_apps.applications.localization.module import Localization
from vision_apps.applications.localization.network import Localizer
from vision_apps.applications.localization.types import LocalizationBatch, LocalizerOutputs
from vision_apps.applications.localization.vector import encode
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import ImageInputs, together
from vision_apps.core.losses import values
from vision_apps.data.augmentation.crops import Flip
from vision_apps.data.boxes.coco_content import read_json
from vision_apps.data.resizing import resize_boxes, resize_picture
from vision_apps.networks.backbones import Small

NAMES = ["disc", "square", "star"]


class Fixed(nn.Module):
    """Answers with the same label vector for every picture; keeps what it saw."""

    def __init__(self, vector: list[float]) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.tensor(vector))

    def forward(self, pixels: Tensor) -> LocalizerOutputs:
        self.seen = pixels
        rows = self.vector.expand(len(pixels), -1)
        return LocalizerOutputs(rows[:, 4], rows[:, 5:], rows[:, :4])


def application(network: nn.Module, size: Any = 32, **changes: Any) -> Localization:
    return Localization(
        network, **{"num_classes": 3, "class_names": NAMES, "image_size": size, "mean": [0.5] * 3,
                    "std": [0.25] * 3, **changes}
    )  # fmt: skip


def localizer(size: Any = 32, **changes: Any) -> Localizer:
    return Localizer(Small(width=8), 3, size, hidden=4, **changes)


# ---- pixels ---------------------------------------------------------------------------------------------


def test_the_network_gets_normalised_pixels_of_its_size() -> None:
    module = application(network := Fixed([0.0] * 8), size=[16, 24])
    module(ImageInputs(torch.full((2, 3, 40, 30), 255, dtype=torch.uint8)))
    torch.testing.assert_close(network.seen, torch.full((2, 3, 16, 24), 2.0))


@pytest.mark.parametrize("resize_mode", ["stretch", "letterbox"])
@pytest.mark.parametrize("given", [(32, 32), (64, 128), (100, 50), (16, 24)])
def test_boxes_come_back_in_pixels_of_the_given_picture(resize_mode: Any, given: tuple[int, int]) -> None:
    """What is encoded in the frame of the network is answered in the frame of the picture."""
    height, width = given
    box = torch.tensor([[[0.25 * width, 0.5 * height, 0.75 * width, 0.875 * height]]])
    batch = LocalizationBatch(torch.zeros(1, 3, height, width, dtype=torch.uint8), box, torch.tensor([[1]]))
    module = application(Fixed([0.0] * 8), resize_mode=resize_mode)
    vector = module._encoded(batch)[0]
    exact = application(Fixed([*vector[:4].tolist(), 9.0, 0.0, 9.0, 0.0]), resize_mode=resize_mode)
    answer = exact(ImageInputs(batch.images))
    torch.testing.assert_close(answer.boxes, box[:, 0], atol=1e-3, rtol=0)
    torch.testing.assert_close(
        answer.vector[:, :4], encode(box[:, 0], torch.tensor([1]), 3, height, width)[:, :4]
    )
    assert values(exact.loss(exact.outputs(ImageInputs(batch.images)), batch))["box"] < 1e-6


def fitted(file: Tensor, box: list[float], label: int = 1) -> LocalizationBatch:
    """A picture [3, H, W] and its object as the data give them, letterboxed to 32 x 32."""
    sizes = torch.tensor([file.shape[-2:]])
    boxes = resize_boxes(torch.tensor([[box]]), sizes, 32)
    return LocalizationBatch(resize_picture(file[None], 32)[0], boxes, torch.tensor([[label]]), sizes)


def test_what_is_scored_is_what_is_answered_of_the_file() -> None:
    """40 x 80 px fill the upper half of 32 x 32: a box over all of it is cut at the picture's lower edge."""
    file = torch.randint(256, (3, 40, 80), dtype=torch.uint8)
    module = application(Fixed([0.0, 0.0, 1.0, 1.0, 2.0, 0.0, 3.0, 0.0]), resize_mode="letterbox")
    batch = fitted(file, [0.0, 0, 80, 40])
    _, scored = module.evaluate(batch)
    answer = module(ImageInputs(file[None]))
    assert scored.boxes.tolist() == [[0, 0, 32, 16]] and answer.boxes.tolist() == [[0, 0, 80, 40]]
    assert torch.equal(scored.vector, answer.vector) and scored.vector[0, :4].tolist() == [0, 0, 1, 1]
    metrics = module.build_metrics()
    module.score(metrics, scored, batch)
    assert metrics["mean_iou"].compute() == 1 and metrics["box_mse"].compute() == 0


def test_errors_and_baselines_are_relative_to_the_picture_and_not_to_its_frame() -> None:
    """The right half of a wide picture and of a high one."""
    module = application(Fixed([0.0] * 8), resize_mode="letterbox")
    wide = fitted(torch.zeros(3, 40, 80, dtype=torch.uint8), [40.0, 0, 80, 40])
    high = fitted(torch.zeros(3, 80, 40, dtype=torch.uint8), [20.0, 0, 40, 80])
    batch = together([wide, high])
    module.prepare(batch)
    answers = module.baselines(batch)
    assert answers["mean_box"].boxes.tolist() == [[16, 0, 32, 16], [8, 0, 16, 32]]
    assert answers["centre"].boxes.tolist() == [[8, 4, 24, 12], [4, 8, 12, 24]]
    metrics = module.build_metrics()
    module.score(metrics, answers["centre"], batch)
    assert metrics["box_mse"].compute() == 0.25**2  # of every corner, in both


def test_a_box_beyond_the_edge_is_clipped() -> None:
    images = torch.zeros(1, 3, 10, 20, dtype=torch.uint8)
    answer = application(Fixed([0.5, 0.9, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0]))(ImageInputs(images))
    torch.testing.assert_close(answer.boxes, torch.tensor([[10.0, 0.0, 20.0, 1.0]]))
    torch.testing.assert_close(answer.vector[0, :4], torch.tensor([0.5, 0.9, 0.1, 0.5]))


def test_the_normalisation_of_pretrained_weights_goes_first_and_travels() -> None:
    backbone = Small(width=8)
    backbone.mean, backbone.std = [0.1] * 3, [0.2] * 3  # type: ignore[assignment]
    trained = application(Localizer(backbone, 3, 32))
    torch.testing.assert_close(trained.normalize.mean.flatten(), torch.full((3,), 0.1))
    rebuilt = application(localizer())
    rebuilt.load_state_dict(application(localizer(), mean=[0.1] * 3).state_dict())
    torch.testing.assert_close(rebuilt.normalize.mean.flatten(), torch.full((3,), 0.1))


def test_flip_test_tells_mirrored_boxes_in_a_mirrored_picture() -> None:
    module = application(localizer(), flip_test=True).eval()
    images = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8)
    one, other = module(ImageInputs(images)), module(ImageInputs(images.flip(-1)))
    mirrored = torch.stack(
        (32 - one.boxes[:, 2], one.boxes[:, 1], 32 - one.boxes[:, 0], one.boxes[:, 3]), dim=1
    )
    torch.testing.assert_close(other.boxes, mirrored, atol=1e-3, rtol=0)
    torch.testing.assert_close(other.presence, one.presence)
    torch.testing.assert_close(other.probabilities, one.probabilities)
    trained, plain = (m.train().outputs(ImageInputs(images)) for m in (module, application(module.network)))
    torch.testing.assert_close(trained, plain)  # training looks once, as the picture is


# ---- network --------------------------------------------------------------------------------------------


def test_a_flattened_map_fits_its_size_and_the_mean_any() -> None:
    pixels = torch.randn(2, 3, 40, 48)
    for network in (localizer([40, 48]), localizer([40, 48], head="gap")):
        outputs = network(pixels)
        assert outputs.presence.shape == (2,) and outputs.classes.shape == (2, 3)
        assert outputs.box.shape == (2, 4) and 0 <= outputs.box.min() <= outputs.box.max() <= 1
    assert localizer(32, head="gap")(torch.randn(1, 3, 72, 80)).box.shape == (1, 4)


def test_measuring_the_map_leaves_no_trace() -> None:
    torch.manual_seed(0)
    backbone = Small(width=8)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert Localizer(backbone, 3, 32).backbone.training
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_answer_is_float32_in_mixed_precision() -> None:
    module = application(localizer())
    with torch.autocast("cpu", torch.bfloat16):
        answer = module(module.inputs(module.example()))
        losses = values(module.loss(module.outputs(module.inputs(module.example())), module.example()))
    assert all(value.dtype == torch.float32 for value in (*answer, *losses.values()))


# ---- learning -------------------------------------------------------------------------------------------


def test_mirrored_pictures_are_learned_with_mirrored_boxes() -> None:
    module = application(localizer())
    batch = module.example()
    before, after = module._encoded(batch), module._encoded(Flip(p=1.0)(batch))
    expected = before.clone()
    expected[0, 0] = 1 - before[0, 0] - before[0, 3]
    torch.testing.assert_close(after, expected)
    torch.testing.assert_close(Flip(p=1.0)(batch).images, batch.images.flip(-1))


def test_the_parts_are_weighed() -> None:
    module = application(localizer(), presence_weight=2.0, class_weight=3.0, box_weight=0.5)
    batch = module.example()
    parts = values(module.loss(module.outputs(ImageInputs(batch.images)), batch))
    torch.testing.assert_close(parts["loss"], 2 * parts["presence"] + 3 * parts["class"] + 0.5 * parts["box"])


@pytest.mark.slow
def test_it_learns_two_pictures_by_heart() -> None:
    torch.manual_seed(0)
    module = application(localizer())
    images = module.example().images.repeat(2, 1, 1, 1)
    images[2:] = images[:2].flip(-1)
    boxes = torch.tensor([[4.0, 8, 16, 24], [0, 0, 0, 0], [16, 8, 28, 24], [0, 0, 0, 0]])[:, None]
    batch = LocalizationBatch(images, boxes, torch.tensor([[0], [-1], [2], [-1]]))
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        values(module.loss(module.outputs(ImageInputs(images)), batch))["loss"].backward()
        optimizer.step()
    metrics = module.build_metrics()
    module.score(metrics, module(ImageInputs(images)), batch)
    found = {name: metric.compute().item() for name, metric in metrics.items()}
    assert found["loc_accuracy"] == found["presence_accuracy"] == 1, found
    assert found["mean_iou"] > 0.9, found


def test_problems_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        application(localizer(), class_names=["a"], box_weight=-1.0, beta=0.0)
    text = str(caught.value)
    assert "module.class_names: 1 names for num_classes=3, expected one name for each" in text
    assert "module.box_weight: -1.0; expected at least 0" in text
    assert "module.beta: 0.0; expected above 0 (or module.box_loss=l1)" in text


# ---- baselines and quality ------------------------------------------------------------------------------


def test_the_mean_box_is_measured_on_pictures_with_an_object() -> None:
    module = application(localizer())
    boxes = torch.tensor([[[0.0, 0, 16, 16]], [[16, 16, 32, 32]], [[0, 0, 0, 0]], [[0, 16, 16, 32]]])
    batch = LocalizationBatch(
        torch.zeros(4, 3, 32, 32, dtype=torch.uint8), boxes, torch.tensor([[0], [2], [-1], [2]])
    )
    module.prepare(batch)
    answers = module.baselines(batch)
    mean, centre = answers["mean_box"], answers["centre"]
    torch.testing.assert_close(mean.boxes, (boxes[[0, 1, 3], 0].mean(0)).expand(4, -1))
    torch.testing.assert_close(centre.boxes, torch.tensor([8.0, 8, 24, 24]).expand(4, -1))
    for answer in (mean, centre):
        torch.testing.assert_close(answer.presence, torch.full((4,), 0.75))
        torch.testing.assert_close(answer.probabilities[0], torch.tensor([1 / 3, 0, 2 / 3]))
    kept = application(localizer())
    kept.load_state_dict(module.state_dict())
    torch.testing.assert_close(kept.baselines(batch)["mean_box"].boxes, mean.boxes)


def test_empty_training_pictures_leave_the_middle_as_mean() -> None:
    module = application(localizer())
    batch = LocalizationBatch(
        torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2, 1, 4), torch.full((2, 1), -1)
    )
    module.prepare(batch)
    mean = module.baselines(batch)["mean_box"]
    assert mean.boxes[0].tolist() == [8, 8, 24, 24] and mean.presence.tolist() == [0, 0]


@pytest.mark.parametrize("resize_mode", ["stretch", "letterbox"])
def test_published_weights_start_from_the_mean_answer(resize_mode: Any) -> None:
    """Before the first step every picture is answered as the baseline answers, and it can be learned on; a
    network from random numbers is left alone."""
    boxes = torch.tensor([[[4.0, 2.0, 20.0, 18.0]], [[8.0, 6.0, 28.0, 22.0]], [[0.0] * 4]])
    images = torch.randint(256, (3, 3, 24, 40), dtype=torch.uint8)
    batch = LocalizationBatch(images, boxes, torch.tensor([[0], [2], [-1]]))
    random = application(localizer(), resize_mode=resize_mode)
    weights = random.network.box_head[-1].weight.clone()
    random.prepare(batch)
    assert torch.equal(random.network.box_head[-1].weight, weights)

    network = Localizer(Small(width=8), 3, 32, hidden=64)
    network.backbone.starts_from = "a file"
    module = application(network, resize_mode=resize_mode)
    module.prepare(batch)
    answer, baseline = module(ImageInputs(images)), module.baselines(batch)["mean_box"]
    torch.testing.assert_close(answer.boxes, baseline.boxes, rtol=0, atol=1e-4)
    torch.testing.assert_close(answer.presence, torch.full((3,), 2 / 3))
    torch.testing.assert_close(answer.probabilities, torch.tensor([[0.5, 0.01, 0.5]] * 3) / 1.01)
    sum(values(module.loss(module.outputs(ImageInputs(images)), batch)).values()).backward()
    assert network.box_head[-1].weight.grad.any() and network.class_head[-1].weight.grad.any()


def test_the_worst_pictures_have_the_lowest_quality() -> None:
    module = application(localizer())
    box = torch.tensor([0.0, 0, 16, 16])
    batch = LocalizationBatch(
        torch.zeros(4, 3, 32, 32, dtype=torch.uint8),
        box.expand(4, 1, 4) * torch.tensor([1.0, 1, 1, 0])[:, None, None],
        torch.tensor([[0], [0], [1], [-1]]),
    )
    answer = module.place(
        torch.tensor([[0.0, 0, 16, 16], [16, 16, 32, 32], [0, 0, 16, 8], [0, 0, 1, 1]]),
        torch.tensor([1.0, 1, 1, 0.25]),
        torch.tensor([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [1.0, 0, 0]]),
        torch.tensor([32, 32]),
    )
    torch.testing.assert_close(module.quality(answer, batch), torch.tensor([0.9, 0, 0.1, 0.75]))


# ---- pictures and rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [(32, 32), (20, 300), (600, 450), (1, 1)])
def test_pictures_of_any_shape(given: tuple[int, int]) -> None:
    module = application(localizer()).eval()
    images = torch.randint(256, (2, 3, *given), dtype=torch.uint8)
    boxes = torch.tensor([[[0.0, 0, given[1], given[0]]], [[0, 0, 0, 0]]])
    answer = module(ImageInputs(images))
    drawn = module.presentation.draw_with_truth(
        LocalizationBatch(images, boxes, torch.tensor([[1], [-1]])), answer
    ).rows
    assert drawn[0].shape == drawn[1].shape and drawn[0].dtype == torch.uint8
    for picture in module.presentation.draw_answer(ImageInputs(images), answer):
        assert picture.shape[1] / picture.shape[2] == pytest.approx(given[0] / given[1])


def test_what_is_drawn_where() -> None:
    """Truth green, answer orange, and no box of an answer that says there is none."""
    batch = LocalizationBatch(
        torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.tensor([[[0.0, 0, 16, 16]]]), torch.tensor([[0]])
    )
    green, orange = torch.tensor([43, 160, 80]), torch.tensor([235, 94, 40])

    def has(picture: Tensor, color: Tensor) -> bool:
        return bool((picture[:, :, :352] == color[:, None, None]).all(0).any())

    sure = application(Fixed([0.5, 0.0, 0.5, 0.5, 9.0, 0.0, 0.0, 0.0]))
    unsure = application(Fixed([0.5, 0.0, 0.5, 0.5, -9.0, 0.0, 0.0, 0.0]))
    (both,) = sure.presentation.draw_with_truth(batch, sure(sure.inputs(batch))).rows
    assert has(both, green) and has(both, orange)
    assert (both[:, 351, 176] == orange).all() and (both[:, 0, 0] == green).all()
    (alone,) = unsure.presentation.draw_with_truth(batch, unsure(unsure.inputs(batch))).rows
    assert has(alone, green) and not has(alone, orange)


def test_rows_say_what_was_found() -> None:
    module = application(Fixed([0.25, 0.0, 0.5, 0.5, 2.0, 0.0, 3.0, 0.0]))
    inputs = ImageInputs(torch.zeros(1, 3, 40, 80, dtype=torch.uint8))
    (row,) = module.presentation.describe(inputs, module(inputs))
    assert json.loads(json.dumps(row)) == row
    assert row["object"] is True and row["class"] == "square"
    assert row["box"] == [20, 20, 60, 40]
    assert row["presence"] == pytest.approx(0.8808, abs=1e-4)
    assert row["vector"][:4] == [0.25, 0, 0.5, 0.5] and len(row["vector"]) == 8


def test_files_about_a_picture_and_about_all(tmp_path: Path) -> None:
    found = application(Fixed([0.25, 0.0, 0.5, 0.5, 2.0, 0.0, 3.0, 0.0]))
    nothing = application(Fixed([0.25, 0.0, 0.5, 0.5, -2.0, 0.0, 3.0, 0.0]))
    images = torch.zeros(1, 3, 40, 80, dtype=torch.uint8)
    rows, xml = [], []
    for number, module in enumerate((found, nothing)):
        answer = module(ImageInputs(images))
        written = module.presentation.files(
            ImageInputs(images), answer, f"p{number}-2", f"photos/p{number}.jpg"
        )
        (content,) = written.values()
        xml.append(ET.fromstring(content))
        rows.append(
            module.presentation.describe(ImageInputs(images), answer)[0]
            | {"file": f"p{number}.jpg", "width": 80, "height": 40}
        )
    assert [root.findtext("filename") for root in xml] == ["p0.jpg", "p1.jpg"]  # of the picture, no drawing
    assert [node.findtext("name") for node in xml[0].iter("object")] == ["square"]
    corners = [xml[0].findtext(f"object/bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    assert corners == ["20", "20", "60", "40"]
    assert not list(xml[1].iter("object")) and xml[1].findtext("size/width") == "80"

    (content,) = found.presentation.closing_files(rows).values()
    (tmp_path / "annotations.json").write_bytes(content)
    names, read = read_json(tmp_path / "annotations.json")
    assert names == NAMES
    assert [len(item.boxes) for item in read] == [1, 0]
    assert list(map(float, read[0].boxes[0])) == [20, 20, 60, 40]
