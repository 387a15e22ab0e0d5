import pytest
import torch
from torch.nn import functional as F

from vision_apps.applications.colorization import decode
from vision_apps.applications.colorization.ab_bins import ab_bins
from vision_apps.applications.colorization.decode import annealed_mean, join, upsample_ab
from vision_apps.applications.colorization.lab import rgb_to_ab, rgb_to_lightness


def head(channels: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, channels, 5, 6), torch.randn(313, channels, 1, 1), torch.randn(313)


@pytest.mark.parametrize("chunk", [7, 30, 10_000])
@pytest.mark.parametrize("temperature", [1.0, 0.38, 0.05])
def test_equals_the_mean_over_a_dense_softmax(temperature, chunk):
    features, weight, bias = head()
    logits = F.conv2d(features, weight, bias)
    found = annealed_mean(features, weight, bias, ab_bins(), temperature, chunk)
    expected = torch.einsum("bqhw,qc->bchw", (logits / temperature).softmax(1), ab_bins())
    assert torch.allclose(found.ab, expected, atol=1e-3)
    entropy = torch.special.entr(logits.softmax(1)).sum(1)
    assert torch.allclose(found.entropy, entropy, atol=1e-4)


def test_the_temperature_of_the_paper_is_the_default():
    features, weight, bias = head()
    assert decode.TEMPERATURE == 0.38  # section 2.3
    found = annealed_mean(features, weight, bias, ab_bins()).ab
    expected = (F.conv2d(features, weight, bias) / 0.38).softmax(1)
    assert torch.allclose(found, torch.einsum("bqhw,qc->bchw", expected, ab_bins()), atol=1e-3)


def test_a_low_temperature_gives_the_mode():
    features, weight, bias = head()
    mode = ab_bins()[F.conv2d(features, weight, bias).argmax(1)].permute(0, 3, 1, 2)
    assert torch.allclose(annealed_mean(features, weight, bias, ab_bins(), 1e-4).ab, mode, atol=1e-3)


def test_autocast_does_not_round_the_colors():
    features, weight, bias = head()
    exact = annealed_mean(features, weight, bias, ab_bins())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(annealed_mean(features, weight, bias, ab_bins()).ab, exact.ab)


@pytest.mark.parametrize("size", [(16, 24), (17, 21), (8, 30)])
def test_upsampling_puts_every_value_back_where_it_was_taken(size):
    ab = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(0))
    back = upsample_ab(ab[:, :, ::4, ::4], 4, size)
    assert back.shape == ab.shape
    assert torch.allclose(back[:, :, ::4, ::4], ab[:, :, ::4, ::4], atol=1e-5)


def test_upsampling_by_one_changes_nothing():
    ab = torch.randn(1, 2, 5, 7)
    assert torch.equal(upsample_ab(ab, 1, (5, 7)), ab)


def test_lightness_and_color_make_the_image_again():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(join(rgb_to_lightness(images), rgb_to_ab(images)), images)


def test_joined_in_parts_as_at_once(monkeypatch):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 7, 5), dtype=torch.uint8)
    lightness, ab = rgb_to_lightness(images), rgb_to_ab(images)
    for pixels in (1, 25, 1000):  # one row, some with a rest, all
        monkeypatch.setattr(decode, "_JOINED_PIXELS", pixels)
        assert torch.equal(join(lightness, ab), images)
