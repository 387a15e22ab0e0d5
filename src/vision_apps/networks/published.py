"""Weights that others publish: named, chosen and fetched, with errors that say what to type instead."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from vision_apps.core.errors import ConfigError, RunError


class PublishedNetwork(nn.Module):
    """A network of another library.

    Attributes:
        mean, std: of the images that the weights were trained on, 3 floats in [0, 1] units; None without
            weights (the data's own are used then).
    """

    def __init__(
        self, model: nn.Module, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.mean = None if mean is None else list(mean)
        self.std = None if std is None else list(std)


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


def timm_name(key: str, name: str, weights: str | None, weights_key: str = "model.weights") -> str:
    """What timm calls the network ``name`` with ``weights``: null, ``DEFAULT``, or a tag such as ``a1_in1k``.
    `ConfigError` where there is no such network, or no such tag of it.

    Args:
        key, weights_key: where the two stand in the configuration, for the error.
    """
    import timm

    names = timm.list_models()
    if name not in names:
        raise unknown(key, name, names, f"a network of timm (a tag goes to {weights_key})")
    if weights is None:
        return name
    tags = [tagged.removeprefix(f"{name}.") for tagged in timm.list_pretrained(f"{name}.*")]
    known = ["DEFAULT", *tags] if tags else []
    if weights not in known:
        raise unknown(weights_key, weights, known, f"a set of published weights of {name}")
    return name if weights == "DEFAULT" else f"{name}.{weights}"


def timm_pretrained(
    build: Callable[[], nn.Module], tagged: str, weights: str
) -> tuple[nn.Module, Sequence[float], Sequence[float]]:
    """What ``build`` makes with the published weights of timm's network ``tagged``, and the mean and std that
    it was trained with. `RunError` where the weights cannot be had."""
    import timm

    published = timm.get_pretrained_cfg(tagged)
    assert published is not None  # `timm_name` found the tag
    try:
        return build(), published.mean, published.std
    except Exception as error:  # what a failed download raises depends on the hub's HTTP library
        raise RunError(
            f"model.weights={weights}: cannot get the weights of {tagged} from "
            f"{published.hf_hub_id or published.url} ({type(error).__name__}: {error}). Once read they are "
            "kept in the folder that HF_HOME names; or start from random numbers: model.weights=null"
        ) from error


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
