"""Panoptic scene graphs (Yang et al., ECCV 2022): ``psg.json``. Of the objects the boxes are read, not the
masks.

``data`` has a picture in each entry: ``file_name``, ``width``, ``height``, ``annotations`` (``bbox`` in
``bbox_mode`` 0: corners, or 1: corner, width, height; ``category_id``) and ``relations`` [subject, object,
predicate], all from 0. Classes are ``thing_classes`` and after them ``stuff_classes``.
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
from vision_apps.data.relations.reading import names_of, numbers, read_json, triplets, whole

_CORNERS, _SIDES = 0, 1  # bbox_mode


class Psg(RelationData):
    """The PSG data set: COCO's pictures. Those of ``test_image_ids`` are the test split; ``val_fraction`` of
    the others validate.

    Args:
        psg_json: below ``root``.
    """

    title = "PSG"
    layout = "root/psg.json and COCO's pictures in root/train2017 and root/val2017"
    remedy = (
        "It is not fetched for you: psg.json as https://psgdataset.org links it, 19 GB train2017.zip and 1 "
        "GB val2017.zip from https://cocodataset.org/#download; then data.root=/path/to/it"
    )

    def __init__(
        self,
        root: str,
        *,
        psg_json: str = "psg.json",
        on_bad_relation: OnBadRelation = "drop",
        **boxes: Any,
    ) -> None:
        super().__init__(root, on_bad_relation=on_bad_relation, **boxes)
        self.psg_json = psg_json

    def read_graphs(self) -> Annotated:
        file = self.root / self.psg_json
        if not file.is_file():
            raise self.problem(f"there is no file {file.absolute()}")
        content = read_json(file, "an object with 'data' and the names of classes")
        if not isinstance(content, dict) or not isinstance(content.get("data"), list):
            raise DataError(f"{file}: expected an object with a list 'data'")
        names = names_of(
            [
                name
                for key in ("thing_classes", "stuff_classes")
                for name in names_of(content.get(key), f"{file}, {key!r}")
            ],
            f"{file}, 'thing_classes' and 'stuff_classes'",
        )
        predicates = names_of(
            content.get("predicate_classes"), f"{file}, 'predicate_classes'", predicates=True
        )
        tested = content.get("test_image_ids")
        if not isinstance(tested, list):
            raise DataError(f"{file}: expected a list 'test_image_ids'")
        test = {str(number) for number in tested}
        splits: dict[Split, list[Annotation]] = {"train": [], "test": []}
        for number, entry in enumerate(content["data"]):
            item = _picture(self.root, entry, f"{file}, entry {number}", len(names))
            splits["test" if str(item.image_id) in test else "train"].append(item)
        return Annotated(names, predicates, {split: items for split, items in splits.items() if items})

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """One file and the folders of COCO; the second class is one of stuff."""
        entries, test = [], []
        for seed, folder in enumerate(("train2017", "val2017")):
            (root / folder).mkdir(parents=True)
            for number, (picture, relations) in enumerate(fake_graphs(18, size, seed)):
                name, (width, height) = f"{folder}/{number:012d}.jpg", picture.image.size
                picture.image.save(root / name)
                objects = [
                    {"bbox": box, "bbox_mode": _CORNERS, "category_id": label}
                    for box, label in zip(picture.boxes, picture.labels, strict=True)
                ]
                image_id = f"{seed}{number:05d}"
                test += [image_id] if seed else []
                entries.append(
                    {
                        "file_name": name,
                        "width": width,
                        "height": height,
                        "image_id": image_id,
                        "annotations": objects,
                        "relations": relations,
                    }
                )
        content = {
            "data": entries,
            "thing_classes": CLASS_NAMES[:1],
            "stuff_classes": CLASS_NAMES[1:],
            "predicate_classes": PREDICATE_NAMES,
            "test_image_ids": test,
        }
        (root / "psg.json").write_text(json.dumps(content), encoding="utf-8")
        return {"root": str(root), "image_size": size, "val_fraction": 0.25}


def _picture(root: Path, entry: object, source: str, classes: int) -> Annotation:
    if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
        raise DataError(f"{source}: expected a picture with 'file_name', 'annotations' and 'relations'")
    name = entry["file_name"]
    source = f"{source} ({name})"
    objects = entry.get("annotations")
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        raise DataError(f"{source}: expected a list of objects under 'annotations'")
    boxes, labels = [], []
    for one in objects:
        x1, y1, x2, y2 = numbers(one.get("bbox"), 4, f"{source}, 'bbox'")
        mode = one.get("bbox_mode", _CORNERS)
        if mode not in (_CORNERS, _SIDES):
            raise DataError(f"{source}: bbox_mode {mode!r}; expected 0 (corners) or 1 (corner and sides)")
        boxes.append([x1, y1, x2, y2] if mode == _CORNERS else [x1, y1, x1 + x2, y1 + y2])
        labels.append(whole(one.get("category_id"), f"{source}, 'category_id'"))
        if not 0 <= labels[-1] < classes:
            raise DataError(f"{source}: category_id {labels[-1]}; expected 0 to {classes - 1}")
    height, width = (whole(entry.get(key), f"{source}, {key!r}") for key in ("height", "width"))
    number = entry.get("image_id", name)
    if not isinstance(number, int | str):
        raise DataError(f"{source}: image_id {number!r:.80}; expected a number or a text")
    item = annotation(root / name, (height, width), boxes, labels, image_id=number, source=source)
    return related(item, triplets(entry.get("relations"), f"{source}, 'relations'"))
