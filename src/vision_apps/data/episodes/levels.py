"""The levels of BabyAI (Chevalier-Boisvert et al. 2019, arXiv:1810.08272) whose instructions a stop can be
held to.

BabyAI ends an episode as soon as the agent happens to face what was asked for, so one that ignores the
instruction and visits everything is mostly successful. Here an episode ends when the agent says so, as in R2R
(Anderson et al. 2018, arXiv:1711.07280), and it is won if the agent faces the target then. So an instruction
has to be true or false of a place: ``go to`` is, while ``pick up``, ``open`` and ``put next to`` are told
from what was done on the way.
"""

import contextlib
import io
import logging
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError

if TYPE_CHECKING:
    from minigrid.envs.babyai.core.roomgrid_level import RoomGridLevel

_NO_EXPERT = re.compile(r"PutNext\w+Carrying|KeyInBox|OpenDoorsOrder\w+Debug")
_MOVES_OBJECTS = ("GoTo", "GoToImpUnlock")
_SEVERAL = re.compile(r"GoToSeq\w*")


def _registered() -> dict[str, str]:
    """What BabyAI's environments are called in gymnasium, by the short names of their levels."""
    before = dict(os.environ)
    import gymnasium
    import minigrid  # noqa: F401 - registers its environments

    for name in os.environ.keys() - before.keys():  # gymnasium leaves one, which is to silence pygame
        del os.environ[name]
    return {_short(name): name for name in gymnasium.registry if name.startswith("BabyAI-")}


def names() -> list[str]:
    """All levels, by the short names that are taken: ``GoToLocal`` for ``BabyAI-GoToLocal-v0``."""
    return sorted(_registered())


def _short(name: str) -> str:
    return re.sub(r"^BabyAI-|-v\d+$", "", name)


def refusal(level: str) -> str | None:
    """Why a level cannot be walked here; none where it can."""
    if _NO_EXPERT.fullmatch(level):
        return "its expert, BabyAI's bot, cannot solve it"
    if level in _MOVES_OBJECTS:
        return "its expert picks objects up that are in the way, and here nothing is picked up"
    if _SEVERAL.fullmatch(level):
        return "its instructions are several, one after the other, which a single stop cannot be held to"
    if not level.startswith("GoTo"):
        return "its instructions are true of what was done, not of where an agent stops; go to ... is"
    return None


def checked(level: str) -> str:
    """The short name of a level. `ConfigError` where there is no such level, or where it cannot be walked."""
    short, known = _short(level), names()
    possible = [name for name in known if refusal(name) is None]
    if short not in known:
        raise ConfigError(
            f"data.level: there is no BabyAI level {level!r}{nearest(short, known)}; possible are "
            f"{', '.join(possible)}"
        )
    if why := refusal(short):
        raise ConfigError(f"data.level: {level}: {why}; possible are {', '.join(possible)}")
    return short


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """BabyAI prints a line for each layout that it rejects, and gymnasium warns of older versions."""
    logger = logging.getLogger("gymnasium")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(before)


def make(level: str) -> "RoomGridLevel":
    """The environment of a level, which was checked. It gives no observations, which would take half of its
    time: `rooms` has the same ones."""
    full = _registered()[level]
    import gymnasium

    with quiet():
        made: Any = gymnasium.make(full, disable_env_checker=True).unwrapped
    made.gen_obs = dict
    return made
