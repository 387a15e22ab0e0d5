"""Pictures continued by mirroring."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.applications.segmentation.mirror import window

margin = st.integers(0, 30)


@given(st.integers(1, 9), st.integers(1, 9), margin, margin, margin, margin)
def test_a_window_is_cut_from_the_picture_that_numpy_continues(
    height: int, width: int, above: int, below: int, left: int, right: int
) -> None:
    picture = torch.arange(height * width).reshape(1, height, width)
    expected = np.pad(picture[0].numpy(), ((above, below), (left, right)), mode="reflect")
    found = window(picture, -above, height + below, -left, width + right)
    np.testing.assert_array_equal(found[0].numpy(), expected)


def test_a_window_inside_is_a_view() -> None:
    picture = torch.rand(2, 3, 10, 12)
    found = window(picture, 2, 7, 0, 12)
    assert torch.equal(found, picture[..., 2:7, :])
    assert found.untyped_storage().data_ptr() == picture.untyped_storage().data_ptr()
