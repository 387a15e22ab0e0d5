"""A run knows its data: what it has held out stays held out, and its classes keep their names."""

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision_apps.cli import main
from vision_apps.data.masks.folder import MaskFolder

COLORS = {"apple": (220, 30, 30), "lime": (30, 220, 30), "plum": (30, 30, 220)}
SMALL = (
    *("task=classification", "model=cnn", "trainer=cpu", "trainer.max_epochs=1", "logger=csv"),
    *("data=folder", "data.image_size=32", "data.resize=32", "data.train_size=32", "data.workers=0"),
    *("data.augment=null", "data.batch_size=8", "optimizer.lr=1e-2", "precision=32-true"),
)


def pictures(root: str, *folders: str, count: int = 8, start: int = 0) -> None:
    """Pictures of one colour and some noise, in the colour of the folder's last part."""
    for folder in folders:
        Path(root, folder).mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            noise = np.random.default_rng(number).integers(-20, 20, (32, 32, 3))
            pixels = np.clip(np.array(COLORS[Path(folder).name]) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(Path(root, folder, f"{number:02d}.png"))


def fruit(root: str, *kinds: str, **named: str) -> None:
    """Splits in folders of their own. ``named``: what a kind is called, where it has another name."""
    pictures(root, *(f"{split}/{kind}" for split in ("train", "val", "test") for kind in kinds))
    for kind, name in named.items():
        for split in ("train", "val", "test"):
            Path(root, split, kind).rename(Path(root, split, name))


def trained(run: str, root: str, *words: str) -> None:
    assert main(["train", *SMALL, f"data.root={root}", f"run.dir={run}", *words]) in (None, 0)


def accuracy(run: str, *words: str) -> float:
    assert main(["test", run, *words]) in (None, 0)
    return json.loads(Path(run, "test.json").read_text())["test/accuracy"]


def lists(run: str) -> dict[str, set[str]]:
    return {path.stem: set(path.read_text().split()) for path in Path(run, "splits").iterdir()}


def knows(run: str) -> dict[str, dict[str, object]]:
    return json.loads(Path(run, "data.json").read_text())


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose splits were drawn, and its pictures."""
    place = tmp_path_factory.mktemp("noted")
    pictures(str(place / "photos"), *COLORS)
    trained(str(place / "run"), str(place / "photos"), "data.val_fraction=0.2", "data.test_fraction=0.2")
    return place


@pytest.fixture
def drawn(noted: Path) -> None:
    for name in ("run", "photos"):
        shutil.copytree(noted / name, name)


ELSEWHERE = "data.root=photos"


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_the_lists_of_a_drawn_split_are_in_the_run() -> None:
    found = lists("run")
    assert {split: len(names) for split, names in found.items()} == {
        split: entry["samples"] for split, entry in knows("run").items()
    }
    assert sum(map(len, found.values())) == len(set.union(*found.values())) == 24
    assert all(Path("photos", name).is_file() for name in set.union(*found.values()))
    assert all(any(name.startswith(kind) for name in found["test"]) for kind in COLORS)


@pytest.mark.usefixtures("drawn")
def test_new_pictures_move_no_other(caplog: pytest.LogCaptureFixture) -> None:
    before = lists("run")
    accuracy("run", ELSEWHERE)
    assert "data: " not in caplog.text
    pictures("photos", "apple", "lime", count=20, start=100)
    accuracy("run", ELSEWHERE)
    assert (
        f"data: test has {len(before['test']) + 10} samples, where the run had {len(before['test'])}"
        in caplog.text
    )
    assert main(["train", "resume=run", ELSEWHERE, "trainer.max_epochs=2"]) in (None, 0)
    after = lists("run")
    assert all(before[split] <= after[split] for split in before)
    assert sum(map(len, after.values())) == 64
    assert (
        f"data: train has {len(after['train'])} samples, where the run had {len(before['train'])}"
        in caplog.text
    )
    (earlier,) = knows("run")["train"]["before"]
    assert earlier["samples"] == len(before["train"])
    caplog.clear()
    assert main(["train", "resume=run", "trainer.max_epochs=3"]) in (None, 0)
    assert "data: " not in caplog.text
    assert knows("run")["train"]["before"] == [earlier]


def test_names_are_known_however_accents_are_spelled(caplog: pytest.LogCaptureFixture) -> None:
    """As after an archive of another system: the same samples, the same classes, nothing to tell."""
    pictures("photos", "apple", "lime")
    Path("photos/apple").rename("photos/p\u00eache")
    for path in sorted(Path("photos").rglob("*.png")):
        path.rename(path.with_stem(f"\u00e9{path.stem}"))
    trained("run", "photos")
    before, kept = lists("run"), accuracy("run")
    for path in sorted(Path("photos").rglob("*"), reverse=True):
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    assert accuracy("run") == kept
    assert main(["train", "resume=run", "trainer.max_epochs=2"]) in (None, 0)
    assert "data: " not in caplog.text
    assert [len(names) for names in lists("run").values()] == [len(names) for names in before.values()]


@pytest.mark.usefixtures("drawn")
def test_what_was_trained_on_is_never_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "run", ELSEWHERE, "data.split_seed=1"]) == 2
    assert "samples that the run was trained on (" in capsys.readouterr().err
    assert main(["train", "resume=run", ELSEWHERE, "trainer.max_epochs=2", "data.split_seed=1"]) == 2
    assert "data.split_seed: the run has trained with 0 and keeps it" in capsys.readouterr().err
    taken = Path("photos", sorted(lists("run")["test"])[0])
    taken.unlink()  # its class may have no other, and must not get one that was trained on
    accuracy("run", ELSEWHERE)


def test_seeds_are_tested_on_the_same_pictures() -> None:
    pictures("photos", "apple", "lime", count=12)
    for seed in (0, 1):
        trained(f"run{seed}", "photos", f"seed={seed}", "trainer.limit_train_batches=1")
    assert lists("run0") == lists("run1")
    assert knows("run0") == knows("run1")


@pytest.mark.slow
def test_classes_are_known_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    fruit("fruit", *COLORS)
    trained("run", "fruit", "trainer.max_epochs=6")
    assert not Path("run/splits").exists(), "they lie in folders of their own"
    fruit("without_apple", "lime", "plum")
    fruit("called_otherwise", *COLORS, apple="raspberry")
    assert main(["predict", "run", "without_apple/test", "--out", "answers"]) in (None, 0)
    rows = [json.loads(row) for row in Path("answers/predictions.jsonl").read_text().splitlines()]
    right = [row["class"] == Path(row["file"]).parent.name for row in rows]
    assert accuracy("run", "data.root=without_apple") == pytest.approx(sum(right) / len(right))
    assert sum(right) / len(right) > 0.9
    capsys.readouterr()
    for words in (["test", "run"], ["train", "resume=run", "trainer.max_epochs=7"]):
        assert main([*words, "data.root=called_otherwise"]) == 2
        said = capsys.readouterr().err
        assert "raspberry of these data is not among apple, lime, plum, which it was trained with" in said
    assert main(["train", "resume=run", "data.root=without_apple", "trainer.max_epochs=7"]) in (None, 0)
    assert accuracy("run", "data.root=without_apple") > 0.9


def test_masks_of_files_have_the_numbers_of_the_run_too() -> None:
    """Of the same masks with other numbers every figure is the same, also in pixels of the files."""
    MaskFolder.fake(Path("masks"), size=24, pictures=12)
    words = ("model=unet", "data=folder", "data.root=masks", "data.image_size=32", "data.workers=0")
    assert main(["train", "task=segmentation", *SMALL[2:5], *words, "run.dir=run"]) in (None, 0)
    shutil.copytree("masks", "others")
    Path("others/classes.txt").write_text("bar\nbackground\nsquare\n")
    number = np.arange(256, dtype=np.uint8)
    number[:3] = 1, 2, 0
    for path in Path("others/masks").iterdir():
        with Image.open(path) as mask:
            Image.fromarray(number[np.array(mask)]).save(path)
    figures = []
    for root in ("masks", "others"):
        assert main(["test", "run", f"data.root={root}"]) in (None, 0)
        figures.append(json.loads(Path("run/test.json").read_text()))
        assert figures[-1].pop("changes") == [f"data.root={root}"]
    assert figures[1] == pytest.approx(figures[0])


def test_other_words_than_those_of_training(capsys: pytest.CaptureFixture[str]) -> None:
    from vision_apps.core.errors import DataError
    from vision_apps.core.known_data import _require_same_words

    _require_same_words({"vocabulary": ["a", "b"], "mean": [0.1]}, {"vocabulary": ["a", "b"], "mean": [0.2]})
    with pytest.raises(DataError, match=r"its vocabulary \(b, a\) is not the one .* \(a, b\)"):
        _require_same_words({"vocabulary": ["b", "a"]}, {"vocabulary": ["a", "b"]})
