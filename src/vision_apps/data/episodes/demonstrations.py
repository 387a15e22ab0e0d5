"""Demonstrations as arrays, made once and kept on disk."""

import hashlib
import importlib.metadata
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vision_apps.core.errors import DataError
from vision_apps.data import feature_store
from vision_apps.data.episodes import experts, levels, reading, rooms
from vision_apps.data.feature_store import Computed, Field

log = logging.getLogger(__name__)

MOST_TARGETS = 32  # objects that one instruction may mean
LONGEST = 120  # bytes of an instruction
_BATCH = 64


class Shape(NamedTuple):
    """What is alike in all episodes of a level."""

    height: int
    width: int
    steps: int  # after which an episode is over


class Demonstrations(NamedTuple):
    """Of N episodes."""

    seeds: Tensor  # int64 [N]
    maps: Tensor  # uint8 [N, h, w], codes as in `rooms`
    poses: Tensor  # int64 [N, 3]
    targets: Tensor  # int64 [N, MOST_TARGETS], cells ``y * w + x``, -1: none
    actions: Tensor  # int64 [N, T], -1 past the end
    missions: list[str]


def shape_of(level: str) -> Shape:
    """Of a level, which was checked; what Minigrid gives an agent for one instruction is how long it may
    take."""
    environment = levels.make(level)
    reading.beginning(environment, 0)
    return Shape(environment.height, environment.width, environment.max_steps)


def kept(level: str, seeds: Sequence[int], shape: Shape, cache: Path) -> Demonstrations:
    """The demonstrations of these seeds, from ``cache`` where it has them; made and kept where not. What lies
    there and is damaged, or no demonstrations, is made anew, and that is told. `DataError` where nothing can
    be kept there, or the level cannot be walked."""
    made_of: dict[str, Any] = {
        "level": level,
        "seeds": hashlib.sha256(repr(list(seeds)).encode()).hexdigest(),
        "steps": shape.steps,
        "minigrid": importlib.metadata.version("minigrid"),
        "code": _code(),
    }
    fields = {
        "maps": Field((shape.height, shape.width), torch.uint8),
        "poses": Field((3,), torch.int64),
        "targets": Field((MOST_TARGETS,), torch.int64),
        "actions": Field((shape.steps,), torch.int64),
        "missions": Field((LONGEST,), torch.uint8),
    }

    def compute() -> Computed:
        return _rows(experts.demonstrations(level, seeds, shape.steps), shape)

    def read() -> Demonstrations:
        store = feature_store.keep(
            cache, made_of, len(seeds), fields, compute, title=f"demonstrations of {level}", key="data.cache"
        )
        every = torch.arange(len(seeds))
        found = {name: store.rows(name, every) for name in fields}
        _require_sound(found, shape)
        missions = [bytes(row.tolist()).rstrip(b"\0").decode() for row in found.pop("missions")]
        return Demonstrations(torch.tensor(seeds), missions=missions, **found)

    try:
        return read()
    except DataError as problem:
        folder = cache / feature_store.fingerprint({**made_of, "format": feature_store.VERSION})
        if not folder.is_dir():
            raise
        log.warning("%s\n  They are made anew.", str(problem).splitlines()[0])
        shutil.rmtree(folder)
        return read()


def _code() -> str:
    """A hash of what demonstrations are made with: when it changes, they are made anew."""
    digest = hashlib.sha256()
    for file in (__file__, experts.__file__, reading.__file__, rooms.__file__):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()


def _rows(made: Iterator[experts.Demonstration], shape: Shape) -> Computed:
    """In batches, as they are kept."""
    batch: list[dict[str, Tensor]] = []
    start = 0
    for one in made:
        batch.append(_row(one, shape))
        if len(batch) == _BATCH:
            yield _joined(start, batch)
            start, batch = start + len(batch), []
    if batch:
        yield _joined(start, batch)


def _joined(start: int, batch: list[dict[str, Tensor]]) -> tuple[list[int], dict[str, Tensor]]:
    numbers = list(range(start, start + len(batch)))
    return numbers, {name: torch.stack([row[name] for row in batch]) for name in batch[0]}


def _row(one: experts.Demonstration, shape: Shape) -> dict[str, Tensor]:
    text = one.begins.mission.encode()
    if len(text) > LONGEST or len(one.begins.targets) > MOST_TARGETS:
        raise DataError(
            f"data: {one.begins.mission!r} has {len(text)} bytes and means {len(one.begins.targets)} "
            f"objects; at most {LONGEST} and {MOST_TARGETS} are read"
        )
    return {
        "maps": torch.from_numpy(one.begins.cells),
        "poses": torch.tensor(one.begins.pose),
        "targets": _filled(one.begins.targets, MOST_TARGETS),
        "actions": _filled(one.actions, shape.steps),
        "missions": torch.tensor([*text, *[0] * (LONGEST - len(text))], dtype=torch.uint8),
    }


def _filled(numbers: Sequence[int], length: int) -> Tensor:
    return torch.tensor([*numbers, *[-1] * (length - len(numbers))])


def _require_sound(found: dict[str, Tensor], shape: Shape) -> None:
    """`DataError` where numbers are none that demonstrations have: what lies on a disk may be anybody's."""
    limits = torch.tensor([shape.width, shape.height, 4])
    poses, targets, actions = found["poses"], found["targets"], found["actions"]
    sound = bool(
        (found["maps"] < rooms.CODES).all()
        and ((poses >= 0) & (poses < limits)).all()
        and ((targets >= -1) & (targets < shape.height * shape.width)).all()
        and ((actions >= -1) & (actions <= rooms.STOP)).all()
        and (found["missions"] < 128).all()
    )
    if not sound:
        raise DataError("data: kept demonstrations hold numbers that no demonstration has")
