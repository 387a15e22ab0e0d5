"""Visual Relationship Detection (Lu et al., ECCV 2016): ``annotations_{train,test}.json``, ``objects.json``
and ``predicates.json``.

A picture's name has a list of relations, each with ``subject`` and ``object`` (``category`` and ``bbox`` as
ymin, ymax, xmin, xmax) and ``predicate``; an object stands in every relation that it has, and equal ones are
the same.
"""

import json
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.boxes.annotation import Annotation, annotation
from vision_apps.data.relations.annotation import Annotated, OnBadRelation, related
from vision_apps.data.relations.data import RelationData
from vision_apps.data.relations.fakes import CLASS_NAMES, PREDICATE_NAMES, fake_graphs
from vision_apps.data.relations.reading import names_of, numbers, read_json, whole

_SPLITS: tuple[Split, ...] = ("train", "test")


class Vrd(RelationData):
    """The VRD data set. It has a test split; ``val_fraction`` of the training pictures validate."""

    title = "VRD"
    layout = (
        "root/annotations_{train,test}.json, root/objects.json, root/predicates.json, and the pictures in "
        "root/sg_train_images and root/sg_test_images"
    )
    remedy = (
        "It is not fetched for you: json_dataset.zip and sg_dataset.zip (2 GB) of "
        "https://cs.stanford.edu/people/ranjaykrishna/vrd; unzip them into one folder, then "
        "data.root=/path/to/it"
    )

    def __init__(self, root: str, *, on_bad_relation: OnBadRelation = "drop", **boxes: Any) -> None:
        super().__init__(root, on_bad_relation=on_bad_relation, **boxes)

    def read_graphs(self) -> Annotated:
        names = []
        for kind in ("objects", "predicates"):
            file = self._file(f"{kind}.json")
            values = read_json(file, "a list of names")
            names.append(names_of(values, str(file), predicates=kind == "predicates"))
        splits = {split: self._pictures(split, len(names[0])) for split in _SPLITS}
        return Annotated(names[0], names[1], splits)

    def _file(self, name: str) -> Path:
        if not (self.root / name).is_file():
            raise self.problem(f"there is no file {(self.root / name).absolute()}")
        return self.root / name

    def _pictures(self, split: Split, classes: int) -> list[Annotation]:
        file = self._file(f"annotations_{split}.json")
        content = read_json(file, "an object of lists by the names of pictures")
        if not isinstance(content, dict):
            raise DataError(f"{file}: expected an object of lists by the names of pictures")
        folder = self.root / f"sg_{split}_images"
        return [_picture(folder / name, told, f"{file}, {name}", classes) for name, told in content.items()]

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """The four files and two folders."""
        for seed, split in enumerate(_SPLITS):
            folder = root / f"sg_{split}_images"
            folder.mkdir(parents=True)
            content: dict[str, list[dict[str, object]]] = {}
            for number, (picture, relations) in enumerate(fake_graphs(18, size, seed)):
                name = f"{seed}{number:05d}.jpg"
                picture.image.save(folder / name)
                objects = [
                    {"category": label, "bbox": [y1, y2, x1, x2]}
                    for label, (x1, y1, x2, y2) in zip(picture.labels, picture.boxes, strict=True)
                ]
                content[name] = [
                    {"predicate": said, "subject": objects[one], "object": objects[other]}
                    for one, other, said in relations
                ]
            (root / f"annotations_{split}.json").write_text(json.dumps(content), encoding="utf-8")
        (root / "objects.json").write_text(json.dumps(CLASS_NAMES), encoding="utf-8")
        (root / "predicates.json").write_text(json.dumps(PREDICATE_NAMES), encoding="utf-8")
        return {"root": str(root), "image_size": size, "val_fraction": 0.25}


def _picture(path: Path, told: object, source: str, classes: int) -> Annotation:
    if not isinstance(told, list) or not all(isinstance(relation, dict) for relation in told):
        raise DataError(f"{source}: expected a list of relations with subject, object and predicate")
    objects: dict[tuple[int, tuple[float, ...]], int] = {}
    rows = []
    for relation in told:
        ends = []
        for key in ("subject", "object"):
            one = relation.get(key)
            if not isinstance(one, dict):
                raise DataError(f"{source}: a relation has no {key!r} with 'category' and 'bbox'")
            label = whole(one.get("category"), f"{source}, 'category'")
            if not 0 <= label < classes:
                raise DataError(
                    f"{source}: category {label}; expected 0 to {classes - 1}, as in objects.json"
                )
            y1, y2, x1, x2 = numbers(one.get("bbox"), 4, f"{source}, 'bbox'")
            ends.append(objects.setdefault((label, (x1, y1, x2, y2)), len(objects)))
        rows.append([*ends, whole(relation.get("predicate"), f"{source}, 'predicate'")])
    item = annotation(
        path,
        (0, 0),
        [box for _, box in objects],
        [label for label, _ in objects],
        image_id=path.name,
        source=source,
    )
    return related(item, rows)
