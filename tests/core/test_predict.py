"""``test`` and ``predict``: from a run folder, from a checkpoint alone, never without weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run
from PIL import Image
from torch import Tensor
from toy import ToyModule

from vision_apps.core import checkpoint_io, evaluate
from vision_apps.core.errors import CheckpointError, ConfigError, DataError
from vision_apps.datasets.images import read_image
from vision_apps.prediction.predict import predict

pytestmark = pytest.mark.usefixtures("toy")
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
    assert json.loads((run / "test.json").read_text()) == values


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
    assert sorted(path.name for path in folder.iterdir()) == ["good.png", "predictions.jsonl"]
    assert capsys.readouterr().out.endswith("1 pictures and predictions.jsonl in out (1 unreadable)\n")


def test_nothing_but_unreadable_inputs(run: Path) -> None:
    Path("broken.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"none of the 1 files could be read; the reasons are in out/predictions"
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
    def files(self: ToyModule, image: Tensor, answer: Any, name: str) -> dict[str, bytes]:
        return {f"shapes/{name}.txt": str(tuple(image.shape)).encode()}

    def closing(self: ToyModule, rows: list[dict[str, Any]]) -> dict[str, bytes]:
        return {"all.json": json.dumps([row["file"] for row in rows]).encode()}

    monkeypatch.setattr(ToyModule, "files", files)
    monkeypatch.setattr(ToyModule, "closing_files", closing)
    Path("broken.png").write_text("none")
    names = [picture("a.png", 10), "broken.png", picture("b.png", 200)]
    out = predict(str(run), names, "out")
    assert {path.name: path.read_text() for path in (out / "shapes").iterdir()} == {
        "a.txt": "(3, 10, 12)",
        "b.txt": "(3, 10, 12)",
    }
    assert json.loads((out / "all.json").read_text()) == ["a.png", "b.png"]
    assert [(row.get("width"), row.get("height")) for row in answers(out)] == [
        (12, 10),
        (None, None),
        (12, 10),
    ]


def test_settings_of_the_module_can_be_changed(run: Path) -> None:
    trained = evaluate.load(str(run))
    assert trained.module().poison is None  # type: ignore[attr-defined]
    assert trained.module(["module.poison=3"]).poison == 3  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"module\.poisen: .* did you mean 'module\.poison'"):
        predict(str(run), [picture("a.png", 10)], None, ["module.poisen=3"])
