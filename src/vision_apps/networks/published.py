"""Weights that others publish: named, chosen and fetched, with errors that say what to type instead."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError, RunError


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


def chosen(key: str, weights: str, published: Any, name: str) -> Any:
    """One of torchvision's published sets of weights for the network ``name``, ``DEFAULT`` the best of them.

    Raises:
        ConfigError: there is no such set.
    """
    known = ["DEFAULT", *(entry.name for entry in published)]
    if weights not in known:
        raise unknown(key, weights, known, f"a set of published weights of {name}")
    return published[weights]


def download(entry: Any, key: str, name: str) -> dict[str, Tensor]:
    """The values of torchvision's published weights ``entry``, from its cache or the network.

    Raises:
        RunError: they cannot be had; says where the file has to lie.
    """
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
