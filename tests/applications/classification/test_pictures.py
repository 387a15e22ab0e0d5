"""What classification draws."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.applications.classification import pictures
from vision_apps.applications.classification.cnn import Cnn
from vision_apps.applications.classification.module import Classification
from vision_apps.applications.classification.types import ClassAnswer, LabelBatch
from vision_apps.core.fields import ImageInputs

NAMES = ["cat", "dog", "ship"]


def has_color(picture: Tensor, color: tuple[int, int, int]) -> bool:
    return bool((picture == torch.tensor(color, dtype=torch.uint8).view(3, 1, 1)).all(dim=0).any())


@settings(max_examples=12)
@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    names=st.lists(st.text(max_size=60), min_size=2, max_size=6),
)
def test_every_picture_has_the_same_size(height: int, width: int, names: list[str]) -> None:
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    answer = torch.rand(len(names)).softmax(dim=0)
    for truth in (None, len(names) - 1):
        picture = pictures.sample(image, answer, names, truth)
        assert picture.dtype == torch.uint8
        assert picture.shape == (3, pictures.SIDE, 2 * pictures.SIDE)


def test_small_images_keep_their_pixels() -> None:
    image = torch.tensor([[[255, 0], [0, 255]]], dtype=torch.uint8).expand(3, 2, 2)
    half = pictures.SIDE // 2
    shown = pictures.sample(image, torch.tensor([0.5, 0.3, 0.2]), NAMES, None)[:, :, : pictures.SIDE]
    assert torch.equal(shown, image.repeat_interleave(half, dim=1).repeat_interleave(half, dim=2))


@pytest.mark.parametrize(
    ("truth", "shown", "absent"),
    [
        (0, pictures.RIGHT, pictures.WRONG),
        (1, pictures.WRONG, None),
        (None, pictures.NEUTRAL, pictures.WRONG),
    ],
)
def test_right_and_wrong_can_be_told_apart(
    truth: int | None, shown: tuple[int, int, int], absent: tuple[int, int, int] | None
) -> None:
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    picture = pictures.sample(image, torch.tensor([0.6, 0.3, 0.1]), NAMES, truth)
    assert has_color(picture, shown)
    assert absent is None or not has_color(picture, absent)


def test_a_bar_is_as_long_as_its_probability() -> None:
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    lengths = []
    for probability in (0.5, 1.0):
        rest = (1 - probability) / 2
        picture = pictures.sample(image, torch.tensor([probability, rest, rest]), NAMES, 0)
        color = torch.tensor(pictures.RIGHT, dtype=torch.uint8).view(3, 1, 1)
        lengths.append(int((picture == color).all(dim=0).sum(dim=1).max()))
    assert lengths[1] == pytest.approx(pictures.SIDE - 20, abs=1)
    assert lengths[0] == pytest.approx(lengths[1] / 2, abs=1)


def test_the_module_draws_hard_and_soft_labels_alike() -> None:
    module = Classification(Cnn(3, width=4), 3, NAMES, 8, [0.5] * 3, [0.5] * 3)
    images, labels = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8), torch.tensor([0, 1, 2, 0])
    answer = ClassAnswer(torch.rand(4, 3).softmax(dim=1))
    drawn = module.presentation.draw_with_truth(LabelBatch(images, labels), answer).rows
    soft = module.presentation.draw_with_truth(
        LabelBatch(images, 0.8 * torch.eye(3)[labels] + 0.2 / 3), answer
    ).rows
    assert all(torch.equal(a, b) for a, b in zip(drawn, soft, strict=True))
    shown = module.presentation.draw_answer(ImageInputs(images), answer)
    assert len(drawn) == len(shown) == 4
    assert not torch.equal(drawn[0], shown[0])  # only one of them knows the truth
