"""What BabyAI's bot does (Chevalier-Boisvert et al. 2019, section 3.3): whole episodes to learn from, and
advice to an agent that goes its own way."""

import functools
import multiprocessing
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vision_apps.core.hardware import cores
from vision_apps.data.episodes import levels
from vision_apps.data.episodes.reading import MINIGRID, OURS, Beginning, act, beginning
from vision_apps.data.episodes.rooms import STOP

if TYPE_CHECKING:
    from minigrid.envs.babyai.core.roomgrid_level import RoomGridLevel

_CHUNK = 64  # episodes that a process is given at a time
_ALONE = 256  # episodes below which further processes take longer to start than they save


class Demonstration(NamedTuple):
    """An episode from its beginning to the expert's stop, or to as many actions as there may be."""

    begins: Beginning
    actions: list[int]


def demonstration(environment: "RoomGridLevel", seed: int, most: int) -> Demonstration:
    """What the bot does in the episode of a seed; what it did before where it gives up, or would pick up what
    is in its way, which cannot be done here."""
    from minigrid.utils.baby_ai_bot import BabyAIBot

    begins = beginning(environment, seed)
    bot, actions = BabyAIBot(environment), []
    for _ in range(most):
        advised = _advice(bot, None)
        if advised not in OURS:
            break
        actions.append(OURS[advised])
        if actions[-1] == STOP:
            break
        environment.step(advised)
    return Demonstration(begins, actions)


def advice(environment: "RoomGridLevel", seed: int, actions: Sequence[int]) -> list[int]:
    """What the bot would do before each of these actions of another agent; -1 where it has no advice, or
    advises what cannot be done here, and from there on.

    The bot is done for good once the target was faced, also by an agent that turns away again. Such an agent
    is told by a new bot, which has seen what that one saw.
    """
    from minigrid.utils.baby_ai_bot import BabyAIBot

    targets = {*beginning(environment, seed).targets}
    bot, taken, found = BabyAIBot(environment), None, []
    for action in actions:
        advised = _advice(bot, taken)
        x, y = environment.front_pos
        if advised == MINIGRID[STOP] and y * environment.width + x not in targets:
            seen, bot = bot.vis_mask, BabyAIBot(environment)
            bot.vis_mask = seen
            advised = _advice(bot, None)
        if advised not in OURS:
            break
        found.append(OURS[advised])
        if action == STOP:
            break
        taken = act(environment, action)
    return [*found, *[-1] * (len(actions) - len(found))]


def _advice(bot: object, taken: int | None) -> int | None:
    """The bot's number of an action, in Minigrid's numbering; none where it does not know how to go on."""
    try:
        return int(bot.replan(taken))  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - its own assertions, and errors of many kinds, say that it is stuck
        return None


@functools.cache
def _environment(level: str) -> "RoomGridLevel":
    """One for each process; every episode resets it."""
    return levels.make(level)


def demonstrations(level: str, seeds: Sequence[int], most: int) -> Iterator[Demonstration]:
    """Those of all seeds in their order, made in as many processes as there are processors where they are
    many."""
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    make = functools.partial(_demonstrations, level, most)
    if len(seeds) < _ALONE or cores() == 1:
        for chunk in chunks:
            yield from make(chunk)
        return
    with multiprocessing.get_context().Pool(min(cores(), len(chunks))) as pool:
        for made in pool.imap(make, chunks):
            yield from made


def _demonstrations(level: str, most: int, seeds: Sequence[int]) -> list[Demonstration]:
    return [demonstration(_environment(level), seed, most) for seed in seeds]


def advised(level: str, seeds: Sequence[int], actions: NDArray[np.int64]) -> NDArray[np.int64]:
    """`advice` for many episodes: actions [N, T], -1 past the end, to the bot's [N, T]."""
    pairs = [(seed, own[own >= 0].tolist()) for seed, own in zip(seeds, actions, strict=True)]
    chunks = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
    give = functools.partial(_advised, level)
    if len(pairs) < _ALONE or cores() == 1:
        found = [one for chunk in chunks for one in give(chunk)]
    else:
        with multiprocessing.get_context().Pool(min(cores(), len(chunks))) as pool:
            found = [one for given in pool.imap(give, chunks) for one in given]
    labels = np.full(actions.shape, -1, np.int64)
    for row, own in zip(labels, found, strict=True):
        row[: len(own)] = own
    return labels


def _advised(level: str, pairs: Sequence[tuple[int, list[int]]]) -> list[list[int]]:
    return [advice(_environment(level), seed, actions) for seed, actions in pairs]
