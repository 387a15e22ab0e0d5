"""U-Net: the paper's sizes and parameters, any picture, and what its switches do."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vision_apps.applications.segmentation.unet import UNet, _valid_sides
from vision_apps.core.errors import ConfigError


def small(padding: str = "same", **kwargs: object) -> UNet:
    return UNet(3, **{"width": 4, "depth": 2, "padding": padding, "dropout": 0.0, **kwargs}).eval()


def test_the_paper_s_parameters() -> None:
    """Its layers, written out: two 3 x 3 convolutions a level, 2 x 2 up-convolutions, 1 x 1 at the end."""
    expected, before = 0, 3
    for channels in (64, 128, 256, 512, 1024):
        expected += 9 * before * channels + channels + 9 * channels * channels + channels
        before = channels
    for channels in (512, 256, 128, 64):
        expected += 4 * 2 * channels * channels + channels
        expected += 9 * 2 * channels * channels + channels + 9 * channels * channels + channels
    expected += 64 * 2 + 2
    assert sum(p.numel() for p in UNet(2).parameters()) == expected == 31_031_810


def test_572_become_388() -> None:
    """Figure 1, with its maps on the way."""
    network = UNet(2, width=2).eval()
    seen = []
    for block in (*network.down, *network.up):
        block.register_forward_hook(lambda module, given, found: seen.append(found.shape[-1]))
    with torch.no_grad():
        logits = network.convolve(torch.rand(1, 3, 572, 572))
    assert logits.shape == (1, 2, 388, 388)
    assert seen == [568, 280, 136, 64, 28, 52, 100, 196, 388]


@given(st.integers(1, 700), st.integers(1, 5))
def test_the_input_of_valid_convolutions_is_the_least_that_halves_evenly(least: int, depth: int) -> None:
    def output(size: int) -> int | None:
        for _ in range(depth):
            size -= 4
            if size < 2 or size % 2:
                return None
            size //= 2
        size -= 4
        if size < 1:
            return None
        for _ in range(depth):
            size = 2 * size - 4
        return size

    expected = next(n for n in range(least, 4 * least + 1000) if (output(n) or 0) >= least)
    assert _valid_sides(least, depth) == (expected, output(expected))


@given(height=st.integers(1, 40), width=st.integers(1, 40), padding=st.sampled_from(["same", "valid"]))
def test_any_size_is_answered(height: int, width: int, padding: str) -> None:
    with torch.no_grad():
        assert small(padding)(torch.rand(1, 3, height, width)).shape == (1, 3, height, width)


def test_valid_convolutions_see_the_mirrored_surroundings() -> None:
    """A pixel's scores are those that it has in the picture continued by hand: nothing is shifted."""
    network = small("valid")
    picture = torch.rand(1, 3, 24, 40)
    inside, outside = _valid_sides(24, 2)
    margin = (inside - outside) // 2
    wide, wide_outside = _valid_sides(40, 2)
    continued = nn.functional.pad(
        picture, (margin, wide - 40 - margin, margin, inside - 24 - margin), mode="reflect"
    )
    with torch.no_grad():
        by_hand = network.convolve(continued)
        assert by_hand.shape[-2:] == (outside, wide_outside)
        torch.testing.assert_close(network(picture), by_hand[..., :24, :40])


def test_answers_stand_where_the_picture_has_them() -> None:
    """Moving a picture by the coarsest pixel moves the scores by as much, for both paddings."""
    for padding in ("same", "valid"):
        network = small(padding, norm=False)
        big = torch.rand(1, 3, 96, 96)
        with torch.no_grad():
            first, moved = network(big[..., :88, :88]), network(big[..., 4:92, 8:96])
        torch.testing.assert_close(first[..., 40:44, 40:44], moved[..., 36:40, 32:36])


def test_without_skips_fine_maps_do_not_reach_the_end() -> None:
    whole, cut = small(), small(skips=False)
    assert sum(p.numel() for p in cut.parameters()) < sum(p.numel() for p in whole.parameters())

    def gradient_paths(network: UNet) -> int:
        """Into how many places the finest maps go."""
        uses = []
        network.up[-1].register_forward_pre_hook(lambda module, given: uses.append(given[0].shape[1]))
        network(torch.rand(1, 3, 16, 16))
        return uses[0]

    assert gradient_paths(whole) == 8
    assert gradient_paths(cut) == 4


def test_he_initialisation() -> None:
    network = UNet(5, width=32, depth=2)
    for layer in (network.down[1][0], network.up[0][0]):
        fan = layer.in_channels * 9
        assert layer.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.05)
    up = network.enlarge[0].weight
    assert up.std().item() == pytest.approx((2 / up.shape[0]) ** 0.5, rel=0.05)


def test_norm_is_a_switch_and_takes_the_bias() -> None:
    with_norm, without = UNet(3, width=2, norm=True), UNet(3, width=2)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in with_norm.modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in without.modules())
    assert with_norm.down[0][0].bias is None
    assert without.down[0][0].bias is not None


@settings(max_examples=5)
@given(size=st.sampled_from([1, 4, 17]))
def test_two_images_train_down_to_maps_of_one_pixel(size: int) -> None:
    network = UNet(3, width=2, depth=3, padding="same", norm=True).train()
    network(torch.rand(2, 3, size, size)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_dropout_is_at_the_bottom_and_in_training_only() -> None:
    network = UNet(3, width=4, depth=2, padding="same", dropout=0.5)
    picture = torch.rand(1, 3, 16, 16)
    assert not torch.equal(network.train()(picture), network(picture))
    assert torch.equal(network.eval()(picture), network(picture))


def test_wrong_settings_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        UNet(3, width=0, depth=0, padding="full", dropout=1.0)  # type: ignore[arg-type]
    for text in (
        "model.width: 0; expected at least 1",
        "model.depth: 0; expected at least 1",
        "model.padding: full; expected same or valid",
        "model.dropout: 1.0; expected 0 or more and below 1",
    ):
        assert re.search(re.escape(text), str(caught.value))
