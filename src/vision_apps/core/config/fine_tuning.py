"""The keys with which a run builds on what is known: ``init``, ``freeze``, ``batch_norm``, and the backbone's
own rates."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config

AUTO, FIXED, BATCH = "auto", "fixed", "batch"  # words of batch_norm; the first also of freeze
BACKBONE = "backbone"  # the part of a network that has its own rates
BACKBONE_LR = "optimizer.backbone_lr"


class Rates(NamedTuple):
    """Keys of ``optimizer`` that are none of the optimiser's: rates of what lies below the network's
    ``backbone``, instead of ``optimizer.lr``.

    Attributes:
        backbone_lr: of the backbone, or of its last layer where there is a ``layer_decay``.
        layer_decay: factor from each of its layers to the one before, in (0, 1]; without a ``backbone_lr``
            its last layer has so much of ``lr``.
    """

    backbone_lr: float | None = None
    layer_decay: float | None = None

    @property
    def given(self) -> bool:
        return self != Rates()

    def of_layer(self, lr: float, depth: int) -> float:
        """The rate of a layer, ``depth`` layers before the backbone's last, where the head has ``lr``."""
        decay = 1.0 if self.layer_decay is None else self.layer_decay
        return (lr * decay if self.backbone_lr is None else self.backbone_lr) * decay**depth


def slower(lr: float, share: float) -> float:
    """The rate of a backbone that has learned before and goes at this ``share`` of the head's, ``lr``."""
    return float(f"{lr * share:.12g}")  # as one would write it: 0.0003, not 0.00030000000000000003


def settle(config: Config, learned: bool, share: float, kept: list[str] | None = None) -> Config:
    """Replace each ``auto`` of what a backbone does that has ``learned`` before, or has not; returns what was
    chosen for one that has, by dotted key. `ConfigError` where statistics are to be kept that nobody has.

    Args:
        share: of the head's rate, for a backbone that has learned.
        kept: the parts that too few samples would only spoil; they learn where a rate is asked for the
            backbone.
    """
    optimizer = config.get("optimizer") or {}
    chosen: Config = {}
    if config.get("freeze") == AUTO:
        asked = optimizer.get("backbone_lr") != AUTO or optimizer.get("layer_decay") is not None
        kept = None if asked else kept
        config["freeze"] = kept
        if kept:
            chosen["freeze"] = kept
    if config.get("batch_norm") == AUTO:
        chosen["batch_norm"] = config["batch_norm"] = FIXED if learned else BATCH
    elif config.get("batch_norm") == FIXED and not learned:
        raise ConfigError(
            "batch_norm: fixed keeps the statistics of a backbone that has learned before, and this one has "
            "not; choose weights for it, init=RUN, or batch_norm=batch"
        )
    if optimizer.get("backbone_lr") == AUTO:
        lr = optimizer.get("lr")
        own = learned and optimizer.get("layer_decay") is None and not _backbone_never_learns(config)
        optimizer["backbone_lr"] = slower(lr, share) if own and isinstance(lr, int | float) else None
        chosen[BACKBONE_LR] = optimizer["backbone_lr"]
    return chosen if learned else {}


def obstacles(config: Config, learned: bool) -> Iterator[str]:
    """What stands in the way of learning, as `VisionData.obstacles` says it."""
    if not learned and _backbone_never_learns(config):
        yield (
            f"freeze: the {BACKBONE} keeps its random numbers for the whole run, and only the rest learns; "
            "choose weights for it, or init=RUN, or freeze=null"
        )


def rates(optimizer: Config | None) -> Rates:
    """Those of the configuration's ``optimizer``."""
    node = optimizer or {}
    return Rates(**{name: node.get(name) for name in Rates._fields})


def without_rates(optimizer: Config) -> Config:
    """The node as the optimiser takes it."""
    return {name: value for name, value in optimizer.items() if name not in Rates._fields}


def shares(freeze: Any) -> dict[str, float]:
    """The part of a network to the share of the run in which it is frozen, of ``freeze`` in any of its forms:
    null, a name, names, or names with shares. ``auto`` is settled before anything is frozen."""
    if freeze in (None, AUTO):
        return {}
    if isinstance(freeze, dict):
        return dict(freeze)
    return dict.fromkeys([freeze] if isinstance(freeze, str) else freeze, 1.0)


def told(freeze: Any) -> str:
    """What is frozen, for how much of the run, in a line."""
    found = shares(freeze).items()
    return ", ".join(name if share == 1 else f"{name} for {share:g} of the run" for name, share in found)


def problems(parts: Config) -> Iterator[str]:
    yield from _of_init(parts)
    yield from _of_freeze(parts)
    optimizer = parts.get("optimizer")
    if isinstance(optimizer, dict) and "_target_" not in optimizer:
        yield "optimizer: there is none; choose one, as in optimizer=adamw"
    known = rates(optimizer) if isinstance(optimizer, dict) else Rates()
    for name, value in known._asdict().items():
        wanted = "above 0" if name == "backbone_lr" else "above 0 and at most 1, such as 0.75"
        if isinstance(value, int | float) and not (value > 0 and (name == "backbone_lr" or value <= 1)):
            yield f"optimizer.{name}: {value}; expected {wanted}"
        elif isinstance(value, int | float) and _backbone_never_learns(parts):
            yield (
                f"optimizer.{name}: {value:g} has no effect where the backbone is frozen for the whole run; "
                f"leave it out, or thaw the backbone, as in freeze={{{BACKBONE}: 0.3}}"
            )


def _backbone_never_learns(config: Config) -> bool:
    """Whether the whole of it is frozen for the whole run."""
    known = shares(config.get("freeze"))
    return known.get(BACKBONE, 0) == 1 and not any(
        name.startswith(f"{BACKBONE}.") and share != 1 for name, share in known.items()
    )


def _of_init(parts: Config) -> Iterator[str]:
    init = parts.get("init")
    if init == "":
        yield "init: expected a run folder or a checkpoint (.ckpt), got ''"
    elif init and parts.get("resume"):
        yield f"init: resume={parts['resume']} goes on with that run's own weights; leave one of the two out"


def _of_freeze(parts: Config) -> Iterator[str]:
    freeze, ends = parts.get("freeze"), []
    for name, share in freeze.items() if isinstance(freeze, dict) else ():
        if isinstance(share, int | float) and not 0 <= share <= 1:
            yield f"freeze: {name} is frozen for {share:g} of the run; expected a share, 0 to 1"
        elif share != 1:
            ends.append(name)
    trainer = parts.get("trainer")
    node = trainer if isinstance(trainer, dict) else {"max_epochs": 1}
    if ends and node.get("max_epochs", -1) in (None, -1) and node.get("max_steps", -1) == -1:
        yield (
            f"freeze: {', '.join(ends)} would thaw after a share of the run, and only time ends it; set "
            "trainer.max_epochs or trainer.max_steps"
        )
