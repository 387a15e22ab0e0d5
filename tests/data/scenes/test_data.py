"""The world as a data set, and the balance of its classification view."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError
from vision_apps.data.scenes.data import Scenes
from vision_apps.data.scenes.kinds import KINDS

GUESSES = 500


class Everything(NamedTuple):
    images: Tensor
    labels: Tensor
    materials: Tensor


class ImagesOnly(NamedTuple):
    images: Tensor


def tiny(**changes) -> Scenes:
    return Scenes(**{**Scenes.fake(None), "batch_size": 4, **changes})


def test_batches_have_the_stated_types() -> None:
    data = tiny()
    data.batch_type = Everything
    batch = next(iter(data.train_dataloader()))
    assert [field.dtype for field in batch] == [torch.uint8, torch.int64, torch.int16]
    assert [tuple(field.shape) for field in batch] == [(4, 3, 32, 32), (4,), (4, 32, 32)]


def test_facts_name_every_kind_and_measure_the_pictures() -> None:
    data = tiny()
    facts = data.facts
    assert facts["class_names"] == [kind.name for kind in KINDS]
    assert facts["num_classes"] == len(KINDS)
    assert facts["image_size"] == 32
    pixels = data.load("train", ("images",)).fields["images"] / 255
    assert facts["mean"] == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-3)
    assert facts["std"] == pytest.approx(pixels.std((0, 2, 3)).tolist(), abs=1e-3)


def test_splits_share_no_picture_and_sizes_do_not_change_them() -> None:
    data = tiny()
    seen = torch.cat([data.load(split, ("images",)).fields["images"] for split in ("train", "val", "test")])
    assert len(seen.flatten(1).unique(dim=0)) == 16 + 8 + 8
    longer = tiny(train_images=20).load("train", ("images",)).fields["images"]
    assert torch.equal(longer[:16], seen[:16])


def test_the_pictures_follow_the_world_seed_and_not_the_seed_of_the_run() -> None:
    first, rerun, other = (
        tiny(**changes).load("test", ("images",)).fields["images"]
        for changes in ({}, {"seed": 9}, {"world_seed": 9})
    )
    assert torch.equal(first, rerun)
    assert not torch.equal(first, other)


def test_pictures_without_objects_have_no_labels() -> None:
    data = tiny(objects=[0, 1])
    assert data.load("val", ("images", "materials")).fields["images"].shape[0] == 8
    with pytest.raises(ConfigError, match=r"data\.objects: \[0, 1\].*try data\.objects=\[1,1\]"):
        data.load("val", ("images", "labels"))


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        Scenes(image_size=4, val_images=0, objects=[3, 2], world_seed=-1)
    for key in ("data.image_size: 4", "data.val_images: 0", "data.objects: [3, 2]", "data.world_seed: -1"):
        assert key in str(error.value)


def nearest_mean_color(colors_by_kind: bool) -> float:
    """Accuracy of a guess from the picture's mean colour alone."""
    data = Scenes(16, 900, 1, GUESSES, objects=[1, 1], colors_by_kind=colors_by_kind)
    train, test = (data.load(split, ("images", "labels")).fields for split in ("train", "test"))
    train_color, test_color = (fields["images"].float().mean((2, 3)) for fields in (train, test))
    means = torch.stack([train_color[train["labels"] == kind].mean(0) for kind in range(len(KINDS))])
    return float((torch.cdist(test_color, means).argmin(1) == test["labels"]).float().mean())


@pytest.mark.slow
def test_color_alone_does_not_tell_the_class() -> None:
    chance = 1 / len(KINDS)
    deviation = (chance * (1 - chance) / GUESSES) ** 0.5
    assert nearest_mean_color(colors_by_kind=False) < chance + 4 * deviation
    # where colour does tell it, the same guess finds it
    assert nearest_mean_color(colors_by_kind=True) > chance + 8 * deviation
