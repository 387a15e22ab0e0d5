"""Pictures with any number of labels: what is read of the forms that people have, and what is refused."""

import csv
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vision_apps.applications.classification.types import MultiLabelBatch
from vision_apps.core.data import SPLITS
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.labels.folder import fake_pictures
from vision_apps.data.labels.multi_label import MultiLabelCsv
from vision_apps.data.labels.tables import Asked, read_labels


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pictures 0.jpg to 9.jpg."""
    (tmp_path / "images").mkdir()
    for number in range(10):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(tmp_path / "images" / f"{number}.jpg")
    return tmp_path


def prepared(root: Path, text: str | None = None, **options: Any) -> MultiLabelCsv:
    if text is not None:
        (root / "labels.csv").write_text(text)
    data = MultiLabelCsv(str(root), image_size=8, **options)
    data.prepare_data()
    return data


def truth(data: MultiLabelCsv) -> dict[str, set[str]]:
    """Of each picture by its name the names of its classes."""
    names = data.facts["class_names"]
    assert isinstance(names, list)
    found = {}
    for listing in data.listings.values():
        for path, row in zip(listing.pictures, listing.labels, strict=True):
            found[Path(path).stem] = {name for name, value in zip(names, row, strict=True) if value}
    return found


TRUTH = {0: {"cat"}, 1: {"cat", "red dog"}, 2: set(), 3: {"bird"}, 4: {"bird", "cat", "red dog"}}
TRUTH |= {number: {"cat"} if number % 2 else {"red dog"} for number in range(5, 10)}
IN_A_LIST = "".join(f"{number}.jpg,{';'.join(sorted(own))}\n" for number, own in TRUTH.items())
CLASSES = ["red dog", "cat", "bird"]
IN_COLUMNS = "".join(
    f"{number},{','.join(str(int(name in own)) for name in CLASSES)}\n" for number, own in TRUTH.items()
)
FORMS = {
    "a list": "filename,labels\n" + IN_A_LIST,
    "bars": "Image Index,Finding Labels\n" + IN_A_LIST.replace(";", "|"),
    "quoted": "image,tags\n" + IN_A_LIST.replace(";", ", ").replace(".jpg,", '.jpg,"').replace("\n", '"\n'),
    "semicolons between columns": "file;label\n" + IN_A_LIST.replace(";", "|").replace(".jpg,", ".jpg;"),
    "a byte order mark, empty lines and blanks": "\ufeffFileName , Labels\n\n"
    + IN_A_LIST.replace(";", " ; ") + "\n,\n",
    "columns": "id,red dog,cat,bird\n" + IN_COLUMNS,
    "columns of fractions": "id,red dog,cat,bird\n"
    + "".join(f"{n},{','.join(str(float(c in own)) for c in CLASSES)}\n" for n, own in TRUTH.items()),
    "columns with the index of pandas": ",image_id,red dog,cat,bird\n"
    + "".join(f"{n},{line}\n" for n, line in enumerate(IN_COLUMNS.splitlines())),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms(root: Path, form: str) -> None:
    data = prepared(root, FORMS[form])
    assert truth(data) == {str(number): own for number, own in TRUTH.items()}
    names = data.facts["class_names"]
    assert names == (CLASSES if form.startswith("columns") else sorted(CLASSES))
    sample = data.load("train", ("images", "multi_hot"))[0]
    assert (sample["multi_hot"].dtype, sample["multi_hot"].shape) == (torch.uint8, (3,))


@given(
    st.lists(st.sets(st.sampled_from(["a", "b c", "d-e", "\u00e9"])), min_size=1, max_size=8),
    st.sampled_from([";", "|", ",", "/"]),
)
def test_what_is_written_is_read(rows: list[set[str]], separator: str) -> None:
    if not any(rows):
        rows = [*rows, {"a"}]
    with tempfile.TemporaryDirectory() as folder:
        for form in ("list", "columns"):
            path = Path(folder) / f"{form}.csv"
            names = sorted({name for own in rows for name in own})
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["filename", *(["labels"] if form == "list" else names)])
                for number, own in enumerate(rows):
                    cells = [int(name in own) for name in names]
                    writer.writerow([number, *([separator.join(own)] if form == "list" else cells)])
            found = read_labels([path], Asked(separator=separator))
            assert [row.labels for row in found.rows[path]] == rows
            assert found.class_names == names


def test_labels_of_kaggle_with_spaces_between_them(root: Path) -> None:
    lines = "".join(f"{number},{'haze primary' if number % 2 else 'clear'}\n" for number in range(10))
    text = "image_name,tags\n" + lines
    with pytest.raises(DataError, match=r"labels.csv, line 3: is 'haze primary' one label, or several\?"):
        prepared(root, text)
    assert prepared(root, text, separator=" ").facts["class_names"] == ["clear", "haze", "primary"]
    assert prepared(root, text, separator=";").facts["class_names"] == ["clear", "haze primary"]


# ---- splits and places ----------------------------------------------------------------------------------


def counts(data: MultiLabelCsv) -> dict[str, int]:
    return {split: len(data.load(split, ("images",))) for split in SPLITS}


def test_files_are_splits(root: Path) -> None:
    (root / "train.csv").write_text("filename,labels\n" + "".join(f"{n}.jpg,a\n" for n in range(6)))
    (root / "valid.csv").write_text("filename,labels\n6.jpg,b\n7.jpg,\n")
    (root / "sample_submission.csv").write_text("filename,labels\n")
    data = prepared(root, test_fraction=0.2)
    assert counts(data)["val"] == 2
    assert data.drawn == ("test",)
    assert data.facts["class_names"] == ["a", "b"]
    assert data.facts["class_shares"] == [1, 0]
    data.batch_type = MultiLabelBatch
    told = list(data.doctor())
    assert told.count("val: 1 of 2 pictures have no label") == 1
    assert (
        "labels: train has no labels of 1 of 2 classes (b), which are not learned, and val has 1 (100% of "
        "its labels); add some, or draw other splits: data.split_seed=1"
    ) in told
    assert any(line.startswith("labels: all 5 training samples (100%) have a: ") for line in told)
    (root / "test.csv").write_text("filename,labels\n8.jpg,a;c\n9.jpg,\n")
    data = prepared(root)
    assert counts(data) == {"train": 6, "val": 2, "test": 2}
    assert data.drawn == ()


def test_what_cannot_be_learned_is_told_before_training(root: Path) -> None:
    """As ``train`` asks: a class that only a test split has, one that nobody has, and one that all have."""
    lines = "".join(f"{n},train,1,{n % 2},0,0\n" for n in range(6)) + "7,test,1,0,1,0\n8,val,1,1,0,0\n"
    data = prepared(root, "file,split,all,half,tested,none\n" + lines)
    data.batch_type = MultiLabelBatch
    assert list(data.obstacles()) == [
        "labels: train has no labels of 2 of 4 classes (tested, none), which are not learned, and test has 1 "
        "(50% of its labels); add some to train, or move them there",
        "labels: test has no labels of 1 of 2 classes (half), of which its figures say nothing; add some to "
        "test, or move them there",
        "labels: all 6 training samples (100%) have all: there is nothing to tell it from; add some to "
        "train, or move them there",
    ]
    data = prepared(root, "file,a,b,none\n" + "".join(f"{n},{n % 2},{n % 3 % 2},0\n" for n in range(10)))
    data.batch_type = MultiLabelBatch
    assert list(data.obstacles()) == [
        "labels: train has no labels of 1 of 3 classes (none), which are not learned; no split has any: add "
        "some, or leave them out of the classes"
    ]


def test_columns_that_are_not_read_are_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = "".join(f"{n}.jpg,ann,{'a;b' if n % 2 else 'a'},{n % 2},2020\n" for n in range(10))
    prepared(root, "filename,who,labels,b,year\n" + lines)
    assert caplog.messages == ["data: of labels.csv, nothing is read of the columns who, b, year"]
    caplog.clear()
    prepared(root, "filename,b,note\n" + "".join(f"{n},{n % 2},x\n" for n in range(10)), classes=["b"])
    assert caplog.messages == ["data: of labels.csv, nothing is read of the column note"]
    caplog.clear()
    prepared(root, ",filename,split,labels\n" + "".join(f"{n},{n},train,a\n" for n in range(10)))
    assert not caplog.messages, "neither is the index of pandas"


def test_a_picture_under_two_names(root: Path) -> None:
    """With its ending and without, below its folder, or linked: one line would be trained on, another
    tested."""
    (root / "images/linked.jpg").symlink_to("3.jpg")
    for other in ("3", "images/3.jpg", "./3.jpg", "../images/3.jpg", "linked.jpg"):
        with pytest.raises(
            DataError, match=rf"line 12: {re.escape(other)} stands in line 5 already as 3.jpg; expected one"
        ):
            prepared(root, FORMS["a list"] + f"{other},bird\n")


def test_a_column_says_the_split(root: Path) -> None:
    splits = ["train"] * 6 + ["Valid", "valid", "TEST", "test"]
    rows = "".join(f"{n}.jpg,{split},a\n" for n, split in enumerate(splits))
    data = prepared(root, "filename,split,labels\n" + rows)
    assert counts(data) == {"train": 6, "val": 2, "test": 2}
    assert data.sample_names("test") in (["images/8.jpg", "images/9.jpg"], ["images/9.jpg", "images/8.jpg"])
    data = prepared(
        root, "filename,split,labels\n" + rows.replace("valid", "train").replace("Valid", "train")
    )
    assert data.drawn == ("val",)


def test_every_class_is_in_every_split_that_is_drawn(root: Path) -> None:
    for name in ("a", "b", "c"):
        fake_pictures(root / name, 20, 8, seed=0)
    labels = {"a": "common", "b": "common;rare", "c": "rare;odd"}
    lines = [
        f"{path.relative_to(root)},{labels[name]}"
        for name in labels
        for path in sorted((root / name).iterdir())[: {"a": 20, "b": 3, "c": 3}[name]]
    ]
    for seed in range(5):
        data = prepared(root, "\n".join(["path,labels", *lines]), split_seed=seed)
        for split in SPLITS:
            labels_of_split = data.listings[split].labels
            assert labels_of_split is not None and labels_of_split.any(0).all(), (seed, split)


def test_pictures_lie_where_they_are_looked_for(tmp_path: Path) -> None:
    places = ["images/train/0.png", "train/1.png", "labels/2.PNG", "3.png", "images/deep/4.png"]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / place)
    data = prepared(tmp_path, "id,labels\n0,a\n1,a\n2.png,a\n3.png,\ndeep\\4.png,a\n")
    assert sorted(Path(path).stem for own in data.listings.values() for path in own.pictures) == [*"01234"]


def test_missing_pictures_are_refused_or_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = FORMS["a list"] + "away.jpg,cat\n"
    with pytest.raises(DataError, match=r"1 file is broken:\n  away.jpg: is not there.*line 12.*\n.*skip"):
        prepared(root, text)
    assert len(truth(prepared(root, text, on_corrupt="skip"))) == 10
    assert "away.jpg" in caplog.text
    with pytest.raises(DataError, match=r"none of the pictures is there: 0.jpg"):
        prepared(root, text, images="elsewhere")


def test_classes_are_chosen_and_ordered(root: Path) -> None:
    data = prepared(root, FORMS["columns"], classes=["bird", "cat"])
    assert data.facts["class_names"] == ["bird", "cat"]
    assert truth(data)["4"] == {"bird", "cat"}
    data = prepared(root, FORMS["a list"], classes=["red dog", "fish", "bird", "cat"])
    assert data.facts["class_names"] == ["red dog", "fish", "bird", "cat"]
    shares = data.facts["class_shares"]
    assert isinstance(shares, list) and shares[1] == 0


def test_one_class_is_enough(root: Path) -> None:
    data = prepared(root, "id,defect\n" + "".join(f"{number},{number % 2}\n" for number in range(10)))
    assert data.facts["class_names"] == ["defect"]


def test_balanced_sampling_is_refused(root: Path) -> None:
    data = prepared(root, FORMS["a list"], sampling="balanced")
    data.batch_type = MultiLabelBatch
    with pytest.raises(ConfigError, match=r"data.sampling: balanced needs one class for each picture"):
        data.loader("train")


# ---- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("filename,labels\n", {}, "expected a heading and a line for each picture, found 1 lines"),
        ("0.jpg,cat\n1.jpg,dog\n", {}, "which column has the pictures' names?"),
        ("filename\n0.jpg\n", {}, "has no labels: expected a column called labels"),
        ("filename,labels\n0.jpg,a,b\n", {}, "line 2: expected 2 cells as in the heading, found 3"),
        ("filename,labels\n,a\n", {}, "line 2: there is no name of a picture"),
        ("filename,labels\n0.jpg,a;;b\n", {}, "line 2: there is a blank label in 'a;;b'"),
        ("filename,labels\n0.jpg,a;b\n1.jpg,a|b\n", {}, "what stands between two labels?"),
        ("filename,labels\n0.jpg,a\n1.jpg,a\n0.jpg,b\n", {}, "line 4: 0.jpg stands in line 2 already"),
        ("filename,labels\n0.jpg,\n", {}, "no picture has a label"),
        ("filename,a,a\n0.jpg,1,1\n", {}, "the heading has a several times"),
        ("filename,a,b\n0.jpg,1,\n", {}, "line 2: expected 0 or 1 in the column 'b', found ''"),
        ("filename,a,b\n0.jpg,1,0.3\n", {}, "expected 0 or 1 in the column 'b', found '0.3'"),
        ("filename,split,labels\n0.jpg,fold1,a\n", {}, "line 2: 'fold1' is no split"),
        ("filename,labels\n0.jpg,ct\n", {"classes": ["cat"]}, "'ct' is not among data.classes; did you mean"),
        ("filename,a\n0.jpg,1\n", {"classes": ["b"]}, "data.classes: .* has no column b; it has filename, a"),
        ("filename,a\n0.jpg,1\n", {"classes": ["a", "a"]}, "data.classes: a, a: expected each class once"),
        ("filename,labels\n0.jpg,a\n", {"label_column": "tag"}, "data.label_column: .* has no column 'tag'"),
        ("filename,labels\n0.jpg,a\n", {"file_column": "x"}, "data.file_column: .* has no column 'x'"),
        ("filename,labels\n0.jpg,a\n", {"csv": "other.csv"}, "data.csv: there is no file"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_told(root: Path, text: str, options: Any, told: str) -> None:
    pattern = told if ".*" in told else re.escape(told)
    with pytest.raises(DataError, match=pattern):
        prepared(root, text, **options)


def test_several_files_and_none_to_train_on(root: Path) -> None:
    (root / "a.csv").write_text("filename,labels\n0.jpg,a\n")
    (root / "b.csv").write_text("filename,labels\n0.jpg,a\n")
    with pytest.raises(
        DataError, match=r"there are a.csv, b.csv, and no train.csv; which one is it\? data.cs"
    ):
        prepared(root)


def test_a_file_and_its_column_of_splits_agree(root: Path) -> None:
    (root / "train.csv").write_text("filename,split,labels\n0.jpg,train,a\n1.jpg,val,a\n")
    with pytest.raises(DataError, match="line 3: its split is val, in the file of train"):
        prepared(root)
