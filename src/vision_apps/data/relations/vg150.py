"""Visual Genome's 150 most frequent classes and 50 predicates as Xu et al. (CVPR 2017) cleaned them:
``VG-SGG.h5``, ``VG-SGG-dicts.json`` and ``image_data.json``.

The arrays ``labels``, ``boxes_1024`` (centre, width, height where the longer side has 1024 px) and
``relationships``, ``predicates`` are of all pictures; ``img_to_first_box``, ``img_to_last_box`` (inclusive,
-1 of none) and the same of ``rel`` say which are a picture's. Classes and predicates count from 1. Pictures
come in the order of ``image_data.json``.
"""

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.data.boxes.annotation import Annotation, annotation
from vision_apps.data.relations.annotation import Annotated, OnBadRelation, related
from vision_apps.data.relations.data import RelationData
from vision_apps.data.relations.fakes import CLASS_NAMES, PREDICATE_NAMES, FakeGraph, fake_graphs
from vision_apps.data.relations.reading import Hdf5Arrays, numbered_names, read_json, whole

_SIDE = 1024  # px of the longer side, in which boxes are
_SPLITS: dict[int, Split] = {0: "train", 2: "test"}  # the numbers in ``split``
_BROKEN = {1592, 1722, 4616, 4617}  # ids of pictures that no array has: their files are damaged
_FOLDERS = ("VG_100K", "VG_100K_2", "images", "")


class VG150(RelationData):
    """Visual Genome as scene graphs are compared on it. It has a test split; pictures to choose a checkpoint
    with are ``val_fraction`` of the training pictures, where the published codes take the first 5,000.

    Args:
        only_related: as the published codes, which leave out pictures without a relation.
    """

    title = "Visual Genome with 150 classes"
    layout = (
        "root/VG-SGG.h5, root/VG-SGG-dicts.json, root/image_data.json, and the pictures in root/VG_100K and "
        "root/VG_100K_2, or root/images"
    )
    remedy = (
        "Its pictures belong to their Flickr authors, so it is not fetched for you: 15 GB images.zip and "
        "images2.zip from https://homes.cs.washington.edu/~ranjay/visualgenome; the three files as "
        "scene-graph codes link them; then data.root=/path/to/it"
    )

    def __init__(
        self,
        root: str,
        *,
        val_fraction: float = 0.05,
        on_bad_relation: OnBadRelation = "drop",
        only_related: bool = True,
        **boxes: Any,
    ) -> None:
        super().__init__(
            root,
            val_fraction=val_fraction,
            on_bad_relation=on_bad_relation,
            only_related=only_related,
            **boxes,
        )

    def read_graphs(self) -> Annotated:
        places = [self.root / name for name in ("VG-SGG.h5", "VG-SGG-dicts.json", "image_data.json")]
        for file in places:
            if not file.is_file():
                raise self.problem(f"there is no file {file.absolute()}")
        names = read_json(places[1], "an object with idx_to_label and idx_to_predicate")
        if not isinstance(names, dict):
            raise DataError(f"{places[1]}: expected an object with idx_to_label and idx_to_predicate")
        classes, predicates = (
            numbered_names(names.get(key), f"{places[1]}, {key!r}")
            for key in ("idx_to_label", "idx_to_predicate")
        )
        self.first_predicate = 1
        with Hdf5Arrays(places[0]) as arrays:
            split = arrays.read("split")
            pictures = self._pictures(places[2], len(split))
            splits = _annotations(arrays, split, pictures, len(classes))
        return Annotated(classes, predicates, splits)

    def _pictures(self, file: Path, count: int) -> list[tuple[str, int, int, int]]:
        """Path, id, width and height of each picture that the arrays have."""
        entries = read_json(file, "a list of pictures with image_id, width and height")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{file}: expected a list of pictures with image_id, width and height")
        if len(entries) != count:
            entries = [entry for entry in entries if entry.get("image_id") not in _BROKEN]
        if len(entries) != count:
            raise DataError(
                f"{file}: {len(entries)} pictures, and VG-SGG.h5 is about {count}: expected the file that "
                "belongs to it, whose pictures are in the same order"
            )
        return [self._picture(entry, f"{file}, entry {number}") for number, entry in enumerate(entries)]

    def _picture(self, entry: dict[str, Any], source: str) -> tuple[str, int, int, int]:
        number, width, height = (
            whole(entry.get(key), f"{source}: {key!r}") for key in ("image_id", "width", "height")
        )
        if min(width, height) < 1:
            raise DataError(f"{source}: {width} x {height}; expected a size in pixels")
        paths = [self.root / folder / f"{number}.jpg" for folder in _FOLDERS]
        path = next((path for path in paths if self.disk.find(path)), paths[0])
        return str(path), number, width, height

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """The three files and two folders of pictures."""
        train, test = fake_graphs(18, size, 0), fake_graphs(12, size, 1)
        _write_fake(root, [*((graph, 0) for graph in train), *((graph, 2) for graph in test)])
        return {"root": str(root), "image_size": size, "val_fraction": 0.25}


def _annotations(
    arrays: Hdf5Arrays, split: np.ndarray, pictures: list[tuple[str, int, int, int]], classes: int
) -> dict[Split, list[Annotation]]:
    labels, predicates = arrays.read("labels", 1) - 1, arrays.read("predicates", 1) - 1
    boxes = arrays.read("boxes_1024", 4, len(labels)).astype(np.float64)
    boxes = np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])
    relations = arrays.read("relationships", 2, len(predicates))
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(f"{arrays.path}, 'labels': expected 1 to {classes}, as many as there are classes")
    if unknown := sorted(set(split.tolist()) - _SPLITS.keys()):
        raise DataError(f"{arrays.path}, 'split': {some(unknown, 3)}; expected 0 (train) or 2 (test)")
    rows_of = {kind: _ranges(arrays, kind, len(split), n) for kind, n in _counts(labels, predicates)}
    splits: dict[Split, list[Annotation]] = {"train": [], "test": []}
    for row, (path, number, width, height) in enumerate(pictures):
        (first, last), (start, end) = rows_of["box"][row], rows_of["rel"][row]
        item = annotation(
            path,
            (height, width),
            (boxes[first:last] * (max(width, height) / _SIDE)).tolist(),
            labels[first:last].tolist(),
            image_id=number,
            source=f"{arrays.path}, picture {number}",
        )
        own = np.column_stack([relations[start:end] - first, predicates[start:end]])
        splits[_SPLITS[int(split[row])]].append(related(item, own.tolist()))
    return {name: items for name, items in splits.items() if items}


def _counts(labels: np.ndarray, predicates: np.ndarray) -> list[tuple[str, int]]:
    return [("box", len(labels)), ("rel", len(predicates))]


def _ranges(arrays: Hdf5Arrays, kind: str, pictures: int, most: int) -> list[tuple[int, int]]:
    """Where the rows of each picture begin and end."""
    first, last = (arrays.read(f"img_to_{end}_{kind}", rows=pictures) for end in ("first", "last"))
    none = (first == -1) & (last == -1)
    if not (none | ((first >= 0) & (first <= last) & (last < most))).all():
        raise DataError(
            f"{arrays.path}, 'img_to_first_{kind}' and 'img_to_last_{kind}': a picture has rows that are not "
            f"there; expected -1, or numbers from 0 to {most - 1}"
        )
    return [
        (0, 0) if gone else (int(start), int(end) + 1)
        for start, end, gone in zip(first, last, none, strict=True)
    ]


def _write_fake(root: Path, graphs: list[tuple[FakeGraph, int]]) -> None:
    """Ids have gaps, and a picture is listed that no array has."""
    for folder in _FOLDERS[:2]:
        (root / folder).mkdir(parents=True)
    listed: list[dict[str, object]] = [{"image_id": 1592, "width": 8, "height": 8}]
    columns: dict[str, list[Any]] = {
        name: [] for name in ("labels", "boxes_1024", "relationships", "predicates")
    }
    ends: dict[str, list[int]] = {
        f"img_to_{end}_{kind}": [] for end in ("first", "last") for kind in ("box", "rel")
    }
    for row, (graph, _) in enumerate(graphs):
        (width, height), number = graph.picture.image.size, 3 * row + 2
        listed.append({"image_id": number, "width": width, "height": height})
        graph.picture.image.save(os.path.join(root, _FOLDERS[row % 2], f"{number}.jpg"))
        before = len(columns["labels"])
        scale = _SIDE / max(width, height)
        for (x1, y1, x2, y2), label in zip(graph.picture.boxes, graph.picture.labels, strict=True):
            wide, high = round((x2 - x1) * scale), round((y2 - y1) * scale)
            columns["boxes_1024"].append(
                [int(x1 * scale) + wide // 2, int(y1 * scale) + high // 2, wide, high]
            )
            columns["labels"].append([label + 1])
        for kind, found in (("box", len(graph.picture.labels)), ("rel", len(graph.relations))):
            start = before if kind == "box" else len(columns["predicates"])
            ends[f"img_to_first_{kind}"].append(start if found else -1)
            ends[f"img_to_last_{kind}"].append(start + found - 1 if found else -1)
        columns["relationships"] += [[before + one, before + other] for one, other, _ in graph.relations]
        columns["predicates"] += [[said + 1] for _, _, said in graph.relations]
    with h5py.File(root / "VG-SGG.h5", "w") as file:
        file["split"] = np.array([split for _, split in graphs], np.int32)
        for name, values in {**columns, **ends}.items():
            file[name] = np.array(values, np.int32)
    names = {"idx_to_label": CLASS_NAMES, "idx_to_predicate": PREDICATE_NAMES}
    numbered = {key: {str(n): name for n, name in enumerate(own, 1)} for key, own in names.items()}
    (root / "VG-SGG-dicts.json").write_text(json.dumps(numbered), encoding="utf-8")
    (root / "image_data.json").write_text(json.dumps(listed), encoding="utf-8")
