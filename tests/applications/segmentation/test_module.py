"""The application around its network: pixels in, loss, scores, baselines and files out."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from vision_apps.applications.segmentation import losses
from vision_apps.applications.segmentation.border import border_weights
from vision_apps.applications.segmentation.metrics import image_miou
from vision_apps.applications.segmentation.module import Segmentation
from vision_apps.applications.segmentation.types import SegmentationAnswer, SegmentationBatch, TiledBatch
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import ImageInputs, together
from vision_apps.core.losses import Part, values
from vision_apps.data.masks.coding import resize_mask
from vision_apps.data.resizing import resize_picture
from vision_apps.networks.auxiliary import AuxiliaryLogits, Logits

K = 3
NAMES = ["back", "disc", "box"]
MEAN, STD = [0.1, 0.5, 0.7], [0.2, 0.3, 0.4]


class Coarse(nn.Module):
    """A score per class at half the resolution; keeps what it is given."""

    def __init__(self, auxiliary: bool = False) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, K, 2, stride=2)
        self.auxiliary = auxiliary

    def forward(self, pixels: Tensor) -> Logits:
        self.seen = pixels
        scores = self.layer(pixels)
        return AuxiliaryLogits(scores, (scores[..., ::2, ::2],), 0.4) if self.auxiliary else scores


def application(network: nn.Module | None = None, **kwargs: Any) -> Segmentation:
    return Segmentation(
        network or Coarse(), K, NAMES, **{"mean": MEAN, "std": STD, "image_size": 16, **kwargs}
    )


def some_batch(seed: int = 0, size: tuple[int, int] = (16, 20), count: int = 3) -> SegmentationBatch:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.randint(K, (count, *size), generator=generator, dtype=torch.uint8)
    masks[:, :3] = 255
    return SegmentationBatch(
        torch.randint(256, (count, 3, *size), generator=generator, dtype=torch.uint8), masks
    )


def test_the_network_gets_normalised_pixels_and_its_scores_are_enlarged() -> None:
    module = application(network := Coarse())
    images = some_batch().images
    outputs = module.outputs(ImageInputs(images))
    expected = (images / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(network.seen, expected)
    enlarged = F.interpolate(network.layer(expected), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(outputs, enlarged)
    answer = module.answer(outputs, ImageInputs(images))
    assert answer.masks.dtype == torch.uint8
    assert torch.equal(answer.masks.long(), enlarged.argmax(1))


def test_what_a_network_expects_goes_before_the_data_s() -> None:
    network = Coarse()
    network.mean, network.std = [0.0] * 3, [0.5] * 3  # type: ignore[assignment]
    module = application(network)
    module.outputs(ImageInputs(torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)))
    torch.testing.assert_close(network.seen, torch.full((1, 3, 8, 8), 2.0))


@given(batch=st.integers(1, 5))
def test_answers_do_not_depend_on_the_batch(batch: int) -> None:
    module, images = application().eval(), some_batch(count=5).images
    whole = module(ImageInputs(images)).masks
    parts = torch.cat([module(ImageInputs(part)).masks for part in images.split(batch)])
    assert torch.equal(parts, whole)


@torch.no_grad()
def test_large_pictures_are_answered_in_tiles() -> None:
    network = Coarse()
    module = application(network, tile=64, overlap=16).eval()
    images = some_batch(size=(150, 100), count=2).images
    tiled = module(ImageInputs(images)).masks
    assert max(network.seen.shape[-2:]) <= 64
    whole = application(network, image_size=[150, 100]).eval()(ImageInputs(images)).masks
    assert network.seen.shape == (2, 3, 150, 100)
    assert (tiled == whole).float().mean() > 0.99  # at seams the enlarged scores differ a little
    module(ImageInputs(images[..., :64, :64]))
    assert network.seen.shape == (2, 3, 64, 64)


def of_files(type_: Any = SegmentationBatch, mode: Any = "letterbox") -> tuple[list[Tensor], Any]:
    """Pictures of three shapes as files, uint8 [3, h, w], and as the data give them, fitted to 64 x 64."""
    samples, files = [], []
    for seed, size in enumerate([(40, 100), (130, 70), (64, 64)]):
        batch = some_batch(seed, size, 1)
        smooth = F.interpolate(batch.images[..., ::8, ::8].float(), size, mode="bilinear").to(torch.uint8)
        mask = batch.masks[0]
        fields = (smooth, mask[None]) if type_ is TiledBatch else (mask[None],)
        names = ("files", "truths") if type_ is TiledBatch else ("truths",)
        samples.append(
            type_(
                resize_picture(smooth, 64, mode)[0],
                resize_mask(mask, 64, mode)[None],
                torch.tensor([size]),
                **dict(zip(names, fields, strict=True)),
            )
        )
        files.append(smooth[0])
    return files, together(samples)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
@pytest.mark.parametrize("tile", [None, 64])
def test_what_is_scored_is_what_is_answered_of_the_file(mode: Any, tile: int | None) -> None:
    module = application(image_size=64, resize_mode=mode, tile=tile, overlap=16).eval()
    assert module.batch_type is (SegmentationBatch if tile is None else TiledBatch)
    files, batch = of_files(module.batch_type, mode)
    _, scored = module.evaluate(batch)
    metrics, alone = module.build_metrics(), module.build_metrics()
    module.score(metrics, scored, batch)
    quality = module.quality(scored, batch)
    for number, file in enumerate(files):
        height, width = file.shape[-2:]
        answer = module(ImageInputs(file[None]))
        assert answer.masks.shape == (1, height, width)
        assert torch.equal(scored.masks[number, :height, :width], answer.masks[0])
        truth = batch.truths[number : number + 1, :height, :width]
        alone.update(answer.masks, truth)
        assert quality[number] == image_miou(answer.masks, truth, K)
    found, expected = metrics.compute(), alone.compute()
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name
    rows = module.presentation.draw_with_truth(batch, scored).rows
    shapes = [(64, 64)] * 3 if mode == "stretch" else [(26, 64), (64, 34), (64, 64)]
    assert [row.shape for row in rows] == [(3, height, 4 * width) for height, width in shapes]


def test_the_scale_at_which_a_picture_is_seen_does_not_depend_on_its_size() -> None:
    """The same scene in files of 1 and 4 times the size it was trained at: the same answer."""
    module = application(image_size=16).eval()
    small = some_batch(size=(16, 16), count=1).images
    large = small.repeat_interleave(4, -1).repeat_interleave(4, -2)
    one, other = (module(ImageInputs(images)).masks for images in (small, large))
    back = other[:, 2::4, 2::4]
    assert (back == one).float().mean() > 0.9  # the scores are enlarged, and pass into each other


def test_places_are_relative_to_the_picture_and_not_to_its_frame() -> None:
    """The lower half is class 1, in a wide and in a high picture."""
    samples = []
    for height, width in ((20, 80), (80, 20)):
        mask = torch.zeros(height, width, dtype=torch.uint8)
        mask[height // 2 :] = 1
        image = torch.zeros(1, 3, height, width, dtype=torch.uint8)
        samples.append(
            SegmentationBatch(
                resize_picture(image, 64)[0],
                resize_mask(mask, 64)[None],
                torch.tensor([[height, width]]),
                mask[None],
            )
        )
    module, batch = application(image_size=64), together(samples)
    module.prepare(batch)
    metrics = module.build_metrics()
    module.score(metrics, module.baselines(batch)["position"], batch)
    assert metrics.compute()["miou"] == 1


# ---- loss -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
@pytest.mark.parametrize("training", [True, False])
def test_the_loss_is_the_one_that_was_asked_for(weights: list[float] | None, training: bool) -> None:
    batch = some_batch()
    given_weights = None if weights is None else torch.tensor(weights)

    def loss_of(name: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        module = application(loss=name, class_weights=weights, **kwargs).train(training)
        logits = module.outputs(ImageInputs(batch.images))
        return values(module.loss(logits, batch))["loss"], logits

    def value_of(loss: Callable[..., Part]) -> Callable[..., Tensor]:
        return lambda *arguments: values({"loss": loss(*arguments)})["loss"]

    cross_entropy, dice, focal = map(value_of, (losses.cross_entropy, losses.dice, losses.focal))
    found, logits = loss_of("cross_entropy")
    torch.testing.assert_close(found, cross_entropy(logits, batch.masks, given_weights))
    found, logits = loss_of("dice")
    torch.testing.assert_close(found, dice(logits, batch.masks, given_weights))
    found, logits = loss_of("focal", focal_gamma=1.5)
    torch.testing.assert_close(found, focal(logits, batch.masks, given_weights, 1.5))
    found, logits = loss_of("border", border_weight=3.0, border_sigma=2.0)
    border = border_weights(batch.masks, 3.0, 2.0)
    torch.testing.assert_close(found, cross_entropy(logits, batch.masks, given_weights, border))
    found, logits = loss_of("cross_entropy+dice")
    both = cross_entropy(logits, batch.masks, given_weights) + dice(logits, batch.masks, given_weights)
    torch.testing.assert_close(found, both)


def test_parts_are_named() -> None:
    batch = some_batch()
    module = application(Coarse(auxiliary=True), loss="cross_entropy+dice")
    parts = values(module.loss(module.outputs(ImageInputs(batch.images)), batch))
    assert set(parts) == {"loss", "auxiliary", "cross_entropy", "dice_loss"}
    main = parts["cross_entropy"] + parts["dice_loss"]
    torch.testing.assert_close(parts["loss"], main + 0.4 * parts["auxiliary"])


@pytest.mark.parametrize("loss", ["cross_entropy", "dice", "cross_entropy+dice", "focal", "border"])
def test_a_batch_in_which_nothing_counts_is_survived(loss: Any) -> None:
    batch = some_batch()
    batch.masks.fill_(255)
    module = application(loss=loss)
    value = values(module.loss(module.outputs(ImageInputs(batch.images)), batch))["loss"]
    value.backward()
    assert value.item() == 0
    assert all(p.grad is not None and p.grad.eq(0).all() for p in module.parameters())


# ---- counts of training images ---------------------------------------------------------------------------


def counted() -> SegmentationBatch:
    """Class 0 on top of both pictures, class 1 below in one, the rest ignored."""
    masks = torch.full((2, 8, 8), 255, dtype=torch.uint8)
    masks[:, :4] = 0
    masks[1, 6:] = 1
    return SegmentationBatch(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), masks)


def test_balanced_weights_come_from_training_masks_and_stay_with_the_weights() -> None:
    module = application(class_weights="balanced")
    assert torch.equal(module.class_weights, torch.ones(K))
    module.prepare(counted())
    assert module.pixels.tolist() == [64, 16, 0]
    assert module.pixels_where_present.tolist() == [80, 48, 0]
    frequency = torch.tensor([64 / 80, 16 / 48])
    expected = torch.tensor([*(frequency.mean() / frequency).tolist(), 1.0])
    torch.testing.assert_close(module.class_weights, expected)
    again = application(class_weights="balanced")
    again.load_state_dict(module.state_dict())
    torch.testing.assert_close(again.class_weights, expected)


def test_the_number_of_counted_images_falls_with_their_size() -> None:
    assert application(image_size=64).prepare_samples == 1000
    assert application(image_size=[360, 480]).prepare_samples == 115
    assert application(image_size=[1024, 2048]).prepare_samples == 50


def test_baselines_are_the_commonest_class_everywhere_and_at_each_place() -> None:
    module, batch = application(), counted()
    truth = SegmentationBatch(batch.images, torch.full_like(batch.masks, 2))
    (name, answer), *others = module.baselines(truth).items()
    assert (name, others) == ("majority", [])  # nothing was counted: of this batch
    assert answer.masks.eq(2).all()
    module.prepare(batch)
    found = module.baselines(truth)
    assert found["majority"].masks.eq(0).all()
    assert found["position"].masks.shape == (2, 8, 8)
    assert found["position"].masks[:, :6].eq(0).all() and found["position"].masks[:, 6:].eq(1).all()
    wide = SegmentationBatch(
        torch.zeros(1, 3, 40, 64, dtype=torch.uint8), torch.zeros(1, 40, 64, dtype=torch.uint8)
    )
    places = module.baselines(wide)["position"].masks
    assert places[0, :30].eq(0).all() and places[0, 30:].eq(1).all()


# ---- scores and pictures ---------------------------------------------------------------------------------


def test_scores_figures_and_quality() -> None:
    module, batch = application(), some_batch()
    metrics = module.build_metrics()
    right = torch.where(batch.masks == 255, 1, batch.masks)
    module.score(metrics, SegmentationAnswer(right), batch)
    values = metrics.compute()
    assert values["miou"] == values["iou_disc"] == 1
    assert set(module.presentation.figures(metrics.compute())) == {"ious", "confusion"}
    ground, disc, *_ = module.presentation.tables(metrics.compute())["classes"]
    assert disc == {
        "class": "disc",
        "pixels": int((batch.masks == 1).sum()),
        **dict.fromkeys(("precision", "recall", "dice", "iou"), 1),
    }
    assert ground["pixels"] == int((batch.masks == 0).sum())
    assert module.quality(SegmentationAnswer(right), batch).tolist() == [1, 1, 1]


def test_what_is_written_for_a_picture() -> None:
    module, batch = application(), some_batch(count=1)
    inputs = ImageInputs(batch.images)
    answer = module(inputs)
    files = module.presentation.files(inputs, answer, "park", "park.jpg")
    assert set(files) == {"masks/park.png", "overlays/park.png"}
    (row,) = module.presentation.describe(inputs, answer)
    assert json.loads(json.dumps(row)) == row
    assert sum(row["shares"].values()) == pytest.approx(1)
    assert len(module.presentation.draw_with_truth(batch, answer).rows) == 1
    assert len(module.presentation.draw_answer(inputs, answer)) == 1


def test_the_example_has_ignored_pixels_and_every_size() -> None:
    example = application(image_size=[24, 32]).example()
    assert example.images.shape == (2, 3, 24, 32)
    assert example.masks.shape == (2, 24, 32)
    assert (example.masks == 255).any() and (example.masks < K).any()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"class_names": ["a", "b"]}, "module.class_names: 2 names for num_classes=3"),
        ({"palette": [[0, 0, 0]]}, "module.palette: 1 colours for 3 classes"),
        ({"loss": "hinge"}, "module.loss: hinge; expected cross_entropy, dice, cross_entropy+dice, focal"),
        ({"class_weights": "even"}, "module.class_weights: even; expected balanced, a list, or null"),
        ({"class_weights": [1.0, 2.0]}, "module.class_weights: [1.0, 2.0]; expected 3 weights of 0 or more"),
        ({"class_weights": [1.0, -2.0, 1.0]}, "each of back, disc, box; or module.class_weights=balanced"),
        ({"class_weights": [0, 0, 0]}, "not all 0"),
        ({"focal_gamma": -1.0}, "module.focal_gamma: -1.0; expected 0 or more"),
        ({"border_sigma": 0.0}, "module.border_sigma: 0.0; expected"),
        ({"tile": 100}, "module.tile: 100 px; expected a multiple of 32"),
        ({"tile": 128, "overlap": 100}, "module.overlap: 100 px; expected 0 to 64, half of module.tile=128"),
    ],
)  # fmt: skip
def test_wrong_settings_are_told(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        Segmentation(
            Coarse(), **{"num_classes": K, "class_names": NAMES, "mean": MEAN, "std": STD, **settings}
        )
