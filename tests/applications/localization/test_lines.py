"""Linear layers that a localizer begins with."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from vision_apps.applications.localization.lines import _CLASS, _PENALTY, ridge
from vision_apps.applications.localization.module import Localization
from vision_apps.applications.localization.network import Localizer
from vision_apps.applications.localization.types import LocalizationBatch
from vision_apps.core.config.fine_tuning import settle, shares
from vision_apps.core.errors import RunError
from vision_apps.core.fields import ImageInputs
from vision_apps.core.freezing import freeze_for_good
from vision_apps.networks.backbones import Backbone

SIDE = 32
CLASSES = 3


def one_hot(labels: Tensor) -> Tensor:
    return nn.functional.one_hot(labels, CLASSES).double()


def world(number: int, seed: int = 0, width: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Features, boxes that are linear in them and in the class, and classes."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randn(number, width, generator=generator).double()
    labels = torch.arange(number) % CLASSES
    weight = 0.02 * torch.randn(width, 4, generator=torch.Generator().manual_seed(1)).double()
    of_class = torch.tensor([[0.1] * 4, [0.4] * 4, [0.7] * 4]).double()
    return places, places @ weight + of_class[labels], one_hot(labels)


# ---- the regression -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [4, 9, 60])
def test_it_is_the_ridge_regression_of_an_independent_solver(number: int) -> None:
    places, boxes, classes = world(number)
    found = ridge(places, boxes, classes)
    centred = (places - places.mean(0)).numpy()
    length = np.sqrt((centred**2).sum(1).mean())
    rows = np.hstack((centred / length, np.sqrt(_CLASS) * classes.numpy()))
    known = Ridge(_PENALTY, fit_intercept=False).fit(rows, (boxes - boxes.mean(0)).numpy())
    expected = boxes.mean(0).numpy() + known.predict(rows)
    answered = places @ found.weight.T + classes @ found.boxes
    np.testing.assert_allclose(answered.numpy(), expected, atol=1e-10)


def test_of_features_that_say_nothing_it_is_the_mean_of_the_class_drawn_to_that_of_all() -> None:
    """One class has two pictures, one a single one, and one none."""
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.3, 0.1, 0.5, 0.7], [0.8, 0.2, 0.2, 0.2]])
    places, labels = torch.full((3, 6), 7.0), torch.tensor([0, 0, 1])
    found = ridge(places, boxes, one_hot(labels).float())
    drawn, mean = _PENALTY / _CLASS, boxes.mean(0)
    answered = places[0] @ found.weight.T + found.boxes
    torch.testing.assert_close(answered[0], (boxes[:2].sum(0) + drawn * mean) / (2 + drawn))
    torch.testing.assert_close(answered[1], (boxes[2] + drawn * mean) / (1 + drawn))
    torch.testing.assert_close(answered[2], mean)
    assert not found.weight.any()


def test_of_many_pictures_it_is_least_squares() -> None:
    """Also where there are more features than pictures of a class, and of any size."""
    places, boxes, classes = world(3000)
    found = ridge(1e6 * places, boxes, classes)
    asked, truth, known = world(50, seed=5)
    torch.testing.assert_close(1e6 * asked @ found.weight.T + known @ found.boxes, truth, atol=2e-3, rtol=0)


# ---- the localizer --------------------------------------------------------------------------------------


class Cells(Backbone):
    """The picture's own colours as a map of 4 x 4 places, times ``scale``."""

    channels, strides = [3], [8]

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        return [self.scale * nn.functional.avg_pool2d(pixels, 8)]


def pictures(number: int, seed: int = 0) -> LocalizationBatch:
    """A square of 16 px somewhere, of one of three colours."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(number, 3, SIDE, SIDE, dtype=torch.uint8)
    corners = torch.randint(SIDE // 2 + 1, (number, 2), generator=generator)
    labels = torch.arange(number) % CLASSES
    for image, (x, y), label in zip(images, corners.tolist(), labels.tolist(), strict=True):
        image[label, y : y + 16, x : x + 16] = 255
    boxes = torch.cat((corners, corners + 16), 1).float()[:, None]
    return LocalizationBatch(images, boxes, labels[:, None])


def application(backbone: Backbone | None = None, **changes: Any) -> Localization:
    network = Localizer(backbone or Cells(), CLASSES, SIDE, hidden=4, lines=True)
    names = ["red", "green", "blue"]
    module = Localization(network, CLASSES, names, SIDE, [0.5] * 3, [0.25] * 3, **changes)
    module.learned = True
    return module


def scored(module: Localization, batch: LocalizationBatch) -> dict[str, float]:
    metrics = module.build_metrics()
    with torch.no_grad():
        module.score(metrics, module(ImageInputs(batch.images)), batch)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def test_it_begins_far_above_the_mean_box_of_the_true_class() -> None:
    known, asked = pictures(60), pictures(90, seed=1)
    module = application()
    module.prepare(known)
    found = scored(module, asked)
    means = torch.stack([known.boxes[label::CLASSES, 0].mean(0) for label in range(CLASSES)]) / SIDE
    told = (asked.boxes[:, 0] / SIDE - means[asked.box_labels[:, 0]]).square().mean()
    assert found["class_accuracy"] == found["presence_accuracy"] == 1
    assert found["box_mse"] < 0.2 * told


def test_what_the_heads_learn_is_added() -> None:
    """The lines say it all before the first step, and everything has a gradient from there."""
    module, batch = application(), pictures(12)
    module.prepare(batch)
    network = module.network
    assert isinstance(network, Localizer) and network.lines is not None
    outputs = module.outputs(ImageInputs(batch.images))
    maps = Cells()(module._pixels(batch.images))[0]
    box = maps.flatten(1) / 48 @ network.lines.weight.T + outputs.classes.softmax(1) @ network.lines.boxes
    torch.testing.assert_close(outputs.box, box.clamp(0.01, 0.99))
    torch.testing.assert_close(outputs.presence.sigmoid(), torch.full((12,), 0.99))
    sum(part.total for part in module.loss(outputs, batch).values()).backward()
    last = network.box_head[-1].weight
    learning = (last, network.class_head[-1].weight, *network.lines.parameters())
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in learning)
    with torch.no_grad():
        last.fill_(1.0)
    assert not torch.equal(module.outputs(ImageInputs(batch.images)).box, outputs.box)


def test_pictures_without_an_object_are_told() -> None:
    batch = pictures(30)
    batch.images[::3], batch.boxes[::3], batch.box_labels[::3] = 0, 0, -1
    module = application()
    module.prepare(batch)
    found = scored(module, batch)
    assert found["presence_accuracy"] == found["presence_ap"] == 1


def test_a_class_without_pictures_is_no_obstacle() -> None:
    batch = pictures(12)
    two = LocalizationBatch(*(field[batch.box_labels[:, 0] < 2] for field in batch[:3]))
    module = application()
    module.prepare(two)
    found = scored(module, two)
    assert found["class_accuracy"] == 1 and found["mean_iou"] > 0.5


def test_features_that_are_all_alike_give_the_mean_box_of_the_classes() -> None:
    module, batch = application(Cells(scale=0.0)), pictures(12)
    module.prepare(batch)
    answer = module(ImageInputs(batch.images))
    x1, y1, x2, y2 = batch.boxes[:, 0].mean(0).tolist()
    middle = torch.tensor([(x1 + SIDE - x2) / 2, y1, (x2 + SIDE - x1) / 2, y2])  # as often mirrored
    torch.testing.assert_close(answer.boxes, middle.expand(12, 4), atol=0.05, rtol=0)
    torch.testing.assert_close(answer.probabilities, torch.full((12, CLASSES), 1 / CLASSES))


def test_numbers_that_are_none_are_told() -> None:
    with pytest.raises(RunError, match=r"of 6 of 6 training pictures .* model\.backbone\.weights=null"):
        application(Cells(scale=float("nan"))).prepare(pictures(6))


def test_random_numbers_and_another_runs_heads_are_left_alone() -> None:
    random, other = application(), application()
    random.learned = False
    other.taken = [name for name in other.state_dict() if "_head." in name or ".backbone." in name]
    for module in (random, other):
        before = {name: value.clone() for name, value in module.network.state_dict().items()}
        module.prepare(pictures(6))
        assert all(torch.equal(before[name], value) for name, value in module.network.state_dict().items())
        assert not module.fits and module.kept is None
    taken = application()
    taken.taken = ["network.backbone.scale"]
    assert taken.fits == ["class_head", "box_head", "lines"]


def test_of_few_pictures_only_the_bias_of_the_scores_learns() -> None:
    module = application(training_pictures=63)
    config: dict[str, Any] = {"freeze": "auto", "optimizer": {"lr": 1e-3, "backbone_lr": "auto"}}
    assert settle(config, True, 0.5, module.kept)["freeze"] == config["freeze"] != []
    freeze_for_good(module.network, shares(config["freeze"]))
    left = [name for name, value in module.network.named_parameters() if value.requires_grad]
    assert left == ["lines.scores.bias"]
    assert application(training_pictures=64).kept is application().kept is None
