"""Fitting pictures to one size, and boxes there and back."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.data.resizing import (
    content_sizes,
    resize_and_center_crop,
    resize_boxes,
    resize_picture,
    restore_boxes,
)

MODES = ("letterbox", "stretch")
sides = st.integers(1, 700)


def test_letterbox_keeps_the_aspect_at_the_top_left() -> None:
    image = torch.full((3, 40, 80), 200, dtype=torch.uint8)
    fitted, scale = resize_picture(image, 64, "letterbox")
    assert fitted.shape == (3, 64, 64) and fitted.dtype == torch.uint8
    assert scale == (0.8, 0.8)
    assert (fitted[:, :32] == 200).all()
    assert (fitted[:, 32:] == 114).all()  # what networks were trained with


def test_stretch_fills_and_scales_each_axis() -> None:
    image = torch.full((3, 40, 80), 200, dtype=torch.uint8)
    fitted, scale = resize_picture(image, (60, 20), "stretch")
    assert fitted.shape == (3, 60, 20)
    assert scale == (0.25, 1.5)
    assert (fitted == 200).all()


def test_a_picture_of_the_right_size_is_unchanged() -> None:
    image = torch.randint(0, 256, (3, 24, 36), dtype=torch.uint8)
    for mode in MODES:
        same, scale = resize_picture(image, (24, 36), mode)
        assert torch.equal(same, image) and scale == (1.0, 1.0)


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_is_fitted_like_its_pictures(mode: str) -> None:
    images = torch.randint(0, 256, (4, 3, 31, 50), dtype=torch.uint8)
    batch, scale = resize_picture(images, (24, 48), mode)
    for image, fitted in zip(images, batch, strict=True):
        alone, same = resize_picture(image, (24, 48), mode)
        assert torch.equal(alone, fitted) and same == scale


def test_scaling_down_is_antialiased() -> None:
    stripes = torch.zeros(3, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    small = resize_picture(stripes, 8, "stretch")[0].float()
    assert (small - 127.5).abs().max() < 8  # without it, all black or all white


@pytest.mark.parametrize("factor", [3, 5, 7])
def test_a_chequerboard_becomes_grey(factor: int) -> None:
    """Without antialiasing the middle pixel of each block would stand for it, black or white: factors are odd
    because between two pixels even that is grey."""
    y, x = torch.meshgrid(torch.arange(12 * factor), torch.arange(12 * factor), indexing="ij")
    board = (255 * ((x + y) % 2)).to(torch.uint8).expand(3, -1, -1)
    inside = slice(1, -1)  # at the border the filter is cut off
    for small in (resize_picture(board, 12)[0], resize_and_center_crop(board, 12)):
        assert (small[:, inside, inside].float() - 127.5).abs().max() < 40 / factor


@pytest.mark.parametrize("mode", MODES)
def test_a_drawn_box_lies_where_its_box_goes(mode: str) -> None:
    for height, width in ((50, 100), (100, 50), (70, 70)):
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        box = torch.tensor([[10.0, 20.0, 40.0, 44.0]])
        image[:, 20:44, 10:40] = 255
        fitted, _ = resize_picture(image, (160, 240), mode)
        moved = resize_boxes(box, torch.tensor([height, width]), (160, 240), mode)
        lit = (fitted[0] > 200).nonzero()
        top, left = lit.amin(0).tolist()
        bottom, right = (lit.amax(0) + 1).tolist()
        assert torch.tensor([[left, top, right, bottom]]).sub(moved).abs().max() <= 2


@given(sides, sides, sides, sides, st.sampled_from(MODES), st.integers(0, 1000))
def test_boxes_come_back(height: int, width: int, to_h: int, to_w: int, mode: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([[height, width], [width, height]])
    boxes = torch.rand(2, 5, 4, generator=generator) * sizes.flip(-1).repeat(1, 2)[:, None]
    there = resize_boxes(boxes, sizes, (to_h, to_w), mode)
    back = restore_boxes(there, sizes, (to_h, to_w), mode)
    assert there.dtype == torch.float32
    assert torch.allclose(back, boxes, rtol=1e-5, atol=1e-4)
    for row in range(2):  # the batch is what each picture is
        alone = resize_boxes(boxes[row], sizes[row], (to_h, to_w), mode)
        assert torch.equal(alone, there[row])


@given(sides, sides, st.integers(1, 300), st.integers(1, 300), st.sampled_from(MODES))
def test_the_whole_picture_is_the_content(height: int, width: int, to_h: int, to_w: int, mode: str) -> None:
    sizes = torch.tensor([height, width])
    inner = content_sizes(sizes, (to_h, to_w), mode)
    whole = torch.tensor([[0.0, 0.0, width, height]])
    edge = resize_boxes(whole, sizes, (to_h, to_w), mode)[0]
    assert torch.allclose(edge, torch.tensor([0.0, 0.0, inner[1], inner[0]]), rtol=1e-6)
    assert 1 <= inner[0] <= to_h and 1 <= inner[1] <= to_w
    assert inner[0] == to_h or inner[1] == to_w  # it touches the frame
    if mode == "letterbox":  # one scale for both axes, up to whole pixels
        scale = min(to_h / height, to_w / width)
        assert abs(inner[0] - max(1, height * scale)) <= 0.5 and abs(inner[1] - max(1, width * scale)) <= 0.5


def test_scales_are_of_the_right_axis() -> None:
    boxes = torch.tensor([[[10.0, 10.0, 20.0, 40.0]]])
    moved = resize_boxes(boxes, torch.tensor([[100, 50]]), (200, 25), "stretch")
    assert moved.tolist() == [[[5.0, 20.0, 10.0, 80.0]]]


def test_the_square_keeps_the_middle() -> None:
    image = torch.zeros(3, 20, 60, dtype=torch.uint8)
    image[..., 20:40] = 200
    assert torch.equal(resize_and_center_crop(image, 20), image[..., 20:40])
    inner = resize_and_center_crop(image, 20, resize=40)
    assert inner.shape == (3, 20, 20)
    assert inner.min() == 200


def test_the_square_is_cut_out_of_what_was_resized() -> None:
    image = torch.randint(0, 256, (3, 20, 60), dtype=torch.uint8)
    for resize, rows, columns in ((40, slice(10, 30), slice(50, 70)), (24, slice(2, 22), slice(26, 46))):
        larger = F.interpolate(image[None].float(), scale_factor=resize / 20, mode="bilinear", antialias=True)
        found = resize_and_center_crop(image, 20, resize)
        assert (found - larger[0, :, rows, columns]).abs().max() <= 1.5  # rounded after each axis


def test_the_square_smooths_before_shrinking() -> None:
    stripes = torch.zeros(3, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 200
    assert (resize_and_center_crop(stripes, 8).int() - 100).abs().max() <= 5  # unsmoothed: 100


def test_a_thread_of_pixels_does_not_blow_up() -> None:
    thread = torch.full((3, 1, 2_000_000), 7, dtype=torch.uint8)
    assert resize_and_center_crop(thread, 32).shape == (3, 32, 32)  # unguarded: 32 x 64,000,000 pixels
    assert resize_and_center_crop(thread.transpose(1, 2), 32, resize=40).unique().tolist() == [7]
