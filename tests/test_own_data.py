"""The experiment on data of one's own: folders laid out, and all of it at the smallest size."""

import csv
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.io import read_image

from scripts import REPOSITORY, loaded, script
from smallest import SMALLEST
from vision_apps.core.data import SPLITS
from vision_apps.data.boxes.csv import BoxCsv
from vision_apps.data.boxes.voc import VocFolder
from vision_apps.data.labels.cifar import CIFAR10
from vision_apps.data.labels.folder import ImageFolder
from vision_apps.data.masks.camvid import CamVid
from vision_apps.data.masks.folder import MaskFolder

HERE = REPOSITORY / "experiments/own_data"


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HERE)
    import prepare

    return prepare


@pytest.fixture
def shrunk(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HERE)
    import shrunk

    return shrunk


def fake_caltech3(root: Path) -> Path:
    """Ten pictures a class, of 30 x 20 px and more, with one object each."""
    rng = np.random.default_rng(0)
    for label in ("airplane", "face"):
        (root / "images" / label).mkdir(parents=True)
        rows = []
        for number in range(10):
            pixels = rng.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "images" / label / f"image_{number:04d}.jpg")
            rows.append([f"image_{number:04d}.jpg", number, 2, number + 15, 18, label])
        (root / "annotations").mkdir(exist_ok=True)
        with open(root / "annotations" / f"{label}.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows)
    return root


def fake_bccd(root: Path) -> Path:
    VocFolder.fake(root)
    return root


def fake_camvid(root: Path) -> Path:
    """Frames whose names differ from split to split, as the published ones do."""
    CamVid.fake(root)
    for split in SPLITS:
        for path in (*(root / split).iterdir(), *(root / f"{split}annot").iterdir()):
            path.rename(path.with_name(f"{split}-{path.name}"))
    return root


def fake_cifar(root: Path) -> Path:
    CIFAR10.fake(root)
    return root


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def counts(data: Any) -> list[int]:
    data.prepare_data()
    return [len(data.sample_names(split)) for split in SPLITS]


def test_a_folder_is_written_once_and_as_a_whole(prepare: ModuleType, tmp_path: Path) -> None:
    def write(to: Path) -> None:
        (to / "a").write_text("1")

    def fail(to: Path) -> None:
        write(to)
        raise FileNotFoundError("b")

    with pytest.raises(FileNotFoundError):
        prepare.once(tmp_path / "data/set", fail)
    assert not list((tmp_path / "data").iterdir())
    assert prepare.once(tmp_path / "data/set", write) == tmp_path / "data/set"
    prepare.once(tmp_path / "data/set", fail)
    assert names(tmp_path) == {"data/set/a"}


def test_aerial_pictures_are_the_same_in_both_published_orders(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(prepare.UCM_CLASSES) == 21 and sorted(prepare.UCM_CLASSES) == prepare.UCM_CLASSES
    monkeypatch.setattr(prepare, "UCM_CLASSES", prepare.UCM_CLASSES[:3])
    (tmp_path / "captions/imgs").mkdir(parents=True)
    for row, label in enumerate(prepare.UCM_CLASSES):
        folder = tmp_path / "published/Images" / label
        folder.mkdir(parents=True)
        for number in range(100):
            (folder / f"{label}{number:02d}.tif").write_text(f"{label} {number}")
            (tmp_path / f"captions/imgs/{100 * row + number + 1}.jpg").write_text(f"{label} {number}")
    for form in ("published", "captions"):
        to = tmp_path / f"from-{form}"
        prepare.ucm(tmp_path / form, to, 10)
        order = prepare.mixed(range(100))
        for split, expected in (("train", order[:10]), ("test", order[70:])):
            assert len(list((to / split).iterdir())) == 3
            for folder in (to / split).iterdir():
                found = {path.read_text() for path in folder.iterdir()}
                assert found == {f"{folder.name} {number}" for number in expected}
    with pytest.raises(ValueError, match="1 to 70"):
        prepare.ucm(tmp_path / "captions", tmp_path / "too-many", 71)


def test_cifar_becomes_photographs_of_the_first_of_each_class(prepare: ModuleType, tmp_path: Path) -> None:
    source, to = fake_cifar(tmp_path / "cifar"), tmp_path / "photos"
    prepare.cifar(source, to, per_class=3, tested=25)
    kept = CIFAR10(str(source)).read("train")
    for row in range(30):  # classes come in turn, so that the first 30 are three of each
        with Image.open(to / f"train/kind {row % 10}/{row:05d}.png") as image:
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        assert torch.equal(pixels, kept["images"][row])
    assert len(names(to / "train")) == 30 and len(names(to / "test")) == 25
    data = ImageFolder(str(to))
    train, val, test = counts(data)
    assert (train + val, test) == (30, 25) and data.facts["num_classes"] == 10


def test_a_voc_folder_keeps_the_published_test_pictures(prepare: ModuleType, tmp_path: Path) -> None:
    source, whole = fake_bccd(tmp_path / "voc"), tmp_path / "whole"
    whole.mkdir()
    prepare.bccd(source, whole)
    few = tmp_path / "few"
    few.mkdir()
    prepare.few_voc(whole, few, 5, seed=0)
    for folder, known in ((whole, 18), (few, 5)):
        train, val, test = counts(VocFolder(str(folder)))
        assert (train + val, test) == (known, 6) and val >= 1
        assert len(names(folder / "JPEGImages")) == known + 6, "no other picture is there"


def test_boxes_of_a_csv_are_split_by_class(prepare: ModuleType, tmp_path: Path) -> None:
    whole, few = tmp_path / "whole", tmp_path / "few"
    whole.mkdir()
    prepare.caltech3(fake_caltech3(tmp_path / "published"), whole)
    few.mkdir()
    prepare.few_csv(whole, few, 5, seed=0)
    for folder, known in ((whole, 16), (few, 5)):
        data = BoxCsv(str(folder), only="single")
        train, val, test = counts(data)
        assert (train + val, test) == (known, 4)
        assert sorted(data.sample_names("test")) == [
            f"images/{label}/image_000{n}.jpg" for label in ("airplane", "face") for n in (4, 9)
        ]
    labels = [row[-1] for row in csv.reader((few / "annotations/train.csv").read_text().splitlines())]
    assert sorted(Counter(labels).values()) == [2, 3], "the classes come in turn"


def test_masks_keep_the_test_frames_and_ignore_what_is_unlabelled(
    prepare: ModuleType, tmp_path: Path
) -> None:
    source, whole, few = fake_camvid(tmp_path / "camvid"), tmp_path / "whole", tmp_path / "few"
    prepare.camvid(source, whole)
    prepare.few_masks(whole, few, 5, seed=0)
    for folder, known in ((whole, 16), (few, 5)):
        data = MaskFolder(str(folder))
        train, val, test = counts(data)
        assert (train + val, test) == (known, 8) and data.class_names == list(prepare.CAMVID_CLASSES)
    for mask in (whole / "test/masks").iterdir():
        written = np.array(Image.open(mask))
        published = np.array(Image.open(source / "testannot" / mask.name))
        assert np.array_equal(written, np.where(published == 11, 255, published))


def test_small_pictures_keep_their_boxes(
    shrunk: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As shares of the picture they are the published ones, in both forms; of a class one is tested on."""
    import baselines  # beside `prepare`

    monkeypatch.setattr(shrunk, "TEST_OF_A_CLASS", 1)
    source = fake_caltech3(tmp_path / "published")
    for name in ("boxes", "objects"):
        (tmp_path / name).mkdir()
        getattr(shrunk, name)(source, tmp_path / name)
    data = BoxCsv(str(tmp_path / "boxes"), only="single")
    train, val, test = counts(data)
    assert (train + val, test) == (16, 2)
    train, val, test = counts(VocFolder(str(tmp_path / "objects")))
    assert (train + val, test) == (16, 2)
    found = baselines._located(tmp_path / "boxes", "test")
    published = np.array([[4 / 30, 2 / 24, 19 / 30, 18 / 24]] * 2)  # both of number 4: 30 x 24 px
    np.testing.assert_allclose(found.boxes, published, atol=0.01)
    (one, _) = baselines._objects(tmp_path / "objects", "test")
    assert one.size == (96, 77)
    np.testing.assert_allclose(one.boxes[0] / torch.tensor(2 * one.size), published[0], atol=0.01)


def test_strips_cut_pictures_and_masks_alike(shrunk: ModuleType, prepare: ModuleType, tmp_path: Path) -> None:
    source, to = tmp_path / "camvid", tmp_path / "strips"
    for split, count in (("train", 2), ("val", 1), ("test", 4)):
        for folder in (split, f"{split}annot"):
            (source / folder).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((8, 30), np.uint8)
            mask[:, 10:20], mask[:, 20:] = 1, 11
            pixels = np.stack([100 * mask.clip(max=2)] * 3, axis=2)
            Image.fromarray(pixels).save(source / split / f"{split}{number}.png")
            Image.fromarray(mask).save(source / f"{split}annot" / f"{split}{number}.png")
    shrunk.strips(source, to)
    assert len(names(to / "train/masks")) == 9
    assert names(to / "test/images") == {f"test{n}-{n % 3}.png" for n in range(4)}
    for split in ("train", "test"):
        for mask in (to / split / "masks").iterdir():
            place = int(mask.stem[-1])
            assert np.unique(np.array(Image.open(mask))).tolist() == [(0, 1, 255)[place]]
            middle = np.array(Image.open(to / split / "images" / mask.name))[64, 28]
            assert middle.tolist() == [(0, 100, 200)[place]] * 3
    data = MaskFolder(str(to))
    train, val, test = counts(data)
    assert (train + val, test) == (9, 4) and data.class_names == list(prepare.CAMVID_CLASSES)


def test_few_photographs_have_few_classes_and_their_tests(prepare: ModuleType, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    for label in "abcdefgh":
        for split, count in (("train", 9), ("test", 3)):
            (whole / split / label).mkdir(parents=True)
            for number in range(count):
                (whole / split / label / f"{number}.jpg").write_text(f"{split} {label} {number}")
    before: set[str] = set()
    for number, classes in ((5, 2), (20, 4), (60, 8), (1000, 8)):
        to = tmp_path / f"few-{number}"
        prepare.few_photos(whole, to, number, seed=0)
        kept = {name.split("/")[0]: 0 for name in names(to / "train")}
        for name in names(to / "train"):
            kept[name.split("/")[0]] += 1
        assert sum(kept.values()) == min(number, 72) and len(kept) == classes
        assert max(kept.values()) - min(kept.values()) <= 1
        assert {name.split("/")[0] for name in names(to / "test")} == set(kept)
        assert len(names(to / "test")) == 3 * classes
        assert before <= set(kept), "classes are added"
        before = set(kept)
    drawn = []
    for seed in (0, 1, 0):
        prepare.few_photos(whole, to := tmp_path / f"again-{len(drawn)}", 20, seed)
        drawn.append(names(to / "train"))
    assert drawn[0] == drawn[2] != drawn[1], "each seed draws others"


FAKES = {"bccd": fake_bccd, "caltech3": fake_caltech3, "camvid": fake_camvid, "cifar50": fake_cifar}
TINY = ["data.image_size=32", *SMALLEST]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAKES)
def test_a_set_is_measured_beside_its_baselines(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    experiment = script("own_data", monkeypatch, tmp_path)
    words = ["--from", str(FAKES[name](tmp_path / "published")), "--root", str(tmp_path / "laid-out"), *TINY]
    seeds = ["0", "1"] if name == "cifar50" else ["0"]
    monkeypatch.setattr(sys, "argv", ["run.py", name, *words, "--seeds", *seeds])
    experiment.main()
    written = (tmp_path / f"{name}.md").read_text()
    application = experiment.SETS[name].application
    lines = written.splitlines()
    task = f"python train.py task={application.task} data={application.data} data.root={tmp_path}"
    assert lines[0].startswith(f"`{task}")
    assert len({line.count("|") for line in lines[2:-2]}) == 1
    assert [line.split("|")[1].strip(" *") for line in lines[4:6]] == [*experiment.VARIANTS]
    assert len(lines) == 6 + len(application.baselines(tmp_path / "laid-out" / name, 32)) + 2
    for run in experiment.gather([str(tmp_path / "runs")]).runs:
        shown = f"{run.final[f'test/{application.metrics[0]}']:.4f}"
        assert shown in lines[4 if "first" in str(run.folder.path) else 5]
    trained = sorted(path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("best.ckpt"))
    assert len(trained) == 2 * len(seeds)
    experiment.main()  # finished runs are not trained again
    assert trained == sorted(path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("best.ckpt"))
    assert (tmp_path / f"{name}.md").read_text() == written


@pytest.mark.slow
def test_few_pictures_are_measured_beside_the_baselines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    experiment = script("own_data", monkeypatch, tmp_path)
    words = ["--from", str(fake_camvid(tmp_path / "published")), "--root", str(tmp_path / "laid-out"), *TINY]
    monkeypatch.setattr(sys, "argv", ["run.py", "camvid", *words, "--small", "5", "7", "--seeds", "0", "1"])
    experiment.main()
    lines = (tmp_path / "camvid-small.md").read_text().splitlines()
    assert len({line.count("|") for line in lines[2:8]}) == 1
    cells = [[cell.strip() for cell in line.split("|")] for line in lines[4:8]]
    of_each = [(sum(map(int, cell[1].split(",")[0].split("+"))), cell[2]) for cell in cells]
    assert of_each == [(number, metric) for number in (5, 7) for metric in ("miou", "accuracy")]
    for cell in cells:
        for figures in cell[3:-2]:  # of the network and the baselines
            median, one, other = map(float, re.findall(r"[\d.]+", figures))
            assert median == pytest.approx((one + other) / 2, abs=1e-4)
    folders = [tmp_path / f"laid-out/camvid-5-{seed}/train/images" for seed in (0, 1)]
    assert len(names(folders[0])) == 5 and names(folders[0]) != names(folders[1])
    assert read_image(tmp_path / "camvid-small.png").float().std() > 10


def test_curves_are_drawn_of_the_runs_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    import curves

    with pytest.raises(SystemExit, match="no run of bccd, camvid below"):
        curves.drawn(["bccd", "camvid"], tmp_path, tmp_path / "curves.png")
    for seed in (0, 1):
        (tmp_path / f"bccd/first/seed-{seed}").mkdir(parents=True)
        rows = ["step,epoch,name,value", "9,0,val/ap50,0.5", "9,0,val/ap,0.2", f"19,1,val/ap50,0.{seed + 6}"]
        (tmp_path / f"bccd/first/seed-{seed}/metrics.csv").write_text("\n".join(rows) + "\n")
    found = curves.curve("bccd", tmp_path)
    assert (found.metric, found.bar) == ("val/ap50", 0.9)
    assert found.runs == [[(9, 0.5), (19, 0.6)], [(9, 0.5), (19, 0.7)]]
    assert curves.curve("caltech3", tmp_path).metric == "val/box_mse"
    assert curves.drawn(["bccd", "ucm", "camvid"], tmp_path, tmp_path / "curves.png") == ["bccd"]
    assert read_image(tmp_path / "curves.png").float().std() > 10


def test_a_set_that_is_nowhere_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    experiment = script("own_data", monkeypatch, tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py", "sizes", "--root", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"own_data/run\.py ucm96 --from FOLDER"):
        experiment.main()
    for name in experiment.SETS:
        monkeypatch.setattr(sys, "argv", ["run.py", name, "--root", str(tmp_path), "--from", str(tmp_path)])
        with pytest.raises(SystemExit, match=r"--from: .* no "):
            experiment.main()
        assert not list(tmp_path.iterdir()), "nothing is left of what could not be laid out"


def test_several_seeds_are_a_median_and_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    experiment = loaded("own_data")
    assert experiment.figure("accuracy", [0.5, 0.25, 0.75]) == "0.5000 (0.5000, 0.2500, 0.7500)"
    assert experiment.figure("box_mse", [5e-4]) == "5.00e-04"
