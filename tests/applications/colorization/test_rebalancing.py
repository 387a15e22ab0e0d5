import numpy as np
import pytest
import torch

from vision_apps.applications.colorization.ab_bins import ab_bins, soft_encode
from vision_apps.applications.colorization.lab import rgb_to_ab
from vision_apps.applications.colorization.rebalancing import (
    bin_mass,
    check_prior,
    count_prior,
    describe_prior,
    load_prior,
    rebalancing_weights,
    save_prior,
)
from vision_apps.core.errors import DataError


def pale_images(count: int = 4, size: int = 16) -> torch.Tensor:
    noise = torch.randint(-40, 41, (count, 3, size, size), generator=torch.Generator().manual_seed(0))
    return (128 + noise).to(torch.uint8)


def test_the_prior_is_the_mean_soft_target():
    images = pale_images()
    target = soft_encode(rgb_to_ab(images, 4))
    expected = torch.zeros(4, 313, 4, 4).scatter_add(1, target.indices, target.weights).mean((0, 2, 3))
    found = count_prior([images[:1], images[1:]])
    assert torch.allclose(found.float(), expected, atol=1e-6)
    assert bin_mass(target).sum().item() == pytest.approx(4 * 16)
    described = describe_prior(found)
    assert described["mass_chroma_50"] > 0.9 and described["perplexity"] > 5


def test_weights_follow_equation_4():
    prior = torch.rand(313, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 8
    prior /= prior.sum()
    for mix in (0.0, 0.5, 1.0):
        weights = rebalancing_weights(prior, mix)
        expected = 1 / ((1 - mix) * prior.numpy() + mix / 313)
        expected /= (expected * prior.numpy()).sum()
        assert np.allclose(weights.numpy(), expected)
        assert (prior * weights).sum().item() == pytest.approx(1)


def test_a_color_that_never_occurred_weighs_as_the_rarest():
    prior = torch.tensor([0.9, 0.1, 0.0])
    weights = rebalancing_weights(prior, 0.5)
    assert weights[2] > weights[1] > weights[0]
    assert rebalancing_weights(prior, 0.0)[2] == 0


def test_round_trip(tmp_path):
    prior = count_prior([pale_images()])
    save_prior(prior, tmp_path / "prior.npy")
    assert torch.equal(load_prior(tmp_path / "prior.npy"), prior)


def spread(*bins: tuple[int, int]) -> torch.Tensor:
    prior = torch.full((313,), 1e-9, dtype=torch.float64)
    for a, b in bins:
        prior[(ab_bins() == torch.tensor([a, b])).all(1)] = 1 / len(bins)
    return prior / prior.sum()


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        (torch.full((313,), 1.0), "sums to 313"),
        (torch.full((300,), 1 / 300), r"313 or 529 bins, got shape \[300\]"),
        (torch.full((313,), 1 / 313).index_fill(0, torch.tensor([3]), -1), "negative"),
        # what 0..255 floats in a conversion that expects [0, 1] give
        (spread((-90, 90), (90, 70), (-90, 80), (90, -110)), "wrongly scaled images.*vision-apps data prior"),
        (spread((0, 0)), "is grey"),
    ],
)
def test_says_what_is_wrong_with_a_prior(prior, text):
    with pytest.raises(DataError, match=text):
        check_prior(prior)


def test_saturated_colors_are_no_mistake():
    ramp = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    ramp[:, 2] = 255  # pure blue, at the very edge of the gamut
    check_prior(count_prior([ramp], stride=1))


def test_no_images_no_prior():
    with pytest.raises(DataError, match="no images"):
        check_prior(count_prior([]))


def test_a_bad_file_is_refused_with_the_command_that_makes_a_good_one(tmp_path):
    with pytest.raises(DataError, match=r"does not exist.*data prior data=\.\.\. out=.*none\.npy"):
        load_prior(tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("0.1 0.2")
    with pytest.raises(DataError, match="not an array"):
        load_prior(tmp_path / "text.npy")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not an array"):
        load_prior(tmp_path / "objects.npy")
    save_prior(count_prior([pale_images()]), tmp_path / "prior.npy")
    with pytest.raises(DataError, match="has 313 bins, this network's head has 529"):
        load_prior(tmp_path / "prior.npy", 529)


def test_the_uniform_share_is_over_the_bins_that_occur():
    """Four bins, two of them empty: u is 1/2, and an empty bin's weight is that of 0 / 2 + 1 / 4."""
    prior = torch.tensor([0.75, 0.25, 0.0, 0.0], dtype=torch.float64)
    raw = torch.tensor([1 / 0.625, 1 / 0.375, 1 / 0.25, 1 / 0.25], dtype=torch.float64)
    expected = raw / (0.75 * raw[0] + 0.25 * raw[1])
    assert torch.allclose(rebalancing_weights(prior, 0.5), expected, rtol=1e-12)
    assert torch.allclose(rebalancing_weights(prior, 1.0), torch.ones(4, dtype=torch.float64))
