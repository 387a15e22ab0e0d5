"""Cross-validation: every sample is tested once, by a run that has not seen it, and evenly by class."""

import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image
from sklearn.model_selection import StratifiedKFold

from vision_apps.core.config.targets import resolve
from vision_apps.core.data import SPLITS, VisionData
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.boxes.csv import BoxCsv
from vision_apps.data.folds import folds, hold_out, stratified
from vision_apps.data.labels.folder import ImageFolder
from vision_apps.data.splits import place

SETS = st.lists(st.sets(st.integers(0, 4), max_size=3), min_size=6, max_size=40)
CONFIGS = sorted((Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))
CLASSES = st.lists(st.integers(0, 3), min_size=8, max_size=60)
COUNTS, SEEDS = st.integers(2, 6), st.integers(0, 5)


def named(count: int) -> list[str]:
    return [f"{number:02d}.png" for number in range(count)]


@given(CLASSES, COUNTS, SEEDS)
def test_every_sample_is_tested_once_and_then_not_learned_from(
    classes: list[int], count: int, seed: int
) -> None:
    names = named(len(classes))
    runs = [hold_out(names, fold, count, seed, val_fraction=0.2, classes=classes) for fold in range(count)]
    for row, own in enumerate(zip(*runs, strict=True)):
        assert own.count("test") == 1, names[row]
    assert [[split == "test" for split in run] for run in runs] == [
        [own == fold for own in folds(names, count, seed, classes)] for fold in range(count)
    ]


@given(CLASSES, COUNTS, SEEDS)
def test_classes_are_as_even_as_those_of_scikit_learn(classes: list[int], count: int, seed: int) -> None:
    own = folds(named(len(classes)), count, seed, classes)
    if max(Counter(classes).values()) < count:
        return  # which scikit-learn refuses
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        theirs = [test for _, test in StratifiedKFold(count).split(classes, classes)]
    for kind in set(classes):
        ours = [
            sum(f == fold and c == kind for f, c in zip(own, classes, strict=True)) for fold in range(count)
        ]
        expected = [sum(classes[row] == kind for row in test) for test in theirs]
        assert sorted(ours) == sorted(expected)


@given(CLASSES, COUNTS, SEEDS, st.integers(0, 3))
def test_a_new_sample_moves_hardly_any_other(classes: list[int], count: int, seed: int, new: int) -> None:
    names = named(len(classes))
    before = folds(names, count, seed, classes)
    after = folds([*names, "new.png"], count, seed, [*classes, new])
    moved = [row for row, fold in enumerate(before) if after[row] != fold]
    assert all(classes[row] == new for row in moved), "another class has nothing to do with it"
    assert len(moved) < count, "one at most over each cut"


@given(CLASSES, SEEDS, st.randoms())
def test_the_order_of_the_files_does_not_matter(classes: list[int], seed: int, random: Any) -> None:
    names = named(len(classes))
    own = dict(zip(names, folds(names, 3, seed, classes), strict=True))
    rows = list(range(len(names)))
    random.shuffle(rows)
    other = folds([names[row] for row in rows], 3, seed, [classes[row] for row in rows])
    assert dict(zip((names[row] for row in rows), other, strict=True)) == own


def test_the_numbers_of_a_fold_stay() -> None:
    """Recorded once: runs of before are compared with runs of now by them."""
    names = named(12)
    recorded = [1, 2, 1, 0, 1, 0, 0, 2, 0, 1, 2, 2]
    assert folds(names, 3, 0) == recorded
    assert folds(names, 3, 1) != recorded, "split_seed draws others"


def test_validation_is_of_every_class_and_of_its_share() -> None:
    classes = [0] * 40 + [1] * 10 + [2]
    runs = [hold_out(named(51), fold, 5, 0, val_fraction=0.25, classes=classes) for fold in range(5)]
    for run in runs:
        val = Counter(kind for split, kind in zip(run, classes, strict=True) if split == "val")
        assert val == {0: 8, 1: 2}, "a quarter of 32, of 8, and the only one is trained on"
    chosen = [{row for row, split in enumerate(run) if split == "val"} for run in runs]
    assert all(one != other for one, other in pairwise(chosen)), "another draw for each fold"


def test_a_run_that_goes_on_keeps_its_own() -> None:
    names = named(20)
    before = hold_out(names[:15], 1, 4, 0, val_fraction=0.2)
    known = dict(zip(names[:15], before, strict=True))
    after = hold_out(names, 1, 4, 0, val_fraction=0.2, known=known)
    assert after[:15] == before


def algorithm_1(names: list[str], sets: list[set[int]], shares: list[float], seed: int) -> list[int]:
    """Sechidis, Tsoumakas and Vlahavas (2011), as it stands there, but that ties are broken as here."""
    wanted = {j: len(sets) * share for j, share in enumerate(shares)}  # c_j
    labels = {one for own in sets for one in own}
    of_label = {
        one: {j: sum(one in own for own in sets) * share for j, share in enumerate(shares)} for one in labels
    }
    rest, found = set(range(len(sets))), [-1] * len(sets)
    while rest:
        left = {one: [row for row in rest if one in sets[row]] for one in labels}
        left = {one: rows for one, rows in left.items() if rows}
        rarest = min(left, key=lambda one: (len(left[one]), place(str(one), seed))) if left else None
        rows = sorted(rest if rarest is None else left[rarest], key=lambda row: place(names[row], seed))
        for row in rows:
            own = wanted if rarest is None else of_label[rarest]
            best = [j for j in own if own[j] == max(own.values())]
            best = [j for j in best if wanted[j] == max(wanted[j] for j in best)]
            chosen = max(best, key=lambda j: place(f"{names[row]}\0{j}", seed))
            found[row] = chosen
            rest.remove(row)
            wanted[chosen] -= 1
            for one in sets[row]:
                of_label[one][chosen] -= 1
    return found


@given(SETS, COUNTS, SEEDS)
def test_sets_of_labels_are_cut_by_iterative_stratification(
    sets: list[set[int]], count: int, seed: int
) -> None:
    names = named(len(sets))
    own = stratified(names, sets, lambda rows: [rows / count] * count, seed)
    assert own == algorithm_1(names, sets, [1 / count] * count, seed)


@given(CLASSES, COUNTS, SEEDS)
def test_single_labels_are_as_even_as_a_cut_of_classes(classes: list[int], count: int, seed: int) -> None:
    sets = [{one} for one in classes]
    own = stratified(named(len(sets)), sets, lambda rows: [rows / count] * count, seed)
    for kind in set(classes):
        sizes = [
            sum(f == fold and c == kind for f, c in zip(own, classes, strict=True)) for fold in range(count)
        ]
        assert max(sizes) - min(sizes) <= 1


@given(SETS, SEEDS, st.randoms())
def test_the_order_of_files_with_sets_does_not_matter(sets: list[set[int]], seed: int, random: Any) -> None:
    names, rows = named(len(sets)), list(range(len(sets)))
    own = hold_out(names, 1, 3, seed, val_fraction=0.2, class_sets=sets)
    random.shuffle(rows)
    other = hold_out(
        [names[row] for row in rows], 1, 3, seed, val_fraction=0.2, class_sets=[sets[row] for row in rows]
    )
    assert other == [own[row] for row in rows]


def test_a_rare_label_is_in_each_fold_and_validated_on() -> None:
    """Where a draw by names alone would leave some folds without it."""
    sets = [{"a"} if row % 2 else {"a", "b"} for row in range(40)]
    for row in (0, 1, 2, 3, 4, 5):
        sets[row] = {"rare", "b"}
    for seed in range(5):
        for fold in range(3):
            run = hold_out(named(40), fold, 3, seed, val_fraction=0.1, class_sets=sets)
            rare = Counter(split for split, own in zip(run, sets, strict=True) if "rare" in own)
            assert rare == {"test": 2, "train": 3, "val": 1}


def of_fold(node: dict[str, Any], fold: int) -> VisionData:
    kind = resolve(node["_target_"])
    data: VisionData = kind(**{k: v for k, v in node.items() if k != "_target_"}, folds=3, fold=fold)
    data.prepare_data()
    return data


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_every_data_set(path: Path, tmp_path: Path) -> None:
    node = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(node, dict)
    kind = resolve(node["_target_"])
    node = {"_target_": node["_target_"], **kind.fake(tmp_path / "data")}
    if kind.why_no_folds:
        with pytest.raises(
            ConfigError, match=r"data\.folds: 3, and the data are .*seeds=5, or data.folds=null"
        ):
            of_fold(node, 0)
        return
    whole = kind(**{k: v for k, v in node.items() if k != "_target_"})
    whole.prepare_data()
    own_test = "test" not in whole.drawn
    held = "val" if own_test else "test"
    every = Counter(name for split in SPLITS for name in whole.sample_names(split))
    every -= Counter(whole.sample_names("test") if own_test else ())
    tested: Counter[str] = Counter()
    for fold in range(3):
        data = of_fold(node, fold)
        splits = {split: set(data.sample_names(split)) for split in SPLITS}
        assert all(splits.values()), "none is empty"
        assert not splits["train"] & (splits["val"] | splits["test"]) and not splits["val"] & splits["test"]
        assert set.union(*splits.values()) == set(every) | (splits["test"] if own_test else set())
        assert held in data.drawn, "so that the run folder lists them"
        if own_test:
            assert splits["test"] == set(whole.sample_names("test"))
        tested.update(data.sample_names(held))
    assert tested == every and set(tested.values()) == {1}


def test_training_and_validation_are_cut_together_and_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(12):
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / f"{number:02d}.png")
    lines = [f"{number:02d}.png,0,0,4,4,thing\n" for number in range(12)]
    (tmp_path / "train.csv").write_text("".join(lines[:9]))
    (tmp_path / "val.csv").write_text("".join(lines[7:]))  # two of them in both
    tested: list[str] = []
    for fold in range(4):
        data = BoxCsv(str(tmp_path), folds=4, fold=fold)
        data.prepare_data()
        tested += data.sample_names("test")
        assert len({name for split in SPLITS for name in data.sample_names(split)}) == 12
        assert sum(len(data.sample_names(split)) for split in SPLITS) == 12
    assert sorted(tested) == [f"images/{number:02d}.png" for number in range(12)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"folds": 5}, "a run holds one of 5 folds out; say which, as in data.fold=0, or train all 5"),
        ({"fold": 1}, "data.fold: 1 of how many"),
        ({"folds": 1, "fold": 0}, "data.folds: 1; expected at least 2"),
        ({"folds": 5, "fold": 5}, "data.fold: 5; expected 0 to 4"),
    ],
)
def test_what_cannot_be(options: dict[str, int], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ImageFolder(str(tmp_path), **options)
    assert told in str(caught.value)


def test_more_folds_than_pictures(tmp_path: Path) -> None:
    made = ImageFolder.fake(tmp_path / "few", per_class=2)
    with pytest.raises(DataError, match=r"4 pictures are too few for data.folds=5"):
        ImageFolder(**made, folds=5, fold=0).prepare_data()
