"""Parameter groups: what decays, and which rate it has."""

from collections.abc import Iterator
from typing import Any, cast

from torch import nn
from torch.optim import Optimizer

from vision_apps.core.config.fine_tuning import BACKBONE, BACKBONE_LR, Rates
from vision_apps.core.errors import ConfigError
from vision_apps.core.parts import backbone

_DEPTH = "depth"  # of a group: layers from the backbone's last; groups of what is no backbone have none


def parameter_groups(
    module: nn.Module,
    weight_decay: float,
    network: nn.Module | None = None,
    rates: Rates = Rates(),  # noqa: B008
) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: matrices and kernels decay, norms, biases and scalars (fewer than
    two dimensions) do not (Goyal et al. 2017, section 5.3; He et al. 2019, section 3.1).

    With ``rates`` those of the ``network``'s backbone follow in groups of their own, of each layer where the
    rate decays by layers, the last one first. The rates themselves come with `set_rates`.
    """
    depths = _depths(network, rates) if network is not None and rates.given else {}
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        depth, decays = depths.get(parameter, -1), parameter.ndim >= 2
        group: dict[str, Any] = {"params": [], "weight_decay": weight_decay if decays else 0.0}
        if depths:
            name = "head" if depth < 0 else BACKBONE + (f"-{depth}" if depth else "")
            group["name"] = name if decays else f"{name}-no-decay"
        if depth >= 0:
            group[_DEPTH] = depth
        groups.setdefault((depth, not decays), group)["params"].append(parameter)
    return [groups[place] for place in sorted(groups)]


def set_rates(optimizer: Optimizer, rates: Rates, lr: float) -> None:
    """Give each group its rate where the head has ``lr``."""
    for group in optimizer.param_groups:
        group["lr"] = rates.of_layer(lr, group[_DEPTH]) if _DEPTH in group else lr


def current(optimizer: Optimizer) -> dict[str, float]:
    """The rates of this step as they are logged: ``lr``, and of a backbone that has its own ``lr_backbone``,
    that of its last layer."""
    groups = optimizer.param_groups
    of_backbone = [group["lr"] for group in groups if _DEPTH in group]
    return {"lr": groups[0]["lr"]} | ({"lr_backbone": of_backbone[0]} if of_backbone else {})


def require_followed(optimizer: Optimizer, rates: Rates, before: list[float], chosen: bool) -> None:
    """`ConfigError` where a schedule has given all groups one rate instead of scaling those that they had
    ``before``.

    Args:
        chosen: nobody has asked for the backbone's rate: it is that of ``auto``.
    """
    pairs = zip(optimizer.param_groups, before, strict=True)
    factors = [group.get("initial_lr", own) / own for group, own in pairs if own] or [1.0]
    if not rates.given or max(factors) <= 1.001 * min(factors):
        return
    if chosen:
        raise ConfigError(
            "scheduler: it sets one rate for all parameters; a backbone that has learned before, as this one "
            f"has, has its own by itself ({BACKBONE_LR}=auto, here {rates.backbone_lr:g}). Say "
            f"{BACKBONE_LR}=null to give all the schedule's, or choose scheduler=warmup_cosine, "
            "warmup_linear or constant"
        )
    given = " ".join(f"optimizer.{name}=null" for name, value in rates._asdict().items() if value is not None)
    raise ConfigError(
        "scheduler: it sets one rate for all parameters, and the backbone would not keep its own; choose "
        f"scheduler=warmup_cosine, warmup_linear or constant, or say {given}"
    )


def _depths(network: nn.Module, rates: Rates) -> dict[nn.Parameter, int]:
    """Layers from the backbone's last for each of its parameters; all 0 without a decay by layers.
    `ConfigError` where the network has no backbone."""
    own = backbone(network)
    if own is None:
        given = next(name for name, value in rates._asdict().items() if value is not None)
        raise ConfigError(
            f"optimizer.{given}: {type(network).__name__} has no part called {BACKBONE}; choose a network "
            f"that has one, or optimizer.{given}=null"
        )
    if rates.layer_decay is None:
        return dict.fromkeys(own.parameters(), 0)
    numbers = layers(network, own)
    last = {number: depth for depth, number in enumerate(sorted(set(numbers.values()), reverse=True))}
    return {parameter: last[number] for parameter, number in numbers.items()}


def layers(network: nn.Module, own: nn.Module) -> dict[nn.Parameter, int]:
    """The number of its layer for each parameter of the backbone, rising from the pixels on: as timm counts
    them where it is timm's, in the order in which they were registered in all others."""
    from timm.models import group_parameters

    wanted = dict.fromkeys(own.parameters())
    for model in cast(Iterator[Any], network.modules()):
        if hasattr(model, "group_matcher") and any(p in wanted for p in model.parameters()):
            found = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
            named = {p: found[name] for name, p in model.named_parameters() if p in wanted}
            return dict.fromkeys(wanted, max(named.values()) + 1) | named
    while len(inner := list(own.children())) == 1 and not list(own.parameters(recurse=False)):
        own = inner[0]
    numbers = dict.fromkeys(own.parameters(recurse=False), 0)
    number = -1
    for block in _blocks(own):
        parameters = [p for p in block.parameters() if p not in numbers]
        # a norm that stands alone belongs to the layer before it
        number += number < 0 or any(p.ndim >= 2 for p in parameters)
        numbers |= dict.fromkeys(parameters, number)
    return numbers


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Its children in order, and in place of a plain container what that contains."""
    for child in module.children():
        contains = type(child) in (nn.Sequential, nn.ModuleList) or isinstance(child, nn.ModuleDict)
        yield from _blocks(child) if contains else (child,)
