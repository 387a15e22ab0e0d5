"""Weights that others publish: named, chosen and fetched, with errors that say what to type instead."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.published import RANDOM


class PublishedNetwork(nn.Module):
    """A network of another library.

    Attributes:
        mean, std: of the images that the weights were trained on, 3 floats in [0, 1] units; None without
            weights (the data's own are used then).
        starts_from: what its weights are before training, in words.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        starts_from: str = RANDOM,
    ) -> None:
        super().__init__()
        self.mean = None if mean is None else list(mean)
        self.std = None if std is None else list(std)
        self.starts_from = starts_from


def told(entry: WeightsEnum, name: str) -> str:
    """One of torchvision's published sets of weights, in words."""
    return f"published weights of {name} (torchvision's {entry.name})"


def unknown(key: str, value: str, names: Iterable[str], what: str) -> ConfigError:
    """The error for a ``value`` of ``key`` that is none of the ``names`` of ``what`` there is."""
    names = list(names)
    if not names:
        return ConfigError(
            f"{key}: {value} is not {what}, there are none; start from random numbers: {key}=null"
        )
    close = difflib.get_close_matches(value, names, n=3, cutoff=0.5) or names[:3]
    return ConfigError(
        f"{key}: {value} is not {what}; did you mean {' or '.join(close)}? Try {key}={close[0]}"
    )


def chosen(key: str, weights: str, published: type[WeightsEnum], name: str) -> WeightsEnum:
    """One of torchvision's published sets of weights for the network ``name``, ``DEFAULT`` the best of them.
    `ConfigError` where there is no such set."""
    known = ["DEFAULT", *(entry.name for entry in published)]
    if weights not in known:
        raise unknown(key, weights, known, f"a set of published weights of {name}")
    return published[weights]


def download(entry: WeightsEnum, key: str, name: str) -> dict[str, Tensor]:
    """The values of torchvision's published weights ``entry``, from its cache or the network. `RunError`,
    which says where the file has to lie, where they cannot be had."""
    try:
        state: dict[str, Tensor] = entry.get_state_dict(progress=False, check_hash=True)
    except Exception as error:  # many: no network, no such file, a broken file, a full disk
        target = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
        raise RunError(
            f"{key}={entry.name}: cannot get the weights of {name} from {entry.url} "
            f"({type(error).__name__}: {error}). Put that file at {target} by hand, or start from random "
            f"numbers: {key}=null"
        ) from error
    return state
