"""Tiles: every pixel is covered, weights sum to one, seams are not to be seen, memory stays bounded."""

import itertools
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from vision_apps.applications.segmentation import tiles
from vision_apps.applications.segmentation.tiles import ALIGNMENT, plan, tiled_masks
from vision_apps.core.errors import ConfigError

K = 3


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    tile = ALIGNMENT * draw(st.integers(2, 20))
    return draw(st.integers(1, 3000)), tile, draw(st.integers(0, tile // 2))


@given(cuts())
def test_a_plan_covers_the_picture_with_tiles_that_overlap(cut: tuple[int, int, int]) -> None:
    size, tile, overlap = cut
    made = plan(size, tile, overlap)
    assert made.tile <= tile
    assert made.starts[0] == 0
    assert made.starts[-1] < size <= made.starts[-1] + made.tile
    assert all(start % ALIGNMENT == 0 for start in made.starts)
    for left, right in itertools.pairwise(made.starts):
        assert left < right
        assert left + made.tile - right >= overlap
    for index, start in enumerate(made.starts):  # no tile is asked for what it does not see
        first, stop = made.span(index)
        assert start <= first < stop <= min(size, start + made.tile)


@given(cuts())
def test_weights_sum_to_one(cut: tuple[int, int, int]) -> None:
    made = plan(*cut)
    total = torch.zeros(made.size)
    for index in range(len(made.starts)):
        first, stop = made.span(index)
        weights = made.weights(index)
        assert weights.min() > 0 and weights.max() <= 1
        total[first:stop] += weights
    torch.testing.assert_close(total, torch.ones(made.size))


@given(cuts())
def test_no_tile_too_many(cut: tuple[int, int, int]) -> None:
    """As many as the overlap and whole strides need, and not larger than they have to be."""
    size, tile, overlap = cut
    made = plan(size, tile, overlap)
    step = (tile - overlap) // ALIGNMENT * ALIGNMENT
    assert len(made.starts) == max(1, -(-(size - tile) // step) + 1)
    seen = len(made.starts) * made.tile
    least = size + (len(made.starts) - 1) * overlap
    assert seen <= least + 2 * ALIGNMENT * len(made.starts)


def test_of_4000_px_the_default_sees_a_twelfth_twice() -> None:
    made = plan(4000, 1024, 64)
    assert (len(made.starts), made.tile) == (5, 864)
    assert (5 * 864 / 4000) ** 2 < 1.17


@given(cuts())
def test_neighbours_are_blended_over_the_overlap(cut: tuple[int, int, int]) -> None:
    size, tile, overlap = cut
    made = plan(size, tile, overlap)
    if len(made.starts) > 1:
        assert made.blend <= overlap
        if len(made.starts) == 2 or 3 * overlap + 2 * ALIGNMENT <= tile:
            assert made.blend == overlap


class Local(nn.Module):
    """Two 3 x 3 convolutions on pixels halved once: scores that depend on 10 px around, and on where the
    halving falls."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, K, 3, padding=1)
        )
        self.sizes: list[torch.Size] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(images.shape)
        even = nn.functional.pad(
            images / 255, (0, images.shape[-1] % 2, 0, images.shape[-2] % 2), mode="replicate"
        )
        scores = nn.functional.interpolate(5 * self.layers(even), scale_factor=2, mode="bilinear")
        return scores[..., : images.shape[-2], : images.shape[-1]]


@pytest.fixture
def network() -> Local:
    return Local().eval()


def pictures(height: int, width: int, count: int = 1) -> Tensor:
    return torch.randint(256, (count, 3, height, width), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("height", "width"), [(300, 250), (97, 413), (64, 200), (200, 30), (129, 129), (256, 256)]
)
@torch.no_grad()
def test_seams_are_not_to_be_seen(network: Local, height: int, width: int) -> None:
    images = pictures(height, width, 2)
    found = tiled_masks(network, images, K, tile=128, overlap=24)
    assert found.shape == (2, height, width) and found.dtype == torch.uint8
    scores = network(images)
    best = scores.topk(2, dim=1).values
    close = (best[:, 0] - best[:, 1]) < 1e-4  # rounding decides there
    inside = torch.ones_like(close)
    inside[:, height - 10 :], inside[:, :, width - 10 :] = False, False  # where the last tile is continued
    wrong = (found != scores.argmax(1)) & ~close
    assert not (wrong & inside).any()
    assert wrong.float().mean() < 0.01


@torch.no_grad()
def test_blended_probabilities_are_the_whole_picture_s(network: Local) -> None:
    """Not only the best class: a network that answers with one tile's number shows the passage itself."""
    calls = itertools.count()

    def numbered(images: Tensor) -> Tensor:
        scores = torch.zeros(len(images), 2, *images.shape[-2:])
        for row in scores:  # odd tiles are sure of class 1, even ones of class 0
            row[next(calls) % 2] = 20.0
        return scores

    found = tiled_masks(numbered, pictures(64, 224), 2, tile=128, overlap=32)[0]
    made = plan(224, 128, 32)
    assert len(made.starts) == 2
    assert torch.equal(found, (torch.arange(224) >= made.cuts[0]).to(torch.uint8).expand(64, 224))


@torch.no_grad()
def test_tiles_are_of_one_size_and_go_together(network: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "_AT_ONCE", 2 * 128 * 128)
    images = pictures(250, 500)
    together = tiled_masks(network, images, K, tile=128, overlap=16)
    assert {size[0] for size in network.sizes} <= {1, 2}
    assert len({size[-2:] for size in network.sizes}) == 1
    monkeypatch.setattr(tiles, "_AT_ONCE", 1)
    assert torch.equal(together, tiled_masks(network, images, K, tile=128, overlap=16))


@torch.no_grad()
def test_a_tile_larger_than_the_picture_is_the_picture(network: Local) -> None:
    images = pictures(50, 70)
    found = tiled_masks(network, images, K, tile=128, overlap=24)
    assert network.sizes == [(1, 3, 50, 70)]
    assert torch.equal(found, network(images).argmax(1).to(torch.uint8))


@torch.no_grad()
def test_memory_does_not_grow_with_the_height() -> None:
    """Beside the answer nothing as large as the picture is made."""
    largest = 0

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and result.dtype.is_floating_point:
                largest = max(largest, result.untyped_storage().nbytes())
            return result

    def scores(images: Tensor) -> Tensor:
        return torch.zeros(len(images), K, *images.shape[-2:])

    sizes = []
    for height in (700, 1400):
        largest = 0
        with Sizes():
            tiled_masks(scores, pictures(height, 700), K, tile=256, overlap=32)
        sizes.append(largest)
    assert sizes[0] == sizes[1] < 700 * 700 * K * 4


@pytest.mark.parametrize(
    ("tile", "overlap", "text"),
    [
        (500, 64, "module.tile: 500 px; expected a multiple of 32 of at least 64, or null"),
        (500, 64, "module.tile=512"),
        (32, 0, "module.tile: 32 px; expected a multiple of 32 of at least 64"),
        (0, 0, "try module.tile=64"),
        (128, 65, "module.overlap: 65 px; expected 0 to 64, half of module.tile=128; try module.overlap=8"),
        (128, -1, "module.overlap: -1 px; expected 0 to 64"),
    ],
)
def test_what_is_no_tiling_is_refused(tile: int, overlap: int, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        tiled_masks(lambda images: images, pictures(8, 8), K, tile, overlap)
