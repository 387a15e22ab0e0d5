"""What reaches a dashboard of the run folders, and when."""

import os
from pathlib import Path

import pytest
import small_runs

from vision_apps.core.run_folder import RunFolder
from vision_apps.dashboard.mirror import Mirror, Picture, Point, Shown

ROOT = Path("runs")
JOURNAL = Path("journal.jsonl")


class Recorded:
    """A dashboard that remembers what it was given."""

    def __init__(self) -> None:
        self.points: dict[str, list[Point]] = {}
        self.pictures: dict[str, list[Picture]] = {}
        self.runs: dict[str, Shown] = {}
        self.calls = 0

    def open(self, port: int | None) -> str:
        return "nowhere"

    def add(self, run: Shown, points: list[Point], pictures: list[Picture]) -> None:
        self.calls += 1
        self.runs[run.name] = run
        self.points.setdefault(run.name, []).extend(points)
        self.pictures.setdefault(run.name, []).extend(pictures)

    def forget(self, project: str, name: str) -> None:
        assert self.runs[name].project == project
        for kept in (self.points, self.pictures, self.runs):
            del kept[name]

    def close(self) -> None:
        pass

    def drawn(self, name: str) -> list[tuple[int, str, str]]:
        return [(picture.step, picture.name, picture.caption) for picture in self.pictures[name]]


@pytest.fixture
def board() -> Recorded:
    return Recorded()


@pytest.fixture
def mirror(board: Recorded) -> Mirror:
    ROOT.mkdir()
    return Mirror(ROOT, JOURNAL, board)


def test_a_run_is_followed(mirror: Mirror, board: Recorded) -> None:
    assert mirror.update() == []
    folder = small_runs.make(ROOT / "toy" / "0001-a", choices={"task": "toy"})
    assert mirror.update() == ["0001-a"]
    assert board.runs["0001-a"] == Shown(
        "toy", "0001-a", None, {"task": {"name": "toy"}, "model": {"width": 4}}, live=False
    )
    with folder.held():
        small_runs.train(folder, range(1))
        assert mirror.update() == []
        assert board.runs["0001-a"].live
        assert len(board.points["0001-a"]) == 5
        assert board.points["0001-a"][4] == Point(4, {"epoch": 0, "train/loss": 0.2, "val/loss": 1.0})
        small_runs.train(folder, range(1, 3))
        mirror.update()
    assert [point.step for point in board.points["0001-a"]] == list(range(15))
    assert board.drawn("0001-a") == [(5 * n + 4, "val/sheet", f"epoch {n + 1}") for n in range(3)]


def test_nothing_is_done_for_runs_that_stay(mirror: Mirror, board: Recorded) -> None:
    small_runs.train(small_runs.make(ROOT / "toy" / "0001-a"), range(2))
    mirror.update()
    mirror.update()
    assert board.calls == 1


def test_started_again_it_goes_on(mirror: Mirror, board: Recorded) -> None:
    folder = small_runs.make(ROOT / "toy" / "0001-a")
    small_runs.train(folder, range(2))
    mirror.update()
    with open(JOURNAL, "a") as file:
        file.write('{"run": "toy/0001-a", "do')  # killed while it wrote
    again = Recorded()
    small_runs.train(folder, range(2, 3))
    assert Mirror(ROOT, JOURNAL, again).update() == []  # known already
    assert [point.step for point in again.points["0001-a"]] == list(range(10, 15))
    assert again.drawn("0001-a") == [(14, "val/sheet", "epoch 3")]
    assert len(JOURNAL.read_text().splitlines()) == 2  # the old lines were put together


def test_resumed_from_an_earlier_step_it_is_shown_anew(mirror: Mirror, board: Recorded) -> None:
    folder = small_runs.make(ROOT / "toy" / "0001-a")
    small_runs.train(folder, range(3))
    mirror.update()
    (folder.path / "metrics.csv").unlink()
    small_runs.train(folder, range(1))
    small_runs.train(folder, range(1, 3), loss=2.0)
    mirror.update()
    assert [point.step for point in board.points["0001-a"]] == list(range(15))
    assert board.points["0001-a"][-1].values["val/loss"] == pytest.approx(2 / 3)
    assert [step for step, _, _ in board.drawn("0001-a")] == [4, 9, 14]


def test_a_run_that_is_deleted_goes(mirror: Mirror, board: Recorded) -> None:
    folder = small_runs.make(ROOT / "toy" / "0001-a")
    mirror.update()
    os.rename(folder.path, "elsewhere")
    mirror.update()
    assert not board.runs
    assert Mirror(ROOT, JOURNAL, board).update() == []


def test_names_are_titles_and_no_two_are_the_same(mirror: Mirror, board: Recorded) -> None:
    for sweep in ("0001-x", "0002-y"):
        record = {"title": "data.root=/a, lr=0.1", "group": sweep, "started": f"2026-01-{sweep[2:4]}"}
        small_runs.make(ROOT / "sweeps" / sweep / "trials" / "0000", **record)
    small_runs.make(ROOT / "other" / "0000")
    small_runs.make(ROOT / "toy" / "0000")
    small_runs.make(ROOT / "detection" / "0000", task="detection")  # of another project
    assert sorted(mirror.update()) == [
        "0000",
        "0000",
        "data.root=-a, lr=0.1",
        "data.root=-a, lr=0.1 (sweeps-0001-x-trials-0000)",
        "toy-0000",
    ]
    assert board.runs["data.root=-a, lr=0.1"].group == "0002-y"  # the newest comes first


def test_a_picture_waits_until_it_is_whole_and_its_epoch_is_logged(mirror: Mirror, board: Recorded) -> None:
    folder = small_runs.make(ROOT / "toy" / "0001-a")
    with folder.held():
        small_runs.train(folder, range(1))
        small_runs.draw(folder, "val-sheet-epoch-0001.png", 1)
        mirror.update()
        assert len(board.pictures["0001-a"]) == 1
        whole = (folder.images / "val-sheet-epoch-0001.png").read_bytes()
        small_runs.train(folder, range(1, 2))
        (folder.images / "val-sheet-epoch-0001.png").write_bytes(whole[:-20])
        mirror.update()
        assert len(board.pictures["0001-a"]) == 1
        (folder.images / "val-sheet-epoch-0001.png").write_bytes(whole)
        mirror.update()
    assert board.drawn("0001-a")[1:] == [(9, "val/sheet", "epoch 2")]


def test_pictures_of_the_test_are_at_the_last_step_and_drawn_again(mirror: Mirror, board: Recorded) -> None:
    folder = small_runs.make(ROOT / "toy" / "0001-a")
    small_runs.train(folder, range(2))
    small_runs.draw(folder, "test-sheet-best.png")
    small_runs.draw(folder, "notes.png")  # the user's own
    small_runs.finish(folder)
    mirror.update()
    assert board.drawn("0001-a") == [
        (4, "val/sheet", "epoch 1"),
        (9, "test/sheet", "best weights"),
        (9, "val/sheet", "epoch 2"),
    ]
    small_runs.draw(folder, "test-sheet-best.png", shade=9)  # after training longer
    small_runs.finish(folder)
    mirror.update()
    assert board.drawn("0001-a")[-1] == (9, "test/sheet", "best weights")
    assert len(board.pictures["0001-a"]) == 4


def test_half_written_runs_wait(mirror: Mirror, board: Recorded) -> None:
    folder = small_runs.make(ROOT / "toy" / "0001-a")
    config = folder.path / "config.yaml"
    text = config.read_text()
    config.write_text("task: [")
    (ROOT / "toy" / "0002-b").mkdir()
    (ROOT / "toy" / "0002-b" / "run.json").write_text('{"id')
    assert mirror.update() == []
    config.write_text(text)
    with open(folder.path / "metrics.csv", "w") as file:
        file.write("step,epoch,name,value\r\n0,0,train/loss,0.5\r\n1,0,train/lo")
    assert mirror.update() == ["0001-a"]
    assert board.points["0001-a"] == [Point(0, {"epoch": 0, "train/loss": 0.5})]


def test_one_run_can_be_the_folder(board: Recorded) -> None:
    folder: RunFolder = small_runs.make(Path("0001-a"))
    small_runs.train(folder, range(1))
    assert Mirror(folder.path, JOURNAL, board).update() == ["0001-a"]
