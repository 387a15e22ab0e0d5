"""The kinds of worlds that there are.

A data set declares its world as the fact ``world``: plain data, its ``kind`` and what a world of this kind is
built from. It fills the module's parameter of that name, so that ``data=`` chooses the world and every
checkpoint rebuilds it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from vision_apps.applications.navigation.buildings_world import BuildingsWorld
from vision_apps.applications.navigation.rooms_world import RoomsWorld
from vision_apps.applications.navigation.world import World
from vision_apps.core.errors import ConfigError

KINDS: dict[str, Callable[..., World[Any]]] = {"buildings": BuildingsWorld, "rooms": RoomsWorld}


def build(world: Mapping[str, Any]) -> World[Any]:
    """The world that a fact ``world`` describes; `ConfigError` where there is no such kind."""
    kind, rest = world.get("kind"), {name: value for name, value in world.items() if name != "kind"}
    if kind not in KINDS:
        raise ConfigError(
            f"module.world: kind {kind!r}; expected one of {', '.join(sorted(KINDS))}, as the data say it: "
            "leave module.world out"
        )
    return KINDS[kind](**rest)
