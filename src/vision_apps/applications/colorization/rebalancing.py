"""Class rebalancing: how common colours are, and how much more a rare one weighs (Zhang et al. 2016, section
2.2)."""

import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vision_apps.applications.colorization.ab_bins import SoftColors, ab_bins, nearest_bin, soft_encode
from vision_apps.applications.colorization.lab import rgb_to_ab
from vision_apps.core.errors import DataError

# Natural photos leave 2e-4 of the soft mass on bins that are nearest to no sRGB colour, fully saturated
# primaries up to a fifth; priors made from wrongly scaled images put most of theirs there.
_UNREACHABLE_LIMIT = 0.3


def bin_mass(colors: SoftColors, count: int = 313) -> Tensor:
    """Sum over all pixels of the soft targets, float64 [count]."""
    mass = torch.zeros(count, dtype=torch.float64, device=colors.weights.device)
    return mass.index_add_(0, colors.indices.flatten(), colors.weights.flatten().double())


def count_prior(images: Iterable[Tensor], neighbours: int = 5, stride: int = 4, count: int = 313) -> Tensor:
    """The empirical distribution over the bins: the mean soft target, float64 [count] on the CPU; NaN without
    images.

    Args:
        images: batches of uint8 sRGB [B, 3, H, W], of any sizes.
        stride: take every stride-th pixel in both directions.
    """
    mass = torch.zeros(count, dtype=torch.float64)
    for batch in images:
        mass += bin_mass(soft_encode(rgb_to_ab(batch, stride), neighbours, count), count).cpu()
    return mass / mass.sum()


@lru_cache(maxsize=2)
def _unreachable(count: int) -> Tensor:
    """Bins that are nearest to no sRGB colour, bool [count]: 52 of the 313."""
    # the faces of the RGB cube at every third value reach the same bins as all 16.7 million colours
    value = torch.arange(0, 256, 3, dtype=torch.uint8)
    plane = torch.cartesian_prod(value, value).T
    faces = [torch.cat([torch.full_like(plane[:1], end), plane]) for end in (0, 255)]
    colors = torch.cat([face.roll(axis, 0) for face in faces for axis in range(3)], dim=1)
    reached = nearest_bin(rgb_to_ab(colors[None, :, :, None]), count).unique()
    return torch.ones(count, dtype=torch.bool).index_fill_(0, reached, False)


def describe_prior(prior: Tensor) -> dict[str, float]:
    """What a person checks first: the most common colour, the mass of weak colours, the perplexity, ..."""
    bins = ab_bins(len(prior)).double()
    chroma = bins.square().sum(1).sqrt()
    mode = int(prior.argmax())
    probability = prior.double()
    return {
        "mode_a": bins[mode, 0].item(),
        "mode_b": bins[mode, 1].item(),
        "mode_mass": probability[mode].item(),
        **{f"mass_chroma_{limit}": probability[chroma <= limit].sum().item() for limit in (10, 20, 30, 50)},
        "mass_unreachable": probability[_unreachable(len(prior))].sum().item(),
        "perplexity": torch.special.entr(probability).sum().exp().item(),
    }


def check_prior(prior: Tensor, source: str = "prior") -> None:
    """`DataError`, whose text says what is wrong, for what cannot be a distribution of colours in images."""
    if prior.dim() != 1 or len(prior) not in (313, 529):
        raise DataError(
            f"{source}: expected the probabilities of 313 or 529 bins, got shape {list(prior.shape)}"
        )
    if prior.isnan().all():
        raise DataError(f"{source}: no images were given, so there are no colours to count")
    if not torch.isfinite(prior).all() or (prior < 0).any():
        raise DataError(f"{source}: has negative or non-finite values; probabilities were expected")
    total = prior.double().sum().item()
    if not math.isclose(total, 1, abs_tol=1e-3):
        raise DataError(f"{source}: sums to {total:.6g}, a distribution sums to 1")
    found = describe_prior(prior)
    mode = f"({found['mode_a']:g}, {found['mode_b']:g})"
    if found["mass_unreachable"] > _UNREACHABLE_LIMIT:
        raise DataError(
            f"{source}: {found['mass_unreachable']:.0%} of the mass is on colours that sRGB cannot show, the "
            f"most common being ab = {mode}. It was made from wrongly scaled images: the conversion to Lab "
            "wants 8-bit values, or floats in [0, 1]. Count again with: vision-apps data prior"
        )
    if found["mass_chroma_10"] > 0.999:
        raise DataError(
            f"{source}: {found['mass_chroma_10']:.2%} of the mass is grey (chroma up to 10), so there is no "
            "colour to learn. Either the images are grey-scale or they were divided by 255 before they "
            "became 8-bit"
        )


def save_prior(prior: Tensor, path: str | Path) -> None:
    """Write a prior as a float64 array in NumPy's format, to exactly this file. `DataError` where the file
    cannot be written.
    """
    try:
        with open(path, "wb") as file:  # given a name, np.save would append .npy to it
            np.save(file, prior.double().cpu().numpy(), allow_pickle=False)
    except OSError as error:
        raise DataError(f"prior: {path} cannot be written: {error.strerror or error}") from error


def load_prior(path: str | Path, count: int = 313) -> Tensor:
    """A prior as :func:`save_prior` writes it, float64 [count]; the authors' ``prior_probs.npy`` is one too.
    `DataError` where there is no such file, it holds something else, or it fails :func:`check_prior`.
    """
    make = f"make it with: vision-apps data prior data=... out={path}"
    try:
        prior = torch.from_numpy(np.load(path, allow_pickle=False)).double()
    except FileNotFoundError:
        raise DataError(f"module.prior: {path} does not exist; {make}") from None
    except (ValueError, TypeError, OSError) as error:
        raise DataError(f"module.prior: {path} is not an array of probabilities ({error}); {make}") from error
    check_prior(prior, f"module.prior: {path}")
    if len(prior) != count:
        raise DataError(
            f"module.prior: {path} has {len(prior)} bins, this network's head has {count}; {make}"
        )
    return prior


def rebalancing_weights(prior: Tensor, uniform: float = 0.5) -> Tensor:
    """Weight of a pixel by its nearest bin, w ~ 1 / ((1 - lambda) p + lambda u) with sum(p w) = 1 (Zhang
    et al. 2016, equations 3 and 4).

    Args:
        prior: p, [Q]; u is uniform over its non-zero bins.
        uniform: lambda. 1 weighs all colours alike, 0 by the inverse of their frequency; the paper trains
            with 0.5.

    Returns:
        [Q]. A colour that never occurred weighs as much as the rarest possible (at lambda 0, where that is
        infinite, nothing).
    """
    present = prior > 0
    mixed = (1 - uniform) * prior + uniform / present.sum()
    weights = torch.where(mixed > 0, 1 / mixed, 0)
    return weights / (prior * weights).sum()
