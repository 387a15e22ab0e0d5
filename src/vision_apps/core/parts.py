"""The parts of a network by name."""

from torch import nn

from vision_apps.core.config.fine_tuning import BACKBONE
from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError, some

_LISTED = 6  # names in an error


def part(network: nn.Module, name: str, key: str) -> nn.Module | nn.Parameter:
    """What a network has under a dotted name, also as a property. `ConfigError`, which names the ``key`` of
    the configuration that asked, where there is nothing that could be learned."""
    found: object = network
    for word in name.split("."):
        found = getattr(found, word, None)
    if isinstance(found, nn.Module | nn.Parameter):
        return found
    names = [known for known, _ in (*network.named_modules(), *network.named_parameters()) if known]
    listed = [known for known, _ in network.named_children()]
    if backbone(network) is not None and BACKBONE not in listed:
        names, listed = [BACKBONE, *names], [BACKBONE, *listed]
    title = type(network).__name__
    raise ConfigError(
        f"{key}: {title} has no part {name!r}{nearest(name, names)}; it has: {some(listed, _LISTED)}"
    )


def backbone(network: nn.Module) -> nn.Module | None:
    """What gives the network its features, where it has such a part."""
    found = getattr(network, BACKBONE, None)
    return found if isinstance(found, nn.Module) else None


def parameters(found: nn.Module | nn.Parameter) -> list[nn.Parameter]:
    return [found] if isinstance(found, nn.Parameter) else list(found.parameters())
