"""Transforms of kornia, by listing: those of colours change any batch and nothing but its pictures, those
that move pixels are refused where something lies over them, the others are refused by name."""

import inspect
from typing import Any

import kornia.augmentation as kornia
import pytest
import torch
from kornia.augmentation import GeometricAugmentationBase2D, IntensityAugmentationBase2D
from omegaconf import OmegaConf
from tests.data.augmentation.test_foreign import of_application
from tests.data.augmentation.test_moved_objects import pictures, rectangles

from vision_apps.applications.classification.types import LabelBatch
from vision_apps.core import assembly
from vision_apps.core.config import check, compose, targets
from vision_apps.core.errors import ConfigError
from vision_apps.core.seeding import seed_batch
from vision_apps.data.augmentation.foreign_kornia import Kornia

LISTED = {
    name: one
    for name, one in vars(kornia).items()
    if inspect.isclass(one) and not name.endswith(("2D", "3D"))
}
NOT_PICTURES = {"Normalize", "Denormalize", "RandomDissolving"}  # the last one downloads a network
COLORS = {name for name, one in LISTED.items() if issubclass(one, IntensityAugmentationBase2D)} - NOT_PICTURES
MOVES = {name for name, one in LISTED.items() if issubclass(one, GeometricAugmentationBase2D)}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "CenterCrop": {"size": 40},
    "LongestMaxSize": {"max_size": 40},
    "SmallestMaxSize": {"max_size": 40},
    "PadTo": {"size": (50, 50)},
    "RandomAffine": {"degrees": 20},
    "RandomCrop": {"size": (40, 40)},
    "RandomResizedCrop": {"size": (40, 40)},
    "RandomRotation": {"degrees": 20},
    "RandomRotation90": {"times": (0, 3)},
    "RandomShear": {"shear": 10},
    "Resize": {"size": (40, 40)},
    "RandomGaussianBlur": {"kernel_size": (3, 3), "sigma": (0.5, 1.0)},
    "RandomMotionBlur": {"kernel_size": 3, "angle": 30.0, "direction": 0.5},
    "RandomRain": {"number_of_drops": (5, 6), "drop_height": (3, 4), "drop_width": (-2, 2)},
}


@pytest.mark.parametrize("name", sorted(COLORS))
def test_colours_change_and_nothing_else(name: str) -> None:
    transform = Kornia(LISTED[name](**ARGUMENTS.get(name, {}), p=1.0))
    batch = of_application("detection")
    if name == "RandomErasing":
        with pytest.raises(ConfigError, match="RandomErasing does not fit data that offers 'boxes'"):
            transform(batch)
        return
    torch.manual_seed(0)
    after = transform(batch)
    assert after.images.dtype == torch.uint8 and after.images.shape == batch.images.shape
    assert all(new is old for new, old in zip(after[1:], batch[1:], strict=True))


@pytest.mark.parametrize("name", sorted(MOVES))
def test_moves_are_for_pictures_alone(name: str) -> None:
    transform = Kornia(LISTED[name](**ARGUMENTS.get(name, {})))
    for application, field in (("detection", "boxes"), ("segmentation", "masks")):
        with pytest.raises(ConfigError, match=f"{name} does not fit data that offers '{field}'"):
            transform(of_application(application))
    torch.manual_seed(0)
    after = transform(LabelBatch(rectangles(4).images, torch.arange(4)))
    assert after.images.dtype == torch.uint8 and after.images.shape[:2] == (4, 3)


@pytest.mark.parametrize("name", sorted(LISTED.keys() - COLORS - MOVES))
def test_others_are_refused_by_name(name: str) -> None:
    made = LISTED[name].__new__(LISTED[name])
    torch.nn.Module.__init__(made)
    with pytest.raises(ConfigError, match=f"data.augment: {name} is no augmentation of batches"):
        Kornia(made)


def test_a_mirror_image_is_torchs() -> None:
    batch = LabelBatch(rectangles(4).images, torch.arange(4))
    assert torch.equal(Kornia(kornia.RandomHorizontalFlip(p=1.0))(batch).images, batch.images.flip(-1))


def test_the_place_in_the_run_decides_for_each_sample() -> None:
    batch = LabelBatch(pictures(1).repeat(6, 1, 1, 1), torch.arange(6))
    transform = Kornia(kornia.ColorJitter(0.5, 0.5, 0.5, 0.1, p=1.0))
    seed_batch(0, 1, 2, 0)
    first = transform(batch).images
    torch.rand(3)
    seed_batch(0, 1, 2, 0)
    assert torch.equal(transform(batch).images, first)
    assert len({picture.numpy().tobytes() for picture in first}) == 6


def test_a_word_composes_and_builds() -> None:
    small = ["data.train_images=4", "data.val_images=4", "data.test_images=4"]
    blur = "_target_: kornia.augmentation.RandomMotionBlur, kernel_size: 3, angle: 30.0, direction: 0.5"
    word = f"+data.augment.motion={{{blur}}}"
    config = compose.compose(["task=detection", *small, word])
    check.check(config)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    assert isinstance(assembly.build_data(plain).augment["motion"], Kornia)


def test_where_it_is_missing_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> Any:
        raise ModuleNotFoundError("No module named 'kornia'", name="kornia")

    monkeypatch.setattr(targets.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match="needs the package kornia: pip install kornia"):
        targets.resolve("kornia.augmentation.RandomMotionBlur")
