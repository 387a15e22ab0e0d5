"""Each format of scene graphs, read from a fake of itself, gives what was written; what is wrong in a file is
told by file and key."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from vision_apps.core.errors import DataError
from vision_apps.data.relations.coco import CocoRelations
from vision_apps.data.relations.data import RelationData
from vision_apps.data.relations.fakes import CLASS_NAMES, PREDICATE_NAMES, fake_graphs
from vision_apps.data.relations.open_images import OpenImages
from vision_apps.data.relations.psg import Psg
from vision_apps.data.relations.vg150 import VG150
from vision_apps.data.relations.vrd import Vrd

# the format, how many pictures its fake has of each split that stands in its files, px that boxes may be off
FORMATS: list[tuple[type[RelationData], dict[str, int], float]] = [
    (VG150, {"train": 18, "test": 12}, 0.1),
    (CocoRelations, {"train": 12, "val": 12, "test": 12}, 0),
    (Vrd, {"train": 18, "test": 18}, 0),
    (OpenImages, {"train": 18, "val": 18, "test": 18}, 0.001),
    (Psg, {"train": 18, "test": 18}, 0),
]
each = pytest.mark.parametrize(
    ("kind", "counts", "off"), FORMATS, ids=[kind.__name__ for kind, *_ in FORMATS]
)


def made(kind: type[RelationData], root: Path, **changes: Any) -> Any:
    return kind(**{**kind.fake(root), **changes})


@each
def test_what_was_written_is_read(
    kind: type[RelationData], counts: dict[str, int], off: float, tmp_path: Path
) -> None:
    names, predicates, splits = made(kind, tmp_path / "data").read_graphs()
    assert names == list(CLASS_NAMES) and predicates == list(PREDICATE_NAMES)
    for seed, (split, count) in enumerate(counts.items()):
        graphs = fake_graphs(count, 32, seed)
        if kind in (Vrd, OpenImages):  # which have objects with relations alone
            graphs = [graph for graph in graphs if kind is Vrd or graph.relations]
        for graph, item in zip(graphs, splits[split], strict=True):
            triplets = [
                (graph.picture.boxes[one], graph.picture.labels[one], said, graph.picture.boxes[other])
                for one, other, said in graph.relations
            ]
            boxes = item.boxes.tolist()
            told = [
                (boxes[one], int(item.labels[one]), said, boxes[other])
                for one, other, said in item.relations.tolist()
            ]
            assert len(told) == len(triplets)
            for (box, label, said, other), expected in zip(told, triplets, strict=True):
                assert (label, said) == expected[1:3]
                limit = off * max(graph.picture.image.size)
                assert np.abs(np.array([box, other]) - np.array([expected[0], expected[3]])).max() <= limit
            assert (item.width, item.height) in (graph.picture.image.size, (0, 0))


@each
def test_samples_point_to_their_boxes(
    kind: type[RelationData], counts: dict[str, int], off: float, tmp_path: Path
) -> None:
    data = made(kind, tmp_path / "data")
    data.prepare_data()
    assert data.facts["predicate_names"] == list(PREDICATE_NAMES) and data.facts["num_predicates"] == 2
    seen = 0
    for split in ("train", "val", "test"):
        samples = data.load(split, ("images", "boxes", "box_labels", "relations"))
        for index in range(len(samples)):
            sample = samples[index]
            for one, other, said in sample["relations"].tolist():
                if one < 0:
                    assert (one, other, said) == (-1, -1, -1)
                    continue
                assert sample["box_labels"][one] >= 0 and sample["box_labels"][other] >= 0
                middle = sample["boxes"][:, 0] + sample["boxes"][:, 2]
                assert said == int(middle[one] > middle[other]) or abs(middle[one] - middle[other]) < 4
                seen += 1
    assert seen > 10


# ---- what is wrong -----------------------------------------------------------------------------------------


def change_json(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        content = json.loads((root / name).read_text())
        changed = change(content)
        (root / name).write_text(json.dumps(content if changed is None else changed))

    return apply


def change_hdf5(change: Callable[[h5py.File], Any]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        with h5py.File(root / "VG-SGG.h5", "a") as file:
            change(file)

    return apply


def put(name: str, values: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = values

    return change


def elsewhere(file: h5py.File) -> None:
    del file["labels"]
    file["labels"] = h5py.ExternalLink("/etc/hostname", "labels")


def soft(file: h5py.File) -> None:
    file["copy"] = file["labels"][()]
    del file["labels"]
    file["labels"] = h5py.SoftLink("/copy")


def external(file: h5py.File) -> None:
    del file["labels"]
    file.create_dataset("labels", (4, 1), "i4", external=[("/etc/hostname", 0, 16)])


def virtual(file: h5py.File) -> None:
    rows = len(file["labels"])
    del file["labels"]
    layout = h5py.VirtualLayout((rows, 1), "i4")
    layout[:] = h5py.VirtualSource("other.h5", "labels", (rows, 1))
    file.create_virtual_dataset("labels", layout)


def huge(file: h5py.File) -> None:
    del file["predicates"]
    file.create_dataset("predicates", (2**40, 1), "i4", chunks=(1024, 1))


def cut_off(root: Path) -> None:
    whole = (root / "VG-SGG.h5").read_bytes()
    (root / "VG-SGG.h5").write_bytes(whole[: len(whole) // 2])


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda root: (root / name).write_text(text) and None


def change_line(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda root: (root / name).write_text((root / name).read_text().replace(old, new)) and None


WRONG: list[tuple[type[RelationData], Callable[[Path], None], str]] = [
    (VG150, change_hdf5(elsewhere), "'labels': its numbers are elsewhere"),
    (VG150, change_hdf5(soft), "'labels': its numbers are elsewhere"),
    (VG150, change_hdf5(external), "'labels': its numbers are elsewhere"),
    (VG150, change_hdf5(virtual), "'labels': its numbers are elsewhere"),
    (VG150, change_hdf5(huge), r"'predicates': is \[1099511627776, 1\]; expected \[n, 1\], n at most"),
    (VG150, change_hdf5(put("labels", np.ones((4, 1), np.float32))), "is float32; expected whole numbers"),
    (VG150, change_hdf5(put("boxes_1024", np.ones((4, 3), np.int32))), r"is \[4, 3\]; expected \[\d+, 4\]"),
    (
        VG150,
        change_hdf5(lambda file: file.__delitem__("relationships")),
        "there is no such array; the file has",
    ),
    (VG150, change_hdf5(lambda file: file["labels"].__setitem__(0, 9)), "'labels': expected 1 to 2"),
    (VG150, change_hdf5(lambda file: file["split"].__setitem__(0, 1)), r"'split': 1; expected 0 .* or 2"),
    (VG150, change_hdf5(lambda file: file["img_to_last_rel"].__setitem__(1, 999)), "rows that are not there"),
    (VG150, cut_off, "cannot be read as HDF5|is the file whole"),
    (VG150, change_json("image_data.json", lambda own: own[:7]), "6 pictures, and VG-SGG.h5 is about 30"),
    (VG150, change_json("image_data.json", lambda own: own[1].pop("width") and None), "entry 0: 'width'"),
    (VG150, change_json("VG-SGG-dicts.json", lambda own: own.pop("idx_to_label") and None), "'idx_to_label'"),
    (
        VG150,
        change_json("VG-SGG-dicts.json", lambda own: own["idx_to_predicate"].update({"7": "on"})),
        "its keys are not the numbers 1 to 3",
    ),
    (CocoRelations, write("rel.json", "{"), "cannot be read as JSON"),
    (CocoRelations, write("rel.json", "[]"), "expected an object with 'rel_categories'"),
    (
        CocoRelations,
        change_json("rel.json", lambda own: own.pop("rel_categories") and None),
        "names of predicates",
    ),
    (
        CocoRelations,
        change_json("rel.json", lambda own: own.pop("val") and None),
        "'val': expected an object",
    ),
    (
        CocoRelations,
        change_json("rel.json", lambda own: own["train"].update({"4": []})),
        "relations of picture 4, which the file of boxes of train has not",
    ),
    (
        CocoRelations,
        change_json("rel.json", lambda own: own["train"].update({"6": [[0, 1]]})),
        r"picture 6: expected \[subject, object, predicate\], not \[0, 1\]",
    ),
    (
        CocoRelations,
        change_json("rel.json", lambda own: own["train"].update({"6": [[0, 1, 0.5]]})),
        "picture 6: expected a whole number, not 0.5",
    ),
    (CocoRelations, lambda root: (root / "rel.json").unlink(), "no lists 'rel_annotations'"),
    (Vrd, write("objects.json", "[1]"), "objects.json: expected a list of names of classes"),
    (Vrd, write("predicates.json", '["on", "on"]'), "two predicates are called 'on'"),
    (Vrd, write("annotations_train.json", "[]"), "expected an object of lists by the names of pictures"),
    (Vrd, write("annotations_train.json", '{"a.jpg": [3]}'), "a.jpg: expected a list of relations"),
    (Vrd, write("annotations_train.json", '{"a.jpg": [{}]}'), "a relation has no 'subject'"),
    (
        Vrd,
        write("annotations_train.json", '{"a.jpg": [{"subject": {"category": 2, "bbox": [0, 1, 0, 1]}}]}'),
        "category 2; expected 0 to 1",
    ),
    (
        Vrd,
        write("annotations_train.json", '{"a.jpg": [{"subject": {"category": 0, "bbox": [0, 1]}}]}'),
        r"'bbox': expected 4 numbers, not \[0, 1\]",
    ),
    (
        OpenImages,
        change_line("oidv6-train-annotations-vrd.csv", "RelationshipLabel", "Label"),
        "its heading has no RelationshipLabel",
    ),
    (OpenImages, change_line("test-annotations-vrd.csv", ",0.", ",1."), "line 3: a corner of object 1"),
    (OpenImages, change_line("test-annotations-vrd.csv", ",0.", ",x"), "line 3: expected numbers as corners"),
    (OpenImages, change_line("oidv6-class-descriptions.csv", "/m/01x", "/m/9"), "there is no class /m/01x"),
    (OpenImages, lambda root: (root / "oidv6-class-descriptions.csv").unlink(), "there is no file"),
    (Psg, write("psg.json", "[]"), "expected an object with a list 'data'"),
    (Psg, change_json("psg.json", lambda own: own.pop("test_image_ids") and None), "a list 'test_image_ids'"),
    (Psg, change_json("psg.json", lambda own: own["data"][0].update(relations=None)), "'relations'"),
    (
        Psg,
        change_json("psg.json", lambda own: own["data"][0]["annotations"][0].update(bbox_mode=4)),
        r"entry 0 .*: bbox_mode 4; expected 0 \(corners\) or 1",
    ),
    (
        Psg,
        change_json("psg.json", lambda own: own["data"][0]["annotations"][0].update(category_id=2)),
        "category_id 2; expected 0 to 1",
    ),
]


@pytest.mark.parametrize(("kind", "spoil", "text"), WRONG)
def test_what_is_wrong_is_told_by_file_and_key(
    kind: type[RelationData], spoil: Callable[[Path], None], text: str, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    data = made(kind, root)
    spoil(root)
    with pytest.raises(DataError, match=text) as caught:
        data.prepare_data()
    assert str(root) in str(caught.value)


def test_relations_within_the_files_of_boxes_are_those_of_a_rel_json(tmp_path: Path) -> None:
    data = made(CocoRelations, tmp_path)
    expected = data.read_graphs()
    relations = json.loads((tmp_path / "rel.json").read_text())
    (tmp_path / "rel.json").unlink()
    for split in ("train", "val", "test"):
        file = tmp_path / "annotations" / f"{split}.json"
        content = json.loads(file.read_text())
        ids: dict[int, list[int]] = {}
        for one in content["annotations"]:
            ids.setdefault(one["image_id"], []).append(one["id"])
        content["rel_categories"] = [
            {"id": number, "name": name} for number, name in enumerate(relations["rel_categories"])
        ]
        content["rel_annotations"] = [
            {
                "id": 0,
                "image_id": int(image),
                "subject_id": ids[int(image)][one],
                "object_id": ids[int(image)][other],
                "predicate_id": said,
            }
            for image, told in relations[split].items()
            for one, other, said in told
        ]
        file.write_text(json.dumps(content))
    found = data.read_graphs()
    assert found.predicate_names == expected.predicate_names
    for split, items in expected.splits.items():
        for item, other in zip(items, found.splits[split], strict=True):
            assert np.array_equal(item.relations, other.relations)


def test_a_predicate_that_no_category_has_is_told_by_its_number(tmp_path: Path) -> None:
    data = made(CocoRelations, tmp_path)
    (tmp_path / "rel.json").unlink()
    for split in ("train", "val", "test"):
        file = tmp_path / "annotations" / f"{split}.json"
        content = json.loads(file.read_text())
        pairs = pairwise(content["annotations"])
        first, second = next(pair for pair in pairs if pair[0]["image_id"] == pair[1]["image_id"])
        content["rel_categories"] = [{"id": 30, "name": "on"}, {"id": 10, "name": "by"}]
        ends = {"image_id": first["image_id"], "subject_id": first["id"], "object_id": second["id"]}
        said = [10, 10, {"train": 4711, "val": -1, "test": 4711}[split]]
        content["rel_annotations"] = [{**ends, "predicate_id": number} for number in said]
        content["rel_annotations"].append({**ends, "object_id": first["id"], "predicate_id": 30})
        file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"predicate 4711 in a picture of .* has a predicate that is not"):
        data.prepare_data()
    again = CocoRelations(str(tmp_path), image_size=32, on_bad_relation="drop")
    again.prepare_data()
    assert [one.relation[2] for one in again.bad_relations] == [4711, 30, -1, 30, 4711, 30]


def test_predicates_without_a_background_count_from_0(tmp_path: Path) -> None:
    data = made(CocoRelations, tmp_path)
    expected = data.read_graphs().splits["train"][1].relations
    change_json("rel.json", lambda own: own["rel_categories"].pop(0) and None)(tmp_path)
    found = data.read_graphs()
    assert found.predicate_names == list(PREDICATE_NAMES)
    assert found.splits["train"][1].relations[:, 2].tolist() == (expected[:, 2] + 1).tolist()


def test_the_pictures_that_no_array_has_may_be_gone_from_the_list(tmp_path: Path) -> None:
    data = made(VG150, tmp_path)
    expected = data.read_graphs()
    change_json("image_data.json", lambda own: own[1:])(tmp_path)
    assert [item.path for item in data.read_graphs().splits["test"]] == [
        item.path for item in expected.splits["test"]
    ]
