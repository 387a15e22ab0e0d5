"""What all data sets of scene graphs share: relations that cannot be used, that go with their boxes, that
stand twice."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.boxes.annotation import annotation
from vision_apps.data.boxes.annotation import clean as clean_boxes
from vision_apps.data.relations.annotation import clean, clean_all, findings, related, untaught
from vision_apps.data.relations.coco import CocoRelations


def picture(boxes: list[list[float]], relations: list[list[int]]) -> Any:
    item = annotation("a.jpg", (40, 40), boxes, [0] * len(boxes), image_id=1, source="file.json, picture 1")
    return related(item, relations)


GOOD = [[0.0, 0, 10, 10], [10.0, 0, 20, 10], [20.0, 0, 30, 10]]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ([0, 3, 0], "subject 0, object 3, predicate 0 in a picture of 3 objects names an object that is not"),
        ([-1, 2, 0], "names an object that is not there"),
        ([1, 1, 0], "relates an object to itself"),
        ([0, 1, 2], "has a predicate that is not there"),
        ([0, 1, -1], "has a predicate that is not there"),
    ],
)
def test_relations_that_cannot_be_meant_are_refused_or_counted(
    row: list[int], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    item = picture(GOOD, [[0, 1, 0], row])
    with pytest.raises(DataError, match=text) as caught:
        clean_all([item], 2, "refuse")
    assert "file.json, picture 1" in str(caught.value) and "data.on_bad_relation=drop" in str(caught.value)
    (kept,), bad = clean_all([item], 2, "drop")
    assert kept.relations.tolist() == [[0, 1, 0]] and len(bad) == 1
    assert "left out 1 relations that cannot be meant" in caplog.text
    assert any(text in line for line in findings({"train": [kept]}, bad, ["on", "by"]))
    named = {n for kept in clean_boxes(item)[0].relations.tolist() for n in kept[:2]}
    assert named <= {0, 1, 2}, "whoever looks at the boxes first meets such relations, too"


def test_what_is_wrong_is_told_in_the_numbers_of_the_file(tmp_path: Path) -> None:
    given: dict[str, Any] = CocoRelations.fake(tmp_path)
    file = tmp_path / "rel.json"
    content = json.loads(file.read_text())
    assert content["rel_categories"][0] == "__background__"
    next(rows for rows in content["train"].values() if rows)[0][2] = 17
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"predicate 17 in a picture of .* has a predicate that is not there"):
        CocoRelations(**given).prepare_data()


def test_relations_of_objects_that_are_ignored_are_counted() -> None:
    item = picture(GOOD, [[0, 1, 0], [1, 2, 0], [0, 2, 1]])
    crowd = item._replace(ignored=np.array([False, True, False]))
    (told,) = [line for line in findings({"train": [item, crowd]}, [], ["on", "by"]) if "ignored" in line]
    assert told.startswith("relations: 2 of train have an object that is ignored")


def test_a_relation_that_stands_twice_counts_once(caplog: pytest.LogCaptureFixture) -> None:
    item = picture(GOOD, [[2, 1, 0], [0, 1, 1], [2, 1, 0], [2, 1, 1]])
    (kept,), bad = clean_all([item], 2, "refuse")
    assert kept.relations.tolist() == [[2, 1, 0], [0, 1, 1], [2, 1, 1]] and not bad
    assert "left out 1 relations that stand twice" in caplog.text


@given(
    st.lists(st.sampled_from(["good", "empty", "outside"]), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), max_size=12),
)
def test_relations_go_with_boxes_that_cannot_be_used(
    kinds: list[str], rows: list[tuple[int, int, int]]
) -> None:
    places = {"good": [1.0, 1, 9, 9], "empty": [5.0, 5, 5, 9], "outside": [50.0, 50, 60, 60]}
    boxes = [[value + number / 100 for value in places[kind]] for number, kind in enumerate(kinds)]
    item, _, _ = clean(picture(boxes, [list(row) for row in rows]), 4)
    kept, _ = clean_boxes(item)
    known = [number for number, kind in enumerate(kinds) if kind == "good"]
    expected = [
        [boxes[one], boxes[other], said]
        for one, other, said in item.relations.tolist()
        if one in known and other in known
    ]
    found = [
        [kept.boxes[one].tolist(), kept.boxes[other].tolist(), said]
        for one, other, said in kept.relations.tolist()
    ]
    assert len(found) == len(expected)
    for own, other in zip(found, expected, strict=True):
        assert np.allclose(own[0], other[0]) and np.allclose(own[1], other[1]) and own[2] == other[2]


def spoiled(tmp_path: Path, **changes: Any) -> CocoRelations:
    """A fake of which one box of the first picture with three objects has no size."""
    arguments = CocoRelations.fake(tmp_path)
    file = tmp_path / "annotations" / "train.json"
    content = json.loads(file.read_text())
    counts: dict[int, int] = {}
    for one in content["annotations"]:
        counts[one["image_id"]] = counts.get(one["image_id"], 0) + 1
    number = next(image for image, count in counts.items() if count == 3)
    next(one for one in content["annotations"] if one["image_id"] == number)["bbox"][2] = 0
    file.write_text(json.dumps(content))
    return CocoRelations(**{**arguments, **changes})


def test_relations_of_a_box_without_a_size_are_counted_as_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = spoiled(tmp_path)
    with caplog.at_level(logging.WARNING):
        data.prepare_data()
    assert "left out 4 relations of such boxes" in caplog.text
    lines = list(data.doctor())
    assert any("less than two objects, of which nothing can be related" in line for line in lines)
    assert any(line.startswith("train: relations of each predicate: left of ") for line in lines)


def test_a_picture_with_more_than_the_most_relations_is_refused(tmp_path: Path) -> None:
    arguments = CocoRelations.fake(tmp_path)
    with pytest.raises(DataError, match=r"6 relations; expected at most 5.*data.most_relations=6"):
        CocoRelations(**arguments, most_relations=5).prepare_data()  # type: ignore[arg-type]
    CocoRelations(**arguments, most_relations=6).prepare_data()  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"data.most_relations: 0"):
        CocoRelations(**arguments, most_relations=0)  # type: ignore[arg-type]


def test_pictures_without_a_relation_are_left_out_if_asked(tmp_path: Path) -> None:
    arguments = CocoRelations.fake(tmp_path)
    every, some = (
        CocoRelations(**arguments, only_related=only)  # type: ignore[arg-type]
        for only in (False, True)
    )
    assert len(every.annotations["train"]) == 12
    assert 0 < len(some.annotations["train"]) < 12
    assert all(len(item.relations) for item in some.annotations["train"])


def test_predicates_have_the_numbers_that_a_run_knows_them_by(tmp_path: Path) -> None:
    arguments = CocoRelations.fake(tmp_path)
    data, known = (CocoRelations(**arguments) for _ in range(2))  # type: ignore[arg-type]
    known.known_facts = {"predicate_names": ["above", "right of", "left of"], "detector": None}
    data.prepare_data()
    known.prepare_data()
    for index in range(12):
        own, other = (
            one.load("train", ("relations",))[index]["relations"]  # type: ignore[index]
            for one in (data, known)
        )
        there = own[:, 0] >= 0
        assert (other[there][:, 2] == 2 - own[there][:, 2]).all() and (other[~there] == -1).all()
    known.known_facts = {"predicate_names": ["right of"], "detector": None}
    with pytest.raises(DataError, match="the run knows no predicate called left of"):
        known.load("train", ("relations",))


def test_what_training_never_sees_is_told() -> None:
    splits: Any = {"train": [picture(GOOD, [[0, 1, 0]])], "test": [picture(GOOD, [[0, 1, 1]])]}
    assert list(untaught(splits, ["on", "by"])) == ["relations: training never sees what test has: by"]
    splits["train"] = [picture(GOOD, [])]
    assert list(untaught(splits, ["on", "by"])) == [
        "relations: no training picture has any: there is nothing to learn"
    ]
    assert any(
        "1 pictures of train have objects and no relation" in line for line in findings(splits, [], ["on"])
    )
