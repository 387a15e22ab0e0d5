"""What a new run begins with: the weights of another run, as far as they fit."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vision_apps.core import checkpoint_io
from vision_apps.core.config.fine_tuning import BACKBONE
from vision_apps.core.errors import CheckpointError, ConfigError, some
from vision_apps.core.module import VisionModule
from vision_apps.core.parts import backbone
from vision_apps.core.published import RANDOM
from vision_apps.core.run_folder import RunFolder

NETWORK, PIXELS = "network.", "normalize."  # of a module: what goes with weights; all else is of its own data
OTHER_SHAPE, NOT_THERE, OTHER_WORDS = "another shape", "not there", "other classes"
FITTED = "fitted"
_LISTED = 3  # parts in a line


class Source(NamedTuple):
    """A checkpoint to begin with."""

    path: Path
    tensors: dict[str, Tensor]  # by their names in the module that it is of
    checkpoint: dict[str, Any]
    run: str | None  # its run's id

    @property
    def title(self) -> str:
        """The name of its network; of a checkpoint that does not say it, that of the file."""
        target = _mapping(_mapping(self.checkpoint.get("config")).get("model")).get("_target_")
        return str(target).rpartition(".")[2] if target else self.path.name

    @property
    def words(self) -> dict[str, list[str]]:
        """Its facts that number words, such as the names of its classes."""
        return words(_mapping(self.checkpoint.get("facts")))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def words(facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """Those facts that are lists of words, each of which has its number."""
    return {
        name: value
        for name, value in facts.items()
        if isinstance(value, list) and value and all(isinstance(word, str) for word in value)
    }


def read(place: str) -> Source:
    """The best weights of a run, else its newest, or those of a checkpoint. `CheckpointError` where there is
    none, or it cannot be read; nothing in the file is executed."""
    try:
        folder, path = RunFolder.find(place)
        if path is None:
            names = (checkpoint_io.BEST, checkpoint_io.LAST, checkpoint_io.PREVIOUS)
            path, checkpoint = checkpoint_io.newest_told(folder.checkpoints, names)
        else:
            checkpoint = checkpoint_io.load(path)
    except CheckpointError as error:
        raise CheckpointError(f"init={place}: {error}") from error
    found = _mapping(checkpoint["state_dict"]).items()
    tensors = {name: value for name, value in found if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"init={place}: {path} holds no weights")
    return Source(path, tensors, checkpoint, folder.record.get("id"))


def names_below_backbone(network: nn.Module) -> dict[str, str]:
    """The names of a backbone's tensors in its own state to those in the module's; empty where the network
    has none."""
    own = backbone(network)
    if own is None:
        return {}
    full = {id(value): NETWORK + name for name, value in network.state_dict(keep_vars=True).items()}
    below = own.state_dict(keep_vars=True).items()
    return {name: full[id(value)] for name, value in below if id(value) in full}


class Taken(NamedTuple):
    """Which tensors a module takes, and why it does not take the others."""

    names: dict[str, str]  # its own to the source's
    left: dict[str, str]  # its own to the reason


def fitting(
    module: nn.Module,
    source: Source,
    backbone_of_source: Callable[[], Mapping[str, str]],
    of_words: Callable[[], Collection[str]],
) -> Taken:
    """The tensors of a module's network, with its normalisation of pixels, that a source has under the same
    name, or at the same place below its backbone, and in the same shape; of a layer whose weight has another
    shape none.

    Args:
        backbone_of_source: as `names_below_backbone` gives it; asked for where no name below this backbone
            is one of the source's.
        of_words: the module's tensors that depend on how many words there are, where the source's words are
            others: the same number stands for something else there.
    """
    network: nn.Module = module.network  # type: ignore[assignment]
    own = {name: value for name, value in module.state_dict().items() if name.startswith((NETWORK, PIXELS))}
    same = {name: name for name in own if name in source.tensors}
    below = names_below_backbone(network)
    if below and not any(name in same for name in below.values()):
        theirs = backbone_of_source()
        same |= {full: theirs[name] for name, full in below.items() if theirs.get(name) in source.tensors}
    fit = {name: other for name, other in same.items() if own[name].shape == source.tensors[other].shape}
    # a bias says nothing without its weight
    cut = {name.rpartition(".")[0] for name in same if name.endswith(".weight") and name not in fit}
    fit = {name: other for name, other in fit.items() if name.rpartition(".")[0] not in cut}
    if below and not any(name in fit for name in below.values()):  # what the pixels are prepared for
        own = {name: value for name, value in own.items() if name.startswith(NETWORK)}
        fit = {name: other for name, other in fit.items() if name in own}
    left = {name: OTHER_SHAPE if name in same else NOT_THERE for name in own if name not in fit}
    if any(name not in below.values() and name.startswith(NETWORK) for name in fit):
        for name in of_words():
            fit.pop(name, None)
            left[name] = OTHER_WORDS
    return Taken(fit, left)


def but_fitted(taken: Taken, parts: Collection[str]) -> Taken:
    """The same without what lies in those parts of the network that are fitted to the run's own data."""
    fitted = {
        name for name in taken.names if any(f"{name}.".startswith(f"{NETWORK}{part}.") for part in parts)
    }
    names = {name: other for name, other in taken.names.items() if name not in fitted}
    return Taken(names, taken.left | dict.fromkeys(fitted, FITTED))


def take(module: nn.Module, source: Source, taken: Taken) -> None:
    """Copy what was `fitting`."""
    own = module.state_dict()
    with torch.no_grad():
        for name, other in taken.names.items():
            own[name].copy_(source.tensors[other])


def require_any(module: nn.Module, source: Source, taken: Taken) -> None:
    """`ConfigError` where nothing of a network fits."""
    if not any(name.startswith(NETWORK) for name in taken.names):
        title = type(module.network).__name__
        count = sum(name.startswith(NETWORK) for name in taken.left)
        raise ConfigError(
            f"init={source.path}: none of the {count} tensors of {title} has the name and shape of one in "
            f"{source.title}, which it is of; choose the model= of that run, or one with the same {BACKBONE}"
        )


def left_parts(taken: Taken) -> dict[str, str]:
    """The largest parts of the network of which nothing was taken, to the reason that most have."""
    began = {name[:end] for name in taken.names for end in _ends(name)}
    parts: dict[str, Counter[str]] = {}
    for name, reason in taken.left.items():
        part = next(name[:end] for end in _ends(name) if name[:end] not in began)
        parts.setdefault(part.removeprefix(NETWORK), Counter())[reason] += 1
    return {part: reasons.most_common(1)[0][0] for part, reasons in parts.items()}


def _ends(name: str) -> Iterable[int]:
    """Where the parts of a dotted name end, the outermost first."""
    return [*(i for i, letter in enumerate(name) if letter == "."), len(name)]


def backbone_has_learned(module: VisionModule, taken: Taken | None) -> bool:
    """Whether its weights are published ones or, in part, another run's."""
    below = names_below_backbone(module.network).values()
    rest = module.starts_from.get("rest", module.starts_from["weights"])
    return bool(below) and (rest != RANDOM or any(name in below for name in (taken.names if taken else ())))


def unfilled(module: nn.Module, taken: Taken) -> bool:
    """Whether something is left that published weights would fill: of the backbone, or where there is none of
    anything but what depends on the words."""
    below = names_below_backbone(module.network).values()  # type: ignore[arg-type]
    return any(name in below if below else reason != OTHER_WORDS for name, reason in taken.left.items())


def record_of(source: Source, taken: Taken, rest: str) -> dict[str, Any]:
    """For the run's record; ``rest``: what the other tensors begin with."""
    step = source.checkpoint.get("global_step")
    return {
        "weights": str(source.path),
        "run": source.run,
        "step": step if isinstance(step, int) else None,
        "taken": len(taken.names),
        "of": len(taken.names) + len(taken.left),
        "left": left_parts(taken),
        "rest": rest,
    }


def with_fitted(record: Mapping[str, Any], parts: Collection[str]) -> dict[str, Any]:
    """The record of a run in which these parts of the network were then fitted to its data."""
    return {**record, "fitted": list(parts)} if parts else dict(record)


def told(record: Mapping[str, Any]) -> str:
    """What a record says, in a line."""
    line, fitted = str(record["weights"]), record.get("fitted", ())
    if "taken" in record:
        line += f" · {record['taken']} of {record['of']} tensors"
        left = [f"{part} ({reason})" for part, reason in record["left"].items() if part not in fitted]
        line += f" · {record['rest']}: {some(left, _LISTED)}" if left else ""
    return f"{line} · fitted to the training samples: {', '.join(fitted)}" if fitted else line
