"""``test`` and ``predict``: from a run folder, from a checkpoint alone, never without weights."""

import errno
import itertools
import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import toy_run
from PIL import Image
from torch import Tensor
from toy import ToyModule, ToyPresentation

from vision_apps.core import checkpoint_io, hardware
from vision_apps.core.errors import CheckpointError, ConfigError, DataError, RunError
from vision_apps.core.fields import ImageInputs
from vision_apps.data.images import read_image
from vision_apps.prediction import progress, video
from vision_apps.prediction.ours import NOTES, Ours
from vision_apps.prediction.outputs import ROWS
from vision_apps.prediction.predict import predict
from vision_apps.prediction.video import Footage, VideoFile
from vision_apps.trained import evaluate

pytestmark = pytest.mark.usefixtures("toy")
needs_opencv = pytest.mark.skipif(find_spec("cv2") is None, reason="an optional package")
BROKEN = "cannot be decoded: cannot identify image file <_io.BufferedReader name='broken.png'>"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISION_APPS_ALLOW", "toy")
        toy_run.train(folder, test=True, optimizer__lr=0.1)
    return folder


@pytest.fixture
def run(trained: Path) -> Path:
    return Path(shutil.copytree(trained, "run"))


def picture(name: str, brightness: int) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (brightness,) * 3).save(name)
    return name


def answers(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_same_values_as_after_training(run: Path) -> None:
    expected = json.loads((run / "metrics.json").read_text())["final"]
    values = evaluate.test(str(run), [])
    assert values == {name: pytest.approx(expected[name]) for name in values}
    assert {"test/loss", "test/accuracy", "test/constant/accuracy"} == set(values)
    assert json.loads((run / "test.json").read_text()) == {"checkpoint": "best.ckpt", "changes": [], **values}
    fewer = evaluate.test(str(run / "checkpoints" / "last.ckpt"), ["data.limit_test=2"])
    of_others = {"checkpoint": "last.ckpt", "changes": ["data.limit_test=2"], **fewer}
    assert json.loads((run / "test.json").read_text()) == of_others


def test_checkpoint_alone_copied_elsewhere(run: Path) -> None:
    expected = evaluate.test(str(run), [])
    Path("elsewhere").mkdir()
    shutil.copy(run / "checkpoints/best.ckpt", "elsewhere/mine.ckpt")
    shutil.rmtree(run)
    assert evaluate.test("elsewhere/mine.ckpt", []) == expected
    predict("elsewhere/mine.ckpt", [picture("a.png", 200)])
    assert answers(Path("mine-predictions"))[0]["file"] == "a.png"


def test_best_before_last(run: Path) -> None:
    best = checkpoint_io.load(run / "checkpoints/best.ckpt")
    assert evaluate.load(str(run)).checkpoint["global_step"] == best["global_step"]
    (run / "checkpoints/best.ckpt").unlink()
    assert evaluate.load(str(run)).checkpoint["global_step"] == 18
    assert evaluate.load(str(run / "checkpoints/previous.ckpt")).checkpoint["global_step"] == 12


def test_never_without_weights(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    for ask in (evaluate.load, lambda place: predict(place, ["x.png"])):
        with pytest.raises(
            CheckpointError, match=r"^run/checkpoints has no checkpoint that can be read \(best"
        ):
            ask(str(run))


def test_other_data_and_wrong_keys(run: Path) -> None:
    assert evaluate.test(str(run), ["data.limit_test=10"]) != evaluate.test(str(run), [])
    with pytest.raises(
        ConfigError, match=r"^data.limit_tes: the run has no such key; did you mean 'data.limit_test'"
    ):
        evaluate.test(str(run), ["data.limit_tes=10"])


def test_weights_that_do_not_fit(run: Path) -> None:
    checkpoint = checkpoint_io.load(run / "checkpoints/best.ckpt")
    checkpoint["state_dict"]["network.head.weight"] = torch.zeros(3, 4)
    checkpoint_io.save(checkpoint, run / "checkpoints/best.ckpt")
    with pytest.raises(CheckpointError, match=r"weights do not fit (its|the checkpoint's) configuration"):
        evaluate.test(str(run), [])
    del checkpoint["config"]
    checkpoint_io.save(checkpoint, run / "checkpoints/best.ckpt")
    with pytest.raises(
        CheckpointError, match="the checkpoint has no 'config': it was not written by a vision_apps"
    ):
        evaluate.test(str(run), [])


def test_pictures_and_rows(run: Path) -> None:
    inputs = [picture("dark.png", 60), picture("bright.png", 200)]
    folder = predict(str(run), inputs)
    assert folder == run / "predictions"
    rows = answers(folder)
    assert [row["file"] for row in rows] == inputs
    assert [row["picture"] for row in rows] == inputs
    assert rows[0]["bright"] < rows[1]["bright"]
    assert read_image(folder / "bright.png").shape == (3, 10, 12)


def test_unreadable_inputs_become_rows(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.png").write_bytes(b"")
    folder = predict(str(run), ["broken.png", picture("good.png", 100)], "out")
    assert answers(folder)[0] == {"file": "broken.png", "error": BROKEN}
    assert answers(folder)[1]["picture"] == "good.png"
    assert sorted(path.name for path in folder.iterdir()) == [NOTES, "good.png", "predictions.jsonl"]
    assert capsys.readouterr().out.endswith("1 pictures and predictions.jsonl in out (1 failed)\n")


def test_nothing_but_unreadable_inputs(run: Path) -> None:
    Path("broken.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"none of the 1 inputs could be answered; the reasons are in out/predictions"
    ):
        predict(str(run), ["broken.png"], "out")


def test_names_that_collide(run: Path) -> None:
    inputs = [picture("a/x.png", 10), picture("b/x.png", 100), picture("c/x-2.png", 200)]
    folder = predict(str(run), inputs)
    written = [row["picture"] for row in answers(folder)]
    assert len(set(written)) == 3
    assert written[0] == "x.png"
    for name, brightness in zip(written, (10, 100, 200), strict=True):
        assert (read_image(folder / name) == brightness).all()


def test_an_application_writes_files_of_its_own(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files(self: Any, inputs: ImageInputs, answer: Any, name: str, file: str) -> dict[str, bytes]:
        return {f"shapes/{name}.txt": f"{file} {tuple(inputs.images[0].shape)}".encode()}

    def closing(self: Any, rows: list[dict[str, Any]]) -> dict[str, bytes]:
        return {"all.json": json.dumps([row["file"] for row in rows]).encode()}

    monkeypatch.setattr(ToyPresentation, "files", files)
    monkeypatch.setattr(ToyPresentation, "closing_files", closing)
    Path("broken.png").write_text("none")
    names = [picture("a.png", 10), "broken.png", picture("b.png", 200)]
    out = predict(str(run), names, "out")
    assert {path.name: path.read_text() for path in (out / "shapes").iterdir()} == {
        "a.txt": "a.png (3, 10, 12)",
        "b.txt": "b.png (3, 10, 12)",
    }
    assert json.loads((out / "all.json").read_text()) == ["a.png", "b.png"]
    sizes = [(row.get("width"), row.get("height")) for row in answers(out)]
    assert sizes == [(12, 10), (None, None), (12, 10)]


def test_a_file_about_all_does_not_outlive_them(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closing(self: Any, rows: Any) -> dict[str, bytes | None]:
        return {"dark.json": b"" if "dark" in str(list(rows)) else None}

    monkeypatch.setattr(ToyPresentation, "closing_files", closing)
    for by_hand in ([], [Path("out/dark.json")]):
        assert all(path.write_text("mine") for path in by_hand)
        for name, ours in (("dark.png", 1), ("light.png", 0)):
            out = predict(str(run), [picture(name, 10)], "out")
            assert len([*out.glob("dark*.json")]) == ours + len(by_hand)


def test_files_of_someone_else_are_never_overwritten(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files(self: Any, inputs: ImageInputs, answer: Any, name: str, file: str) -> dict[str, bytes]:
        return {f"{folder}/{name}.txt": name.encode() for folder in ("masks", "shapes")}

    def closing(self: Any, rows: Any) -> dict[str, bytes]:
        return {"all.json": json.dumps([row["picture"] for row in rows]).encode()}

    monkeypatch.setattr(ToyPresentation, "files", files)
    monkeypatch.setattr(ToyPresentation, "closing_files", closing)
    names = [picture("out/in/a.png", 10), picture("out/in/b.png", 200)]
    theirs = [Path("out/shapes/a.txt"), Path("out/all.json"), Path("out/b.png"), Path("out/masks/b-2.txt")]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("by hand")
    for _ in range(2):  # what is ours may be replaced
        out = predict(str(run), names, "out")
        assert [row["picture"] for row in answers(out)] == ["a-2.png", "b-3.png"]
        assert json.loads((out / "all-2.json").read_text()) == ["a-2.png", "b-3.png"]
        ours = {str(path.relative_to(out)) for path in out.rglob("*.txt")} - {"shapes/a.txt", "masks/b-2.txt"}
        assert ours == {f"{where}/{name}.txt" for where in ("masks", "shapes") for name in ("a-2", "b-3")}
        assert {path.read_text() for path in theirs} == {"by hand"}
    theirs += [Path("out/masks/a-2.txt"), Path("out/all-2.json")]
    for path in theirs[-2:]:
        path.write_text("by hand")  # ours until somebody changed it
    out = predict(str(run), names, "out")
    assert [row["picture"] for row in answers(out)] == ["a-3.png", "b-3.png"]
    assert {path.read_text() for path in theirs} == {"by hand"}
    assert not list(out.rglob(".*.*.*")), "nothing half written is left"


def test_rows_of_an_earlier_call_stay_where_a_later_one_fails(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(str(run), [picture("a.png", 10)], "out")
    before = (Path("out") / ROWS).read_text()
    Path("broken.png").write_text("none")
    with pytest.raises(DataError, match=rf"the reasons are in out/{ROWS}\.part"):
        predict(str(run), ["broken.png"], "out")
    assert (Path("out") / ROWS).read_text() == before
    assert json.loads((Path("out") / f"{ROWS}.part").read_text())["file"] == "broken.png"

    def full(self: Ours, name: str, content: bytes) -> None:
        if name == "c.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, name, content)

    write = Ours.write
    monkeypatch.setattr(Ours, "write", full)
    for folder in ("out", "new"):
        with pytest.raises(
            RunError, match=rf"^{folder}: cannot be written: No space left on device; what was"
        ):
            predict(str(run), [picture("b.png", 10), picture("c.png", 10)], folder)
    assert (Path("out") / ROWS).read_text() == before
    assert [row["file"] for row in answers(Path("new"))] == ["b.png"], "what was answered is kept"
    predict(str(run), ["a.png"], "out")
    assert [row["file"] for row in answers(Path("out"))] == ["a.png"]


def test_settings_of_the_module_can_be_changed(run: Path) -> None:
    trained = evaluate.load(str(run))
    assert trained.module().poison is None  # type: ignore[attr-defined]
    assert trained.module(["module.poison=3"]).poison == 3  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"module\.poisen: .* did you mean 'module\.poison'"):
        predict(str(run), [picture("a.png", 10)], None, ["module.poisen=3"])


def film(name: str, frames: int = 12) -> str:
    file = VideoFile(Path(name), 10)
    for number in range(frames):
        file.write(torch.full((3, 32, 32), 20 * number % 240, dtype=torch.uint8), number / 10)
    file.close()
    return name


def frames(place: Path) -> list[float]:
    """The brightness of each frame of a video; encoding it twice takes a few levels."""
    return [float(frame.image.float().mean()) for frame in Footage(place).frames()]


@needs_opencv
def test_a_video(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.mp4").write_bytes(b"")
    inputs = [picture("a.png", 10), film("film.mp4"), "bad.mp4", picture("b.png", 200)]
    folder = predict(str(run), inputs, "out")
    rows = answers(folder)
    assert [row["file"] for row in rows] == ["a.png", *["film.mp4"] * 12, "bad.mp4", "b.png"]
    assert rows[13] == {"file": "bad.mp4", "error": "the file is empty"}
    assert [(row["frame"], row["time"]) for row in rows[1:13]] == [(n, round(n / 10, 3)) for n in range(12)]
    assert {row["video"] for row in rows[1:13]} == {"film.mp4"}
    assert rows[1]["bright"] < rows[12]["bright"]
    assert frames(folder / "film.mp4") == pytest.approx([20 * n for n in range(12)], abs=8)
    assert sorted(path.name for path in folder.iterdir()) == [NOTES, "a.png", "b.png", "film.mp4", ROWS]
    assert capsys.readouterr().out.endswith(
        f"2 pictures, 1 video of 12 frames and {ROWS} in out (1 failed)\n"
    )


@needs_opencv
def test_some_frames_of_a_video_take_as_long(run: Path) -> None:
    folder = predict(str(run), [film("film.mp4")], "out", every=5)
    assert [row["frame"] for row in answers(folder)] == [0, 5, 10]
    assert frames(folder / "film.mp4") == pytest.approx([0] * 5 + [100] * 5 + [200], abs=8)


@needs_opencv
def test_videos_of_an_earlier_call_are_replaced_and_others_are_not(run: Path) -> None:
    film("film.mp4")
    for _ in range(2):
        predict(str(run), ["film.mp4"], ".")
        assert {row["video"] for row in answers(Path())} == {"film-2.mp4"}
    assert len(frames(Path("film.mp4"))) == 12


def interrupt_after(pictures: int, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the network works."""
    original, seen = ToyModule.outputs, [0]

    def outputs(self: ToyModule, inputs: ImageInputs) -> Tensor:
        seen[0] += len(inputs.images)
        if seen[0] > pictures:
            raise KeyboardInterrupt
        return original(self, inputs)

    patch.setattr(ToyModule, "outputs", outputs)


def test_stopped(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = [picture(f"in/{number:03d}.png", number) for number in range(200)]
    with monkeypatch.context() as patch:
        interrupt_after(60, patch)
        with pytest.raises(KeyboardInterrupt):
            predict(str(run), inputs, "out", batch=1)
    rows = answers(Path("out"))
    assert 20 <= len(rows) <= 60 and [row["file"] for row in rows] == inputs[: len(rows)]
    for number, row in enumerate(rows):
        assert (read_image(Path("out") / row["picture"]) == number).all()
    assert capsys.readouterr().out.endswith(f"{len(rows)} pictures and {ROWS} in out\n")
    predict(str(run), inputs, "out")
    assert [row["picture"] for row in answers(Path("out"))] == [Path(name).name for name in inputs]


@needs_opencv
def test_a_webcam_goes_on_until_ctrl_c(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2 = video.require()
    film("seen.mp4", 100)
    capture = cv2.VideoCapture
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "VideoCapture", lambda source: capture("seen.mp4"))
        interrupt_after(80, patch)
        folder = predict(str(run), ["webcam:1"], "out", batch=1)
    rows = answers(folder)
    assert 40 <= len(rows) <= 80 and [row["frame"] for row in rows] == list(range(len(rows)))
    assert {row["video"] for row in rows} == {"webcam-1.mp4"}
    assert len(frames(folder / "webcam-1.mp4")) >= len(rows)  # closed, and complete


@needs_opencv
def test_progress(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(ticks) / 100))
    inputs = [picture(f"in/{number:02d}.png", number) for number in range(40)]
    Path("in/07.png").write_bytes(b"")
    predict(str(run), inputs, "out")
    written = capsys.readouterr()
    lines = written.out.splitlines()
    assert len(lines) == 3 and not written.err  # not one for each picture
    assert lines[0].startswith("failed  in/07.png: cannot be decoded")
    assert re.fullmatch(r"batch   \d+ \(12 x 10\)", lines[1])

    monkeypatch.setattr(progress, "_LINE_SECONDS", 0)
    predict(str(run), inputs, "out", batch=4)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"20/40 · [\d.,]+ pictures/s · 0:0\d left", lines[20])
    assert not any(line.startswith("batch") for line in lines)

    monkeypatch.setattr(progress, "_LIVE_SECONDS", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    predict(str(run), [film("film.mp4")], "out", batch=4)
    assert re.search(r"\r\033\[K1/1 · film.mp4 frame 6/12 · [\d.,]+ pictures/s", capsys.readouterr().err)


def test_a_folder_that_cannot_be_made(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.png/x: cannot be written: .*; choose another folder"):
        predict(str(run), [picture("a.png", 10)], "a.png/x")


def test_the_settings_of_the_machine(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(hardware, "keep_freed_memory", lambda: kept.append(True))
    layouts: list[bool] = []
    original = ToyModule.outputs

    def outputs(self: ToyModule, inputs: ImageInputs) -> Tensor:
        weight = self.network.conv.weight  # type: ignore[union-attr]
        layouts.append(weight.is_contiguous(memory_format=torch.channels_last))
        return original(self, inputs)

    monkeypatch.setattr(ToyModule, "outputs", outputs)
    monkeypatch.setattr(
        hardware,
        "resolve",
        lambda config: hardware.Settings("32-true", channels_last=True, keep_memory=True, reasons=()),
    )
    predict(str(run), [picture("a.png", 10)], "out")
    assert kept == [True] and layouts == [True]
