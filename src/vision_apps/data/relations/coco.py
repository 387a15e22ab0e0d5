"""COCO's JSON with relations: a ``rel.json`` beside it, as RelTR (Cong et al. 2023) has it, or lists
``rel_annotations`` and ``rel_categories`` in the same file, as SGG-Benchmark writes them.

``rel.json`` is {"train": {"<image id>": [[subject, object, predicate], ...]}, ..., "rel_categories": [...]};
subject and object count the picture's annotations from 0 in the order of the file. Where the first name is
that of the background, predicates count from 1, else from 0. An entry of ``rel_annotations`` has
``subject_id`` and ``object_id``, ids of annotations, and ``predicate_id``, one of ``rel_categories``.
"""

import json
from pathlib import Path
from typing import Any

from vision_apps.core.data import SPLITS, Split
from vision_apps.core.errors import DataError
from vision_apps.core.spelling import alike
from vision_apps.data.boxes.annotation import Annotation
from vision_apps.data.boxes.coco import CocoJson, to_json
from vision_apps.data.named_splits import SPLIT_NAMES
from vision_apps.data.relations.annotation import BACKGROUND, Annotated, related
from vision_apps.data.relations.data import RelationData
from vision_apps.data.relations.fakes import CLASS_NAMES, PREDICATE_NAMES, fake_graphs
from vision_apps.data.relations.reading import names_of, read_json, triplets, whole

_FILES = ("rel.json", "annotations/rel.json")


class CocoRelations(RelationData, CocoJson):
    """Pictures with boxes and relations in COCO's JSON: see `CocoJson` for the files of boxes.

    Args:
        relations_json: below ``root``; by default ``rel.json`` there or in ``annotations``, and where there
            is none ``rel_annotations`` in the files of boxes.
    """

    title = "COCO annotations with relations"
    layout = (
        "root/annotations/{train,val,test}.json (or one file of which val and test are held out) as COCO has "
        "them, with 'rel_annotations' and 'rel_categories' in them or a root/rel.json beside them"
    )

    def __init__(self, root: str, *, relations_json: str | None = None, **boxes: Any) -> None:
        super().__init__(root, **boxes)
        self.relations_json = relations_json

    def read_graphs(self) -> Annotated:
        given = self.relations_json
        places = [self.root / name for name in (_FILES if given is None else (given,))]
        file = next((place for place in places if place.is_file()), None)
        if file is None and given is not None:
            raise self.problem(f"data.relations_json: there is no file {places[0].absolute()}")
        class_names, splits = CocoJson.read(self)
        if file is not None:
            self.first_predicate, predicate_names, splits = _beside(file, splits)
            return Annotated(class_names, predicate_names, splits)
        names: list[str] | None = None
        for split, own in self.files().items():
            found, splits[split] = _within(own, splits[split], self.predicate_numbers)
            if names is not None and found != names:
                raise DataError(
                    f"{own}: its 'rel_categories' are {', '.join(found)}; those to train on are "
                    f"{', '.join(names)}: all files of a data set need the same"
                )
            names = found
        return Annotated(class_names, names or [], splits)

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """As `CocoJson` has it, and a ``rel.json``."""
        (root / "annotations").mkdir(parents=True)
        relations: dict[str, Any] = {"rel_categories": ["__background__", *PREDICATE_NAMES]}
        for seed, split in enumerate(SPLITS):
            (root / "images" / split).mkdir(parents=True)
            rows, relations[split] = [], {}
            for number, graph in enumerate(fake_graphs(12, size, seed)):
                name, (width, height) = f"{seed}{number:05d}.jpg", graph.picture.image.size
                graph.picture.image.save(root / "images" / split / name)
                objects = [{**one, "ignored": False} for one in graph.picture.objects(CLASS_NAMES)]
                rows.append({"file": name, "width": width, "height": height, "objects": objects})
                told = [[one, other, said + 1] for one, other, said in graph.relations]
                relations[split][str(3 * (number + 1))] = told  # the id that the picture gets below
            (root / "annotations" / f"{split}.json").write_bytes(to_json(rows, CLASS_NAMES, id_step=3))
        (root / "rel.json").write_text(json.dumps(relations), encoding="utf-8")
        return {"root": str(root), "image_size": size}


def _beside(
    file: Path, splits: dict[Split, list[Annotation]]
) -> tuple[int, list[str], dict[Split, list[Annotation]]]:
    """The number of the first predicate, their names, and the pictures with the relations of a
    ``rel.json``."""
    content = read_json(file, "an object with 'rel_categories' and lists of relations by split")
    if not isinstance(content, dict):
        raise DataError(f"{file}: expected an object with 'rel_categories' and lists of relations by split")
    names = names_of(content.get("rel_categories"), f"{file}, 'rel_categories'", predicates=True)
    shift = int(names[0].lower() in BACKGROUND)
    found: dict[Split, list[Annotation]] = {}
    for split, items in splits.items():
        key = next((name for name in SPLIT_NAMES[split] if name in content), split)
        told = content.get(key)
        if not isinstance(told, dict):
            raise DataError(f"{file}, {key!r}: expected an object of lists by the ids of pictures")
        known = {str(item.image_id): item for item in items}
        if unknown := next((number for number in told if number not in known), None):
            raise DataError(
                f"{file}, {key!r}: relations of picture {unknown}, which the file of boxes of {split} has not"
            )
        rows = {number: triplets(own, f"{file}, {key!r}, picture {number}") for number, own in told.items()}
        found[split] = [
            related(item, [[one, other, said - shift] for one, other, said in rows.get(number, ())])
            for number, item in known.items()
        ]
    return shift, names[shift:], found


def _within(
    file: Path, items: list[Annotation], numbers: list[int | str]
) -> tuple[list[str], list[Annotation]]:
    """The names of the predicates, and the pictures with the relations of the file of their boxes.

    Args:
        numbers: of the predicates in the file; those that are not in it yet are added, and behind them those
            that relations have and that there are not.
    """
    content = read_json(file, "an object with 'rel_annotations' and 'rel_categories'")
    entries, categories = content.get("rel_annotations"), content.get("rel_categories")
    if not isinstance(entries, list) or not isinstance(categories, list):
        raise DataError(
            f"{file}: it has no lists 'rel_annotations' and 'rel_categories', and there is no rel.json; "
            "bring one of both, or name it: data.relations_json=my.json"
        )
    by_number = {
        whole(_of(entry, "id", file, "rel_categories"), f"{file}, 'rel_categories'"): alike(
            str(_of(entry, "name", file, "rel_categories"))
        )
        for entry in categories
    }
    order = [number for number in sorted(by_number) if by_number[number].lower() not in BACKGROUND]
    numbers += order if not numbers else []
    predicates: dict[int | str, int] = {number: row for row, number in enumerate(order)}
    places: dict[Any, tuple[Any, int]] = {}  # of each annotation its picture and its number there
    counts: dict[Any, int] = {}
    for one in content["annotations"]:
        number = counts[one["image_id"]] = counts.get(one["image_id"], -1) + 1
        places[one["id"]] = (one["image_id"], number)
    rows: dict[Any, list[list[int]]] = {item.image_id: [] for item in items}
    for entry in entries:
        ends = [_of(entry, key, file, "rel_annotations") for key in ("subject_id", "object_id")]
        picture, said = (_of(entry, key, file, "rel_annotations") for key in ("image_id", "predicate_id"))
        if picture not in rows:
            raise DataError(f"{file}, 'rel_annotations': image_id {picture!r} is not in 'images'")
        own = [
            place if there == picture else -1
            for there, place in (places.get(end, (None, -1)) for end in ends)
        ]
        if said not in predicates:  # a row past the others, by which its number is told
            if said not in numbers[len(order) :]:
                numbers.append(said)
            predicates[said] = numbers.index(said, len(order))
        rows[picture].append([*own, predicates[said]])
    return [by_number[number] for number in order], [related(item, rows[item.image_id]) for item in items]


def _of(entry: object, key: str, file: Path, name: str) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get(key), int | str):
        raise DataError(f"{file}, {name!r}: an entry has no {key!r}")
    return entry[key]
