"""Boxes in COCO's JSON (Lin et al. 2014): such files, the public COCO, and how predictions are written."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from vision_apps.core.data import SPLITS, Split
from vision_apps.core.errors import DataError
from vision_apps.data.boxes.annotation import Annotated, Annotation
from vision_apps.data.boxes.coco_content import parsed, read_content, used_categories
from vision_apps.data.boxes.coco_layout import elsewhere, json_files, located, pictures_folder
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.fakes import CLASS_NAMES, fake_pictures


class CocoJson(BoxData):
    """Pictures with boxes in COCO's JSON: a file per split, or one of which the other splits are held out.

    Args:
        train_json, val_json, test_json: below ``root``; looked for under the usual names where null.
        images: folder of the pictures, below ``root``; by default the first of ``images/<split>``,
            ``images``, ``<split>`` and the JSON's own folder that has them.
    """

    title = "COCO annotations"
    layout = (
        "root/annotations/{train,val,test}.json (or train.json, train/_annotations.coco.json, or one "
        "annotations.json of which val and test are held out) with 'images', 'annotations' and 'categories'"
    )
    remedy = "Say where it is: data.root=/path/to/it    Or name the files: data.train_json=my.json"

    def __init__(
        self,
        root: str,
        *,
        train_json: str | None = None,
        val_json: str | None = None,
        test_json: str | None = None,
        images: str | None = None,
        **boxes: Any,
    ) -> None:
        super().__init__(root, **boxes)
        self.given: dict[Split, str | None] = {"train": train_json, "val": val_json, "test": test_json}
        self.images = images

    def files(self) -> dict[Split, Path]:
        """The JSON file of each split that has one."""
        given: dict[Split, Path] = {}
        for split, name in self.given.items():
            if name is not None:
                given[split] = self.root / name
                if not given[split].is_file():
                    raise self.problem(f"data.{split}_json: there is no file {given[split].absolute()}")
        found = json_files(self.root) | given
        if "train" not in found:
            raise self.problem(f"there is no JSON file to train on{elsewhere(self.root)}")
        return {split: found[split] for split in SPLITS if split in found}

    def folder(self, split: Split, file: Path, names: Sequence[str]) -> Path:
        """Where the pictures of a split are, given its JSON file and their names there."""
        if self.images is not None:
            return self.root / self.images
        return pictures_folder(self.root, split, file, names)

    def read(self) -> Annotated:
        contents = {split: (file, parsed(file)) for split, file in self.files().items()}
        used = {number for _, content in contents.values() for number in used_categories(content)}
        names: list[str] | None = None
        splits: dict[Split, list[Annotation]] = {}
        for split, (file, content) in contents.items():
            own, pictures = read_content(file, content, used)
            if names is not None and own != names:
                raise DataError(
                    f"{file}: its categories are {', '.join(own)}; those to train on are {', '.join(names)}: "
                    "all files of a data set need the same categories with the same ids"
                )
            names = own
            listed = [item.path for item in pictures]
            paths = located(self.folder(split, file, listed), listed, self.disk)
            splits[split] = [item._replace(path=paths[item.path]) for item in pictures]
        return Annotated(names or [], splits)

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """A JSON file and a folder of pictures for each split."""
        for seed, split in enumerate(SPLITS):
            _write_fake(root / "images" / split, root / "annotations" / f"{split}.json", 12, size, seed)
        return {"root": str(root), "image_size": size}


class Coco(CocoJson):
    """The public COCO of 2017. The official validation pictures are the test split, because results are
    reported on them; those to choose a checkpoint with are ``val_fraction`` of the training pictures."""

    title = "COCO 2017"
    layout = "root/train2017/*.jpg, root/val2017/*.jpg and root/annotations/instances_{train,val}2017.json"
    remedy = (
        "Its pictures belong to their Flickr authors, so it is not fetched for you: 19 GB train2017.zip, "
        "1 GB val2017.zip and 0.25 GB annotations_trainval2017.zip from "
        "https://cocodataset.org/#download; unzip them into one folder, then data.root=/path/to/it"
    )

    def __init__(self, root: str, *, val_fraction: float = 0.02, **boxes: Any) -> None:
        super().__init__(root, val_fraction=val_fraction, **boxes)

    def files(self) -> dict[Split, Path]:
        annotations = self.root / "annotations"
        found: dict[Split, Path] = {
            "train": annotations / "instances_train2017.json",
            "test": annotations / "instances_val2017.json",
        }
        for file in found.values():
            if not file.is_file():
                raise self.problem(f"there is no file {file.absolute()}")
        return found

    def folder(self, split: Split, file: Path, names: Sequence[str]) -> Path:
        return self.root / ("train2017" if split == "train" else "val2017")

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        for seed, name in enumerate(("train2017", "val2017")):
            _write_fake(root / name, root / "annotations" / f"instances_{name}.json", 16, size, seed)
        return {"root": str(root), "image_size": size, "val_fraction": 0.25}


def to_json(rows: Iterable[Mapping[str, Any]], class_names: Sequence[str], id_step: int = 1) -> bytes:
    """Predictions as a COCO annotation file, which our reader and COCO's tools read; each annotation has its
    ``score`` besides.

    Args:
        rows: one per picture, with ``file``, ``width``, ``height`` and ``objects``: each with ``class`` (a
            name), ``box`` (x1, y1, x2, y2 in pixels) and, where there are, ``score`` and ``ignored``.
        id_step: between ids, and the first of them.
    """
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, row in zip(count(id_step, id_step), rows, strict=False):
        size = {"width": row["width"], "height": row["height"]}
        images.append({"id": number, "file_name": row["file"], **size})
        for found in row["objects"]:
            x1, y1, x2, y2 = found["box"]
            box = [round(value, 6) for value in (x1, y1, x2 - x1, y2 - y1)]
            annotations.append(
                {
                    "id": id_step * (len(annotations) + 1),
                    "image_id": number,
                    "category_id": id_step * (class_names.index(found["class"]) + 1),
                    "bbox": box,
                    "area": round(box[2] * box[3], 6),
                    "iscrowd": int(found.get("ignored", False)),
                    **({"score": found["score"]} if "score" in found else {}),
                }
            )
    categories = [{"id": id_step * number, "name": name} for number, name in enumerate(class_names, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return (json.dumps(content, ensure_ascii=False) + "\n").encode()


def _write_fake(folder: Path, file: Path, pictures: int, size: int, seed: int) -> None:
    """Ids neither begin at 1 nor are without gaps, as in the real data."""
    folder.mkdir(parents=True)
    file.parent.mkdir(exist_ok=True)
    rows = []
    for number, picture in enumerate(fake_pictures(pictures, size, seed)):
        name, (width, height) = f"{seed}{number:05d}.jpg", picture.image.size
        picture.image.save(folder / name)
        objects = picture.objects(CLASS_NAMES)
        rows.append({"file": name, "width": width, "height": height, "objects": objects})
    file.write_bytes(to_json(rows, CLASS_NAMES, id_step=3))
