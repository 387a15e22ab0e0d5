"""Rare classes drawn as often as common ones."""

import itertools
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from vision_apps.core.config.compose import compose
from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.errors import ConfigError
from vision_apps.core.loader import BatchLoader
from vision_apps.core.sampling import balanced, drawn
from vision_apps.data.boxes.voc import VocFolder
from vision_apps.data.labels.folder import ImageFolder

CLASSES = torch.tensor([0] * 90 + [1] * 9 + [3])  # of class 2 there is none


class Batch(NamedTuple):
    images: Tensor


def test_each_class_has_the_same_weight() -> None:
    weights = balanced(CLASSES)
    assert [float(weights[k == CLASSES].sum()) for k in (0, 1, 3)] == pytest.approx([1, 1, 1], abs=1e-12)
    assert weights[:90].unique().tolist() == pytest.approx([1 / 90])


def test_an_epoch_sees_each_class_as_often() -> None:
    weights = balanced(CLASSES)
    shares = torch.stack([CLASSES[drawn(weights, 0, epoch)].bincount(minlength=4) for epoch in range(300)])
    # 30,000 draws: the standard error of a third is 0.0027
    assert (shares.sum(0) / shares.sum()).tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], abs=0.01)
    assert len(drawn(weights, 0, 0)) == 100
    assert torch.equal(drawn(weights, 0, 5), drawn(weights, 0, 5))
    assert not torch.equal(drawn(weights, 0, 5), drawn(weights, 0, 6))
    assert not torch.equal(drawn(weights, 1, 5), drawn(weights, 0, 5))


def test_ranks_share_what_one_process_draws_and_a_run_goes_on() -> None:
    def loader(rank: int = 0, world: int = 1) -> BatchLoader:
        samples = TensorSamples(images=torch.arange(100))
        return BatchLoader(
            samples,
            Batch,
            batch_size=10,
            shuffle=True,
            weights=balanced(CLASSES),
            rank=rank,
            world_size=world,
        )

    alone = [batch.images.tolist() for batch in loader()]
    assert list(itertools.chain(*alone)) == drawn(balanced(CLASSES), 0, 0).tolist()
    both = [[batch.images.tolist() for batch in loader(rank, 2)] for rank in (0, 1)]
    assert [sorted([*a, *b]) for a, b in zip(*both, strict=True)] == [sorted(batch) for batch in alone]
    later = loader()
    later.load_state_dict({"epoch": 0, "batch": 7})
    assert [batch.images.tolist() for batch in later] == alone[7:]


def test_data_of_several_objects_a_picture_have_no_class(tmp_path: Path) -> None:
    data: VisionData = VocFolder(**VocFolder.fake(tmp_path), sampling="balanced")
    data.prepare_data()
    with pytest.raises(ConfigError, match=r"^data\.sampling: balanced needs one class .*; VocFolder has not"):
        data._weights()


def test_a_folder_knows_the_class_of_each_picture(tmp_path: Path) -> None:
    data = ImageFolder(**ImageFolder.fake(tmp_path), sampling="balanced", limit_train=9)  # type: ignore[arg-type]
    data.prepare_data()
    classes = data.classes_of("train")
    assert classes is not None
    listed = [data.load("train", ("labels",))[row]["labels"] for row in range(9)]
    assert classes.tolist() == [int(label) for label in listed]
    assert classes.bincount().tolist() == data.facts["class_counts"]


def test_every_data_set_has_the_key() -> None:
    for word in ("task=classification", "task=detection"):
        assert compose([word]).data.sampling is None
