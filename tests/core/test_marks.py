"""Boxes with texts: where they stand, on pictures of a size that follows from the picture's."""

import pytest
import torch

from vision_apps.core.marks import Mark, marked

GREEN, RED = (30, 140, 75), (206, 42, 42)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((96, 96), (384, 384)), ((30, 60), (180, 360)), ((500, 375), (500, 375)), ((1440, 2160), (480, 720))],
)
def test_pictures_are_large_enough_to_be_read(size: tuple[int, int], expected: tuple[int, int]) -> None:
    drawn = marked(torch.zeros(3, *size, dtype=torch.uint8), [])
    assert drawn.dtype == torch.uint8 and tuple(drawn.shape[1:]) == expected and not drawn.any()


def test_a_box_is_drawn_where_it_is() -> None:
    image = torch.zeros(3, 90, 90, dtype=torch.uint8)
    drawn = marked(image, [Mark((10, 20, 50, 60), "", GREEN)])  # four times as large
    of_color = (drawn == torch.tensor(GREEN)[:, None, None]).all(0).nonzero()
    assert of_color.amin(0).tolist() == [80, 40] and of_color.amax(0).tolist() == [239, 199]


@pytest.mark.parametrize(
    "box", [(0, 0, 90, 90), (-20, -5, 200, 95), (88, 88, 90, 90), (5, 5, 5, 5), (200, 200, 300, 300)]
)
@pytest.mark.parametrize("dashed", [True, False])
def test_boxes_at_and_past_the_edges_are_drawn(box: tuple[int, ...], dashed: bool) -> None:
    image = torch.zeros(3, 90, 90, dtype=torch.uint8)
    mark = Mark(box, "a very long name of a class that does not fit into it at all, ever", RED, dashed)
    drawn = marked(image, [mark] * 5, "nothing found")
    assert drawn.shape == (3, 360, 360)
    assert (drawn == torch.tensor(RED)[:, None, None]).all(0).any()
