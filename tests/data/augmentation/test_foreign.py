"""Transforms of torchvision.transforms.v2: all that there are, by listing, on a batch of every application;
and what they do to boxes and masks, against the house's own flip and against drawn rectangles."""

import inspect
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from tests.data.augmentation.test_moved_objects import Batch, rectangles
from torchvision.transforms import v2

from vision_apps.applications.classification.types import LabelBatch
from vision_apps.applications.colorization.types import ColorBatch
from vision_apps.applications.detection.types import DetectionBatch
from vision_apps.applications.localization.types import LocalizationBatch
from vision_apps.applications.segmentation.types import SegmentationBatch
from vision_apps.core import assembly
from vision_apps.core.config import check, compose
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import replaced
from vision_apps.core.seeding import seed_batch
from vision_apps.data.augmentation.crops import Flip
from vision_apps.data.augmentation.foreign import EFFECTS, REFUSED, Torchvision

LISTED = {name for name, one in vars(v2).items() if inspect.isclass(one) and issubclass(one, v2.Transform)}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "Compose": {"transforms": [v2.RandomHorizontalFlip(1.0)]},
    "RandomApply": {"transforms": [v2.RandomHorizontalFlip(1.0)]},
    "RandomChoice": {"transforms": [v2.RandomHorizontalFlip(1.0), v2.RandomVerticalFlip(1.0)]},
    "RandomOrder": {"transforms": [v2.RandomHorizontalFlip(1.0), v2.RandomVerticalFlip(1.0)]},
    "RandomAffine": {"degrees": 20, "translate": (0.1, 0.1), "scale": (0.8, 1.2)},
    "RandomRotation": {"degrees": 20},
    "Resize": {"size": (40, 40)},
    "RandomResize": {"min_size": 40, "max_size": 41},
    "RandomShortestSize": {"min_size": 40},
    "RandomResizedCrop": {"size": (40, 40)},
    "ScaleJitter": {"target_size": (48, 48), "scale_range": (1.0, 1.0)},
    "CenterCrop": {"size": 40},
    "Pad": {"padding": 2},
    "RandomCrop": {"size": 40},
    "RandomZoomOut": {"p": 0.0},
    "GaussianBlur": {"kernel_size": 3},
    "JPEG": {"quality": (50, 90)},
    "RandomAdjustSharpness": {"sharpness_factor": 2.0, "p": 1.0},
    "ColorJitter": {"brightness": 0.4},
    "RandomPosterize": {"bits": 3},
    "RandomSolarize": {"threshold": 128},
    "Grayscale": {"num_output_channels": 3},
    "RandomErasing": {"p": 1.0},
    "RandomIoUCrop": {"sampler_options": [2.0]},  # leaves pictures as they are, and of one size
}


def of_application(name: str) -> Any:
    """A batch with all fields that the application's data may have."""
    world = rectangles(4)
    boxes = (world.boxes, world.box_labels)
    return {
        "classification": LabelBatch(world.images, torch.arange(4)),
        "colorization": ColorBatch(world.images, world.masks),
        "detection": DetectionBatch(
            world.images, *boxes, world.ignored, world.sizes[:4], torch.zeros(4, 0, 4)
        ),
        "localization": LocalizationBatch(world.images, *boxes),
        "segmentation": SegmentationBatch(world.images, world.masks),
    }[name]


APPLICATIONS = ("classification", "colorization", "detection", "localization", "segmentation")
MOVED_ALONE = {"AutoAugment", "RandAugment", "TrivialAugmentWide", "AugMix", "RandomErasing"}
BOXED, COLORED = {"detection", "localization"}, {"colorization"}
MOVES = {"Compose", "RandomApply", "RandomChoice", "RandomOrder", "Identity", "RandomCrop"} | {
    name for name in LISTED if name.endswith("Flip")
}  # the picture's own pixels elsewhere: all of them stay true


def refusing(name: str) -> set[str]:
    """The applications whose batches are no longer true after it."""
    if name in MOVED_ALONE:
        return set(APPLICATIONS) - {"classification"}
    if name == "RandomIoUCrop":
        return set(APPLICATIONS) - BOXED
    if name == "ElasticTransform":
        return BOXED | COLORED
    return set() if name in MOVES else set(COLORED)  # exact colours of pixels that changed


def test_every_transform_is_known_or_refused_with_a_reason() -> None:
    assert {*EFFECTS, *REFUSED} == LISTED
    assert not {*EFFECTS} & {*REFUSED}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_no_augmentation_is_refused_by_name(name: str) -> None:
    made = getattr(v2, name).__new__(getattr(v2, name))
    torch.nn.Module.__init__(made)
    with pytest.raises(ConfigError, match=f"data.augment: {name} is no augmentation of batches: "):
        Torchvision(made)
    with pytest.raises(ConfigError, match=f"{name} is no augmentation"):
        Torchvision(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomApply([made])]))


@pytest.mark.parametrize("name", sorted(EFFECTS))
@pytest.mark.parametrize("application", APPLICATIONS)
def test_every_transform_works_on_a_batch_or_names_what_it_refuses(application: str, name: str) -> None:
    batch = of_application(application)
    transform = Torchvision(getattr(v2, name)(**ARGUMENTS.get(name, {})))
    torch.manual_seed(0)
    if application in refusing(name):
        with pytest.raises(ConfigError, match=rf"data\.augment: {name} does not fit .*: "):
            transform(batch)
        return
    after = transform(batch)
    for field, before, value in zip(batch._fields, batch, after, strict=True):
        assert (before is None) == (value is None), field
        assert before is None or (value.dtype == before.dtype and len(value) == 4), field
    assert after.images.shape[:2] == (4, 3)


# ---- what follows ------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.sampled_from(["horizontal", "vertical"]))
def test_a_flip_is_the_house_s_own(seed: int, axis: Any) -> None:
    torch.manual_seed(seed)
    batch = rectangles()
    theirs = {"horizontal": v2.RandomHorizontalFlip, "vertical": v2.RandomVerticalFlip}[axis](p=1.0)
    for ours, other in zip(Flip(1.0, axis)(batch), Torchvision(theirs)(batch), strict=True):
        assert torch.equal(ours, other)


def extents(mask: torch.Tensor, value: int) -> list[int]:
    rows, columns = (mask == value).nonzero(as_tuple=True)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


MOVERS = {
    "crop": (v2.RandomCrop(40), 0.0),
    "padded crop": (v2.RandomCrop(48, padding=6), 0.0),
    "painted crop": (v2.RandomCrop(48, padding=6, fill=77), 0.0),
    "zoom out": (v2.Compose([v2.RandomZoomOut(fill=[1, 2, 3], p=1.0), v2.Resize((48, 48))]), 1.5),
    "shift": (v2.RandomAffine(0, translate=(0.2, 0.2)), 1.0),
    "affine": (v2.RandomAffine(0, translate=(0.1, 0.1), scale=(0.8, 1.25), fill=9), 1.5),
    "quarter": (v2.RandomRotation((90, 90)), 1.0),
    "resized crop": (v2.RandomResizedCrop((48, 48), scale=(0.5, 1.0)), 1.5),
}


@pytest.mark.parametrize("name", MOVERS)
def test_rectangles_stay_where_their_boxes_say(name: str) -> None:
    """Within so many pixels, of rounding by the nearest pixel and of torchvision's own half pixel."""
    transform, tolerance = MOVERS[name]
    torch.manual_seed(1)
    batch, seen = rectangles(16), 0
    after = Torchvision(transform)(batch)
    for b, labels in enumerate(after.box_labels.tolist()):
        for m, label in enumerate(labels):
            if label < 0:
                assert not after.boxes[b, m].any()
                continue
            found = torch.tensor(extents(after.masks[b], label)).float()
            assert (found - after.boxes[b, m]).abs().max() <= tolerance
            assert bool(after.ignored[b, m]) == bool(batch.ignored[b][batch.box_labels[b] == label])
            seen += 1
    assert seen > 10
    values = {int(value) for value in after.masks.unique()}
    assert values <= {int(value) for value in batch.masks.unique()} | {255}  # nothing else comes in


def test_what_comes_in_from_outside_is_void() -> None:
    batch = rectangles(2)._replace(boxes=None, box_labels=None, ignored=None, proposals=None)
    after = Torchvision(v2.Pad(3, fill=[9, 8, 7]))(batch)
    edge = after.masks.clone()
    edge[:, 3:-3, 3:-3] = 255
    assert (edge == 255).all() and torch.equal(after.masks[:, 3:-3, 3:-3], batch.masks)
    assert after.images[0, :, 0, 0].tolist() == [9, 8, 7]


def test_objects_of_which_too_little_is_left_are_dropped_as_everywhere() -> None:
    images = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    boxes = torch.tensor([[[0.0, 10, 20, 20], [6, 10, 26, 20], [0, 0, 0, 0]]])  # the middle 20 px begin at 10
    batch = Batch(images, boxes, torch.tensor([[4, 5, -1]]), torch.tensor([[False, True, False]]))
    after = Torchvision(v2.CenterCrop(20))(batch._replace(boxes=boxes - torch.tensor([6.0, 0, 6, 0])))
    assert after.box_labels.tolist() == [[5, -1, -1]]  # 4 of 20 px are left of the first, 10 of the second
    assert after.boxes.tolist()[0][0] == [0, 0, 10, 10] and after.ignored.tolist() == [[True, False, False]]


# ---- randomness --------------------------------------------------------------------------------------------

RANDOM = v2.Compose(
    [v2.RandomHorizontalFlip(), v2.RandomAffine(30), v2.ColorJitter(0.5, 0.5, 0.5, 0.1), v2.RandomCrop(40)]
)


def test_the_place_in_the_run_decides_and_nothing_before_it() -> None:
    batch, transform = rectangles(), Torchvision(RANDOM)

    def at(epoch: int) -> Batch:
        seed_batch(0, epoch, 3, 0)
        return transform(batch)

    first = at(0)
    other = at(1)
    assert not torch.equal(first.images, other.images)
    assert all(torch.equal(one, two) for one, two in zip(first, at(0), strict=True))


def test_samples_draw_apart_and_leave_the_generator_as_it_was() -> None:
    one = rectangles(1, empty=())
    batch = replaced(one, lambda field: field.repeat(6, *[1] * (field.ndim - 1)))
    torch.manual_seed(0)
    torch.randint(0, 1 << 62, (6,))  # the seeds
    expected = torch.rand(3)
    torch.manual_seed(0)
    after = Torchvision(RANDOM)(batch)
    assert torch.equal(torch.rand(3), expected)
    assert len({picture.numpy().tobytes() for picture in after.images}) == 6


def test_two_processes_draw_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, transform = rectangles(), Torchvision(RANDOM)
    seed_batch(0, 0, 0, 0)
    whole = transform(batch)
    monkeypatch.setattr("vision_apps.core.ranks.world", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr("vision_apps.core.ranks.rank", lambda rank=rank: rank)
        seed_batch(0, 0, 0, rank)
        part = transform(replaced(batch, lambda field, rank=rank: field[rank::2]))
        assert torch.equal(part.images, whole.images[rank::2])
        assert torch.equal(part.boxes, whole.boxes[rank::2])


# ---- what is refused, and how it is named ------------------------------------------------------------------


def test_old_transforms_name_the_new_ones() -> None:
    with pytest.raises(ConfigError, match=r"GaussianBlur is no transform of torchvision\.transforms\.v2"):
        Torchvision(torchvision.transforms.GaussianBlur(3))


def test_transforms_of_one_s_own_are_not_guessed() -> None:
    class Mine(v2.Transform):
        pass

    with pytest.raises(ConfigError, match="what Mine does to masks and boxes is not known"):
        Torchvision(Mine())


def test_pictures_of_several_sizes_or_types_are_refused() -> None:
    batch = LabelBatch(rectangles().images, torch.arange(8))
    torch.manual_seed(0)
    with pytest.raises(ConfigError, match=r"RandomResize does not fit .* several sizes.*Compose"):
        Torchvision(v2.RandomResize(20, 60))(batch)
    with pytest.raises(ConfigError, match=r"Grayscale does not fit .* it makes torch\.uint8 \[1, 48, 48\]"):
        Torchvision(v2.Grayscale(1))(batch)


def test_a_field_that_would_no_longer_be_true_is_named() -> None:
    with pytest.raises(ConfigError, match=r"RandomErasing does not fit data that offers 'boxes'"):
        Torchvision(v2.RandomErasing())(of_application("detection"))


@pytest.mark.parametrize(
    "word",
    [
        "+data.augment.blur={_target_: torchvision.transforms.v2.GaussianBlur, kernel_size: 3}",
        "+data.augment.noise={_target_: torchvision.transforms.v2.GaussianNoise}",
        "+data.augment.both={_target_: torchvision.transforms.v2.Compose, transforms: [{_target_: "
        "torchvision.transforms.v2.RandomHorizontalFlip}, {_target_: torchvision.transforms.v2.GaussianBlur, "
        "kernel_size: 3}]}",
    ],
)
def test_a_word_composes_builds_and_changes_pictures(word: str) -> None:
    small = ["data.train_images=4", "data.val_images=4", "data.test_images=4"]
    config = compose.compose(["task=detection", *small, word])
    check.check(config)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    data = assembly.build_data(plain)
    (name,) = [name for name in ("blur", "noise", "both") if name in data.augment]
    transform = data.augment[name]
    assert isinstance(transform, Torchvision)
    # a fact of the data of the same name means something else there
    assert getattr(transform.transform, "mean", 0.0) == 0.0
    batch = of_application("detection")
    after = transform(batch)
    assert not torch.equal(after.images, batch.images)
