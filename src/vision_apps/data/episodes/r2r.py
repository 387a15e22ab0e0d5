"""R2R and RxR in their own files, and generated buildings in theirs."""

import gzip
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from vision_apps.core.data import Split
from vision_apps.core.errors import require_no
from vision_apps.data.episodes.buildings import write_building
from vision_apps.data.episodes.generated_building import Furnished, furnished, route_rows, walks
from vision_apps.data.episodes.graph_data import GraphEpisodes
from vision_apps.data.episodes.view_features import Place, write_hdf5, write_tsv

log = logging.getLogger(__name__)

R2R_FILES: dict[Split, str] = {
    "train": "R2R_train.json",
    "val": "R2R_val_seen.json",
    "test": "R2R_val_unseen.json",
}
RXR_FILES: dict[Split, str] = {
    "train": "rxr_train_guide.jsonl.gz",
    "val": "rxr_val_seen_guide.jsonl.gz",
    "test": "rxr_val_unseen_guide.jsonl.gz",
}
_FAKE = {"buildings": 2, "test_buildings": 1, "routes": 8, "val_routes": 4}
Rows = Mapping[Split, list[dict[str, Any]]]


class R2R(GraphEpisodes):
    """Room-to-Room (Anderson et al. 2018, arXiv:1711.07280). Measured is in buildings that were never seen;
    what is chosen is chosen on other routes in the buildings of training."""

    title = "R2R"
    layout = "root/connectivity/<scan>_connectivity.json, the files of data.files, and that of data.features"
    remedy = "Say where it is: data.root=/path/to/it    Where it comes from: docs/applications/navigation.md"

    @classmethod
    def fake(cls, root: Path, **sizes: int) -> dict[str, Any]:
        """Three small generated buildings."""
        houses, rows = generated(**{**_FAKE, **sizes})
        write_buildings(root, houses)
        write_r2r(root, rows)
        write_tsv(root / "features.tsv", views_of(houses))
        return {
            "root": str(root),
            "files": R2R_FILES,
            "features": "features.tsv",
            "image_size": 64,
            "least_word": 1,
        }


class RxR(R2R):
    """Room-across-Room (Ku et al. 2020, arXiv:2010.07954): longer paths, which are no shortest ones, and
    instructions in three languages."""

    title = "RxR"

    @classmethod
    def fake(cls, root: Path, **sizes: int) -> dict[str, Any]:
        given = super().fake(root, **sizes)
        for split, name in R2R_FILES.items():
            lines = []
            for row in json.loads((root / name).read_text(encoding="utf-8")):
                shared = {key: row[key] for key in ("path_id", "scan", "heading", "path")}
                for number, text in enumerate(row["instructions"]):
                    own = {"instruction_id": 3 * row["path_id"] + number, "language": "en-US"}
                    lines.append(json.dumps({**shared, **own, "split": split, "instruction": text}))
            (root / RXR_FILES[split]).write_bytes(gzip.compress("\n".join(lines).encode()))
            (root / name).unlink()
        (root / "features.tsv").unlink()
        write_hdf5(root / "features.hdf5", views_of(generated(**{**_FAKE, **sizes})[0]))
        return given | {"files": RXR_FILES, "features": "features.hdf5"}


class GeneratedBuildings(R2R):
    """Buildings that are made up, written below ``folder`` in the files of R2R where they are not there yet.

    Args:
        buildings, test_buildings: to train in, and others to test in.
        routes, val_routes: of each building; three instructions to each.
        world_seed: another one gives other buildings.
    """

    title = "generated buildings"
    remedy = "Remove the folder: it is written anew"

    def __init__(
        self,
        folder: str,
        *,
        buildings: int = 24,
        test_buildings: int = 8,
        routes: int = 60,
        val_routes: int = 12,
        world_seed: int = 0,
        **episodes: Any,
    ) -> None:
        self.sizes = {
            "buildings": buildings,
            "test_buildings": test_buildings,
            "routes": routes,
            "val_routes": val_routes,
        }
        require_no(
            f"data.{name}: {size}; expected at least 1" for name, size in self.sizes.items() if size < 1
        )
        self.world_seed = world_seed
        super().__init__(folder, **episodes)
        name = "-".join(map(str, (world_seed, *self.sizes.values())))
        self.root = self.root / f"seed-{name}"

    def prepare_data(self) -> None:
        if not self.root.is_dir():
            self._write()
        super().prepare_data()

    def _write(self) -> None:
        """Whole or not at all: of several processes the last one's is the same as the first one's."""
        log.info("writing generated buildings to %s", self.root)
        self.root.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".writing-", dir=self.root.parent))
        houses, rows = generated(self.world_seed, **self.sizes)
        write_buildings(unfinished, houses)
        write_r2r(unfinished, rows)
        write_tsv(unfinished / self.features, views_of(houses))
        try:
            os.rename(unfinished, self.root)
        except OSError:
            shutil.rmtree(unfinished)
            if not self.root.is_dir():
                raise

    @classmethod
    def fake(cls, root: Path, **sizes: int) -> dict[str, Any]:
        given = {"files": R2R_FILES, "features": "features.tsv", "least_word": 1, "image_size": 64}
        return {"folder": str(root), **given, **_FAKE, **sizes}


def generated(
    seed: int = 0, *, buildings: int, test_buildings: int, routes: int, val_routes: int
) -> tuple[list[Furnished], Rows]:
    """Buildings, and the entries of R2R's files: training and validation have different routes through the
    same buildings, the test has others."""
    houses = [furnished(seed, number) for number in range(buildings + test_buildings)]
    rows: dict[Split, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    number = 0
    for which, house in enumerate(houses):
        found = walks(seed, house, routes + val_routes)
        if which < buildings:
            parts: dict[Split, Any] = {"train": found[val_routes:], "val": found[:val_routes]}
        else:
            parts = {"test": found[:val_routes]}
        for split, own in parts.items():
            rows[split] += route_rows(house, own, number)
            number += len(own)
    return houses, rows


def views_of(houses: Sequence[Furnished]) -> dict[Place, Tensor]:
    return {place: own for house in houses for place, own in house.views.items()}


def write_buildings(root: Path, houses: Sequence[Furnished]) -> None:
    for house in houses:
        write_building(root / "connectivity", house.building)


def write_r2r(root: Path, rows: Rows) -> None:
    """The files of instructions, and as in R2R one of starts without goals."""
    for split, name in R2R_FILES.items():
        (root / name).write_text(json.dumps(rows[split]), encoding="utf-8")
    secret = [{**row, "path": row["path"][:1], "path_id": 10**6 + row["path_id"]} for row in rows["test"]]
    (root / "R2R_test.json").write_text(json.dumps(secret), encoding="utf-8")
