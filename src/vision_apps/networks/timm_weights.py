"""What a network of timm starts from: a word of the configuration, and the weights that it stands for.

=========  ========================================================================================
null       random numbers
pip        the weights that come with pip, of the networks in `packaged`
DEFAULT    timm's choice among those that the hub has
a tag      one of them, such as a1_in1k
a file     .safetensors, .pth, .pt or .bin, with the network's tensors under timm's names
auto       pip, what lies in the hub's cache, what the hub gives; random numbers where all fail
=========  ========================================================================================
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from timm.models import PretrainedCfg
from torch import Tensor, nn

from vision_apps.core.errors import ConfigError, RunError, some
from vision_apps.core.published import AUTO, RANDOM
from vision_apps.networks import packaged
from vision_apps.networks.packaged import PACKAGES, Package
from vision_apps.networks.published import unknown

log = logging.getLogger(__name__)

PIP, BEST = "pip", "DEFAULT"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_ANSWER = 3.0  # s for the hub to answer
_PATIENCE = 4.0  # s in all: finding its address has no limit of its own
_FILES = ("model.safetensors", "pytorch_model.bin")  # in the order in which timm looks for them


class Weights(NamedTuple):
    """What a network starts from."""

    tagged: str  # the network as timm calls it
    told: str = RANDOM
    overlay: Mapping[str, Any] | None = None  # of timm's own description of the weights; none: no weights
    mean: list[float] | None = None  # of the images that they were trained on, in [0, 1] units
    std: list[float] | None = None

    def put_in(self, build: Callable[..., nn.Module]) -> nn.Module:
        """What ``build``, which reads timm's published weights or passes the arguments of that on, makes with
        these."""
        with _silent():
            network = build(pretrained_cfg_overlay=dict(self.overlay or {}))
        for part in network.modules():  # where it would be kept once more
            if isinstance(kept := getattr(part, "pretrained_cfg", None), dict):
                kept.pop("state_dict", None)
        return network

    def fetched(self, build: Callable[..., nn.Module], word: str | None) -> nn.Module:
        """As `put_in`. `RunError` where the weights, which the configuration's ``word`` stands for, cannot be
        had."""
        try:
            return self.put_in(build)
        except Exception as error:  # what a failed download raises depends on the hub's HTTP library
            raise RunError(
                f"model.weights={word}: cannot get the {self.told} ({type(error).__name__}: {error}). Once "
                "read they are kept in the folder that HF_HOME names, where a broken file can be removed; or "
                "start from random numbers: model.weights=null"
            ) from error


def weights_of(
    name: str, word: str | None, key: str = "model.weights", name_key: str = "model.name"
) -> Weights:
    """The weights that ``word`` stands for, of timm's network ``name``.

    Args:
        key, name_key: where the two stand in the configuration, for errors.

    Raises:
        ConfigError: there is no such network, or no such weights of it.
        RunError: the weights cannot be read, or are of another network.
    """
    _require(name, name_key, key)
    if word == AUTO:
        word = at_hand(name, key, name_key)
    if word is None:
        return Weights(name)
    if word == PIP:
        package = _package(name, key, name_key)
        state = packaged.state(package, _state(name), key)
        told = f"ImageNet weights of {name} ({package.distribution} {packaged.version(package)})"
        return Weights(name, told, {"state_dict": state}, list(package.mean), list(package.std))
    if word.endswith(_SUFFIXES):
        overlay = _of_file(Path(word), name, key, name_key)
        made_for = timm.get_pretrained_cfg(name) or PretrainedCfg()
        return Weights(name, f"weights of {name} in {word}", overlay, list(made_for.mean), list(made_for.std))
    tags = [tagged.removeprefix(f"{name}.") for tagged in timm.list_pretrained(f"{name}.*")]
    known = [BEST, *tags] if tags else []
    if word not in known:
        words = [AUTO, PIP, *known] if name in PACKAGES else known
        raise unknown(key, word, words, f"a set of published weights of {name}")
    tagged = name if word == BEST else f"{name}.{word}"
    published = timm.get_pretrained_cfg(tagged)
    assert published is not None  # it is among those that are listed
    lies = None if published.custom_load else cached(published)
    return Weights(
        tagged,
        f"published weights of {name} ({published.hf_hub_id or published.url})",
        {"file": lies} if lies else {},
        list(published.mean),
        list(published.std),
    )


def at_hand(name: str, key: str = "model.weights", name_key: str = "model.name") -> str | None:
    """The word for the best weights of timm's network ``name`` that this machine has or gets at once; null,
    and a warning that says what would be better, where there are none."""
    _require(name, name_key, key)
    package, published = PACKAGES.get(name), timm.get_pretrained_cfg(name)
    if package and packaged.version(package):
        return PIP
    if published is None or not published.hf_hub_id:
        reason = "the hub has no weights of it"
    elif cached(published) or not (refused := hub_refuses(published)):
        return published.tag or BEST
    else:
        reason = refused
    if package:
        better = packaged.EXTRA
    else:
        brought = f"{name_key}={next(iter(PACKAGES))}, whose weights come with {packaged.EXTRA}"
        better = f"{brought}, or {key}=FILE{_SUFFIXES[0]}"
    log.warning("%s=auto: %s starts from random numbers: %s; better: %s", key, name, reason, better)
    return None


def cached(published: PretrainedCfg) -> str | None:
    """The file in the hub's cache, where it lies there."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = (published.hf_hub_id or "").partition("@")
    for file in (published.hf_hub_filename,) if published.hf_hub_filename else _FILES:
        found = try_to_load_from_cache(repository, file, revision=revision or None) if repository else None
        if isinstance(found, str):
            return found
    return None


def hub_refuses(published: PretrainedCfg) -> str | None:
    """Why the hub does not give the weights now; None where it answers. Takes a few seconds at most."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    repository, _, revision = (published.hf_hub_id or "").partition("@")
    url = hf_hub_url(repository, published.hf_hub_filename or _FILES[0], revision=revision or None)
    reasons = [f"{constants.ENDPOINT} does not answer within {_PATIENCE:.0f} s"]

    def ask() -> None:
        try:
            get_hf_file_metadata(url, timeout=_ANSWER)
        except EntryNotFoundError:  # under another name
            reasons.clear()
        except Exception as error:  # noqa: BLE001 - whatever stands between here and the hub
            reasons[:] = [f"{constants.ENDPOINT} cannot be reached ({type(error).__name__})"]
        else:
            reasons.clear()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    return next(iter(reasons), None)


def _require(name: str, name_key: str, key: str) -> None:
    names = timm.list_models()
    if name not in names:
        raise unknown(name_key, name, names, f"a network of timm (a tag goes to {key})")


def _package(name: str, key: str, name_key: str) -> Package:
    if name not in PACKAGES:
        raise ConfigError(
            f"{key}: pip has no weights of {name}, but of {', '.join(PACKAGES)}; try {name_key}="
            f"{next(iter(PACKAGES))}, or {key}={AUTO}"
        )
    return PACKAGES[name]


def _state(name: str) -> dict[str, Tensor]:
    """Of timm's network with random numbers, which nobody sees."""
    with torch.random.fork_rng(devices=[]):
        state: dict[str, Tensor] = timm.create_model(name).state_dict()
    return state


def _of_file(path: Path, name: str, key: str, name_key: str) -> dict[str, Any]:
    """timm's description of the weights in a file: all the tensors of the network, but for its last layer."""
    if not path.is_file():
        raise ConfigError(f"{key}: there is no file {path}; name one, or say {key}={AUTO}")
    try:
        state = timm.models.load_state_dict(str(path), weights_only=True)
        values = {word: value for word, value in state.items() if isinstance(value, Tensor)}
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise RunError(
            f"{key}: {path} cannot be read ({type(error).__name__} {first}); expected "
            "tensors by their names, and nothing that would have to be executed"
        ) from error
    last = getattr(timm.get_pretrained_cfg(name), "classifier", None) or ()
    layers = (last,) if isinstance(last, str) else tuple(last)
    own, head = _state(name), {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    unlike = [
        word
        for word in dict.fromkeys([*own, *values])
        if word not in head
        and (word not in own or word not in values or own[word].shape != values[word].shape)
    ]
    if unlike:
        raise RunError(
            f"{key}: {path} does not hold the weights of {name}: {len(unlike)} tensors are missing, "
            f"unknown or of another shape ({some(unlike, 3)}); choose the network of the file with {name_key}"
        )
    rows = values.get(f"{layers[0]}.weight") if layers else None
    return {"state_dict": values, "num_classes": 0 if rows is None else len(rows)}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """timm warns of each layer that its features do without; what does not fit is refused before."""
    logger = logging.getLogger("timm.models._builder")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
