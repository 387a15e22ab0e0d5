"""What is drawn and written: palette PNGs that are read back, ignored pixels, sizes."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vision_apps.applications.segmentation import pictures
from vision_apps.data.masks.coding import encode_palette_png, voc_colors

PALETTE = [[10, 20, 30], [200, 0, 0], [0, 200, 0]]
NAMES = ["ground", "a class with quite a long name", "tree"]


def test_the_default_palette_is_that_of_pascal_voc() -> None:
    palette = voc_colors(21)
    assert palette[0] == [0, 0, 0]
    assert palette[1] == [128, 0, 0]
    assert palette[2] == [0, 128, 0]
    assert palette[15] == [192, 128, 128]  # person
    assert palette[20] == [0, 64, 128]  # tv monitor
    assert len({tuple(color) for color in voc_colors(254)}) == 254


def test_a_palette_png_is_read_back_and_can_be_looked_at() -> None:
    mask = torch.tensor([[0, 1, 2], [2, 255, 0]], dtype=torch.uint8)
    image = Image.open(io.BytesIO(encode_palette_png(mask, PALETTE)))
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), mask.numpy())
    colors = np.asarray(image.convert("RGB"))
    assert colors[0].tolist() == PALETTE
    assert colors[1].tolist() == [PALETTE[2], [224, 224, 192], PALETTE[0]]


def test_an_overlay_is_half_image_half_color() -> None:
    image = torch.full((3, 2, 2), 100, dtype=torch.uint8)
    mask = torch.tensor([[0, 1], [2, 0]], dtype=torch.uint8)
    shown = np.asarray(Image.open(io.BytesIO(pictures.overlay_png(image, mask, PALETTE))))
    assert shown[0, 1].tolist() == [150, 50, 50]
    assert shown.shape == (2, 2, 3)


def test_columns_show_image_truth_answer_and_errors() -> None:
    image = torch.full((3, 4, 4), 90, dtype=torch.uint8)
    truth = torch.zeros(4, 4, dtype=torch.uint8)
    answer = truth.clone()
    truth[0], answer[3] = 255, 2
    found = pictures.comparison(image, truth, answer, PALETTE).permute(1, 2, 0)
    assert found.shape == (4, 16, 3)
    assert found[1, 0].tolist() == [90, 90, 90]
    assert found[1, 4].tolist() == PALETTE[0] and found[3, 8].tolist() == PALETTE[2]
    assert found[3, 12].tolist() == list(pictures.WRONG)
    assert found[1, 12].tolist() == [190, 190, 190]  # right: the pale image
    for column in (4, 12):  # ignored in truth and errors: greys in stripes
        stripes = found[0, column : column + 4]
        assert (stripes == stripes[:, :1]).all() and len(stripes.unique()) == 2


@pytest.mark.parametrize(
    ("size", "panel"),
    [((37, 50), (111, 150)), ((64, 64), (192, 192)), ((2500, 1000), (833, 333)), ((1, 1), (192, 192))],
)
def test_pictures_are_shown_at_a_size_to_look_at(size: tuple[int, int], panel: tuple[int, int]) -> None:
    image = torch.randint(256, (3, *size), dtype=torch.uint8)
    mask = torch.randint(3, size, dtype=torch.uint8)
    shown = pictures.legible(image, mask, PALETTE, NAMES)
    assert shown.dtype == torch.uint8
    assert shown.shape == (3, panel[0], 2 * panel[1] + 190)


def test_a_legend_longer_than_the_picture_makes_it_taller() -> None:
    names = [f"class {k}" for k in range(40)]
    mask = torch.arange(40, dtype=torch.uint8).reshape(5, 8)
    shown = pictures.legible(torch.zeros(3, 5, 8, dtype=torch.uint8), mask, voc_colors(40), names)
    assert shown.shape[1] == 40 * 22 + 8


def test_shares_are_sorted_and_sum_to_one() -> None:
    mask = torch.tensor([[2, 2, 2, 0]], dtype=torch.uint8)
    assert pictures.shares(mask, NAMES) == {"tree": 0.75, "ground": 0.25}
    assert list(pictures.shares(mask, NAMES)) == ["tree", "ground"]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 12, 60])
def test_figures_are_drawn_for_any_number_of_classes(classes: int) -> None:
    counts = torch.randint(0, 50, (classes, classes))
    counts[1] = counts[:, 1] = 0
    names = [f"class {k}" for k in range(classes)]
    for figure in (
        pictures.iou_bars(counts, names, voc_colors(classes)),
        pictures.iou_bars(torch.zeros_like(counts), names, voc_colors(classes)),
    ):
        assert figure.dtype == torch.uint8 and figure.shape[0] == 3
        assert figure.float().std() > 5
