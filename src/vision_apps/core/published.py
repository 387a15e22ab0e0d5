"""Published weights that a run starts from: chosen once for all its processes, written down, and told."""

from collections.abc import Callable
from typing import Any

from torch import nn

from vision_apps.core import process
from vision_apps.core.config.instantiate import KEYWORDS
from vision_apps.core.config.targets import resolve
from vision_apps.core.plain import Config
from vision_apps.core.run_folder import RunFolder

AUTO = "auto"  # what lies here or can be fetched at once
RANDOM = "random numbers"
_KEY = "weights"


def settle(config: Config, folder: RunFolder) -> None:
    """Replace each ``weights: auto`` below ``model`` by what it is on this machine, for all processes of the
    run alike: the first decides and writes it into the run's configuration, the others read it there."""
    if not _open(config["model"]):
        return
    if process.rank():
        config["model"] = folder.wait(lambda written: not _open(written["model"]))["model"]
    else:
        config["model"] = settled(config["model"])
        folder.write_config(config)


def settled(node: Any, key: str = "model", *, needed: bool = True) -> Any:
    """A copy of a model's node in which the targets that can choose weights have chosen: a class says so by
    ``weights_at_hand(key, **arguments)``, which gives the word that it would be built with. Where none are
    ``needed``, none are chosen."""
    if isinstance(node, list):
        return [settled(item, f"{key}[{index}]", needed=needed) for index, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    inner = {name: settled(value, f"{key}.{name}", needed=needed) for name, value in node.items()}
    if (choose := _chooser(node)) is not None:
        arguments = {name: value for name, value in inner.items() if name not in (*KEYWORDS, _KEY)}
        inner[_KEY] = choose(f"{key}.{_KEY}", **arguments) if needed else None
    return inner


def _open(node: Any) -> bool:
    if isinstance(node, list):
        return any(map(_open, node))
    return isinstance(node, dict) and (_chooser(node) is not None or any(map(_open, node.values())))


def _chooser(node: Config) -> Callable[..., str | None] | None:
    if node.get(_KEY) != AUTO or "_target_" not in node:
        return None
    return getattr(resolve(node["_target_"]), "weights_at_hand", None)


def starts_from(network: nn.Module) -> str:
    """What its weights are before training: what its parts say in ``starts_from``."""
    said = (getattr(part, "starts_from", None) for part in network.modules())
    return ", ".join(dict.fromkeys(text for text in said if isinstance(text, str))) or RANDOM
