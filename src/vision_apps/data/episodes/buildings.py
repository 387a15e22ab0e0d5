"""Buildings as graphs: places to stand in, and which can be walked to from which.

In files of Matterport3D (Anderson et al. 2018, arXiv:1711.07280): ``<scan>_connectivity.json`` is a list of
viewpoints, each with its ``image_id``, whether it is ``included``, its ``pose`` (16 numbers, the rows of a 4
x 4 matrix, m, z up) and ``unobstructed``: for every viewpoint of the list whether it can be walked to.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision_apps.core.errors import DataError, some
from vision_apps.data.text import read_bytes

SUFFIX = "_connectivity.json"
MOST_VIEWPOINTS = 4096  # of a building: all distances between them take 134 MB; Matterport3D has 345 at most
_MOST_BYTES = MOST_VIEWPOINTS * MOST_VIEWPOINTS * 16  # of a file: two lists of true and false
_NAMED = 3  # in an error
_EXPECTED = "a list of viewpoints, each with image_id, included, pose (16 numbers) and unobstructed"


@dataclass(frozen=True)
class Building:
    """The viewpoints of one scan that are included, in the order of their file.

    Args:
        viewpoints: their names.
        positions: float64 [N, 3], x, y and z of the camera in m, z up.
        edges: bool [N, N], symmetric: who can be walked to from whom in one move.
    """

    scan: str
    viewpoints: tuple[str, ...]
    positions: Tensor
    edges: Tensor

    def __len__(self) -> int:
        return len(self.viewpoints)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Of each viewpoint, by its name."""
        return {name: number for number, name in enumerate(self.viewpoints)}

    @cached_property
    def moves(self) -> Tensor:
        """Lengths of single moves, float64 [N, N] in m, infinite where there is none."""
        straight = (self.positions[:, None] - self.positions).norm(dim=-1)
        return torch.where(self.edges, straight, torch.inf)

    @cached_property
    def distances(self) -> Tensor:
        """Lengths of the shortest ways, float64 [N, N] in m, infinite where there is none (Floyd 1962)."""
        found = self.moves.clone().fill_diagonal_(0)
        for middle in range(len(self)):
            found = found.minimum(found[:, middle, None] + found[middle])
        return found


def scans_in(folder: Path) -> list[str]:
    """The scans of which a folder has the graph, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))


def read_building(folder: Path, scan: str) -> Building:
    """The graph of a scan. `DataError`, which names the file and the viewpoint, where it is none."""
    path = folder / f"{scan}{SUFFIX}"
    rows = _rows(path)
    names = [row["image_id"] for row in rows]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path}: {some(doubled, _NAMED)} stand in it more than once; expected {_EXPECTED}")
    included = [number for number, row in enumerate(rows) if row["included"]]
    if not included:
        raise DataError(f"{path}: none of its {len(rows)} viewpoints is included; expected {_EXPECTED}")
    edges = torch.tensor([rows[number]["unobstructed"] for number in included])[:, included]
    edges.fill_diagonal_(False)
    for one, other in (edges & ~edges.T).nonzero().tolist():
        raise DataError(
            f"{path}: one can walk from {names[included[one]]} to {names[included[other]]} and not back; "
            "expected 'unobstructed' to be the same in both directions"
        )
    poses = torch.tensor([rows[number]["pose"] for number in included], dtype=torch.float64)
    return Building(scan, tuple(names[number] for number in included), poses[:, [3, 7, 11]], edges)


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise DataError(f"{path}: {size} bytes; expected at most {_MOST_BYTES}, {_EXPECTED}")
        rows = json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}; expected {_EXPECTED}") from error
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_VIEWPOINTS:
        what = f"{len(rows)} of them" if isinstance(rows, list) else "no list"
        raise DataError(f"{path}: {what}; expected {_EXPECTED}, at most {MOST_VIEWPOINTS}")
    for number, row in enumerate(rows):
        if problem := _problem(row, len(rows)):
            raise DataError(f"{path}, viewpoint {number}: {problem}; expected {_EXPECTED}")
    return rows


def _problem(row: Any, count: int) -> str | None:
    """What is wrong with a viewpoint of a file that has so many; none: nothing."""
    if not isinstance(row, dict):
        return f"it is {row!r:.80}"
    if not isinstance(row.get("image_id"), str) or not row["image_id"]:
        return f"its image_id is {row.get('image_id')!r:.80}"
    if not isinstance(row.get("included"), bool):
        return f"its included is {row.get('included')!r:.80}"
    pose, unobstructed = row.get("pose"), row.get("unobstructed")
    if not isinstance(pose, list) or len(pose) != 16 or not all(map(_is_number, pose)):
        return f"its pose is {pose!r:.80}"
    if not isinstance(unobstructed, list) or not all(isinstance(value, bool) for value in unobstructed):
        return f"its unobstructed is {unobstructed!r:.80}"
    if len(unobstructed) != count:
        return f"its unobstructed speaks of {len(unobstructed)} viewpoints, and the file has {count}"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def write_building(folder: Path, building: Building) -> None:
    """The file that `read_building` reads."""
    rows = []
    for name, position, edges in zip(
        building.viewpoints, building.positions.tolist(), building.edges.tolist(), strict=True
    ):
        x, y, z = position
        pose = [1.0, 0.0, 0.0, x, 0.0, 1.0, 0.0, y, 0.0, 0.0, 1.0, z, 0.0, 0.0, 0.0, 1.0]
        row: Mapping[str, object] = {
            "image_id": name,
            "pose": pose,
            "included": True,
            "visible": edges,
            "unobstructed": edges,
            "height": 1.5,
        }
        rows.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{building.scan}{SUFFIX}").write_text(json.dumps(rows), encoding="utf-8")
