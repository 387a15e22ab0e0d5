"""Where ``test`` and ``predict`` write, and which files they leave alone."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
import toy_run
from omegaconf import OmegaConf
from PIL import Image
from toy import ToyData, ToyModule

from vision_apps.cli import main
from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.errors import CheckpointError, ConfigError
from vision_apps.prediction.predict import predict
from vision_apps.trained import evaluate

pytestmark = pytest.mark.usefixtures("toy")


def saved(path: str, mean: list[float] | None = None, **changes: Any) -> str:
    """A checkpoint of the untrained toy, of data whose colours have this mean."""
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    config: Any = OmegaConf.to_container(toy_run.configure(None, changes), resolve=True)
    facts: dict[str, Any] = {"num_classes": 2, "image_size": 8} | ({"mean": mean} if mean else {})
    state = assembly.build_module(config, facts, trainable=False).state_dict()
    checkpoint_io.save({"state_dict": state, "config": config, "facts": facts}, Path(path))
    return path


def photo(name: str, brightness: int) -> bytes:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (brightness,) * 3).save(name)
    return Path(name).read_bytes()


def made() -> set[str]:
    return {str(path) for path in Path().rglob("*") if path.is_file()}


def test_a_checkpoint_outside_of_a_run_gets_nothing_beside_it(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.INFO)  # as in a new process
    Path("downloads").mkdir()
    Path("downloads/config.yaml").write_text("of something else: 1")
    # it was trained on two devices; it is measured on one
    place = saved("downloads/mine.ckpt", trainer__devices=2, trainer__strategy="ddp")
    photo("a.png", 200)
    before = made()

    values = evaluate.test(place, [])
    assert not caplog.records, "of devices and other products"
    kept = {"checkpoint": "mine.ckpt", "changes": [], **values}
    assert json.loads(Path("mine-test/test.json").read_text()) == kept
    assert "test.json and images/ in mine-test" in capsys.readouterr().out
    assert list(Path("mine-test/images").glob("test-sheet*.png"))

    assert predict(place, ["a.png"]) == Path("mine-predictions")
    assert {name.split("/")[0] for name in made() - before} == {"mine-test", "mine-predictions"}


def test_a_stranger_s_augmentation_is_not_built_and_its_networks_are_refused() -> None:
    network = {"_target_": "timm.create_model", "model_name": "resnet18", "pretrained": True}
    network["pretrained_cfg"] = {"url": "http://127.0.0.1:9/w.pth"}
    content = torch.load(saved("mine.ckpt"), weights_only=True)
    content["config"]["data"]["augment"] = {"x": network}
    checkpoint_io.save(content, Path("theirs.ckpt"))
    assert evaluate.test("theirs.ckpt", [])  # would not reach the address
    content["config"]["data"]["seed"] = network
    checkpoint_io.save(content, Path("theirs.ckpt"))
    with pytest.raises(ConfigError, match=r"data.seed.pretrained_cfg.url.*\n.*test theirs.ckpt data.seed"):
        evaluate.test("theirs.ckpt", [])


def test_a_checkpoint_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    place = saved("run/checkpoints/best.ckpt")
    assert evaluate.load(place).run is None  # there is no configuration: it only looks like a run
    Path("run/config.yaml").touch()
    for run in (evaluate.load(place).run, evaluate.load("run").run):
        assert run is not None and run.path == Path("run")
    monkeypatch.chdir("run/checkpoints")
    run = evaluate.load("best.ckpt").run
    assert run is not None and run.path.samefile("..")


def test_inputs_and_strangers_are_never_overwritten() -> None:
    place = saved("mine.ckpt")
    originals = {name: photo(name, level) for name, level in (("in/a.png", 10), ("in/b.jpg", 90))}
    originals["in/b.png"] = photo("in/b.png", 50)  # beside the inputs, but none

    def answer() -> list[str]:
        folder = predict(place, ["in/a.png", "in/b.jpg"], "in")
        rows = (folder / "predictions.jsonl").read_text().splitlines()
        return [json.loads(row)["picture"] for row in rows]

    assert answer() == ["a-2.png", "b-2.png"]
    assert answer() == ["a-2.png", "b-2.png"]  # ours may be replaced
    for name, content in originals.items():
        assert Path(name).read_bytes() == content
    photo("in/b-2.png", 70)  # somebody has mended an answer
    assert answer() == ["a-2.png", "b-3.png"]
    Path("in/predictions.jsonl").write_text("not ours")
    with pytest.raises(ConfigError, match=r"^in/predictions\.jsonl was not written by this command"):
        answer()
    assert Path("in/predictions.jsonl").read_text() == "not ours"


def test_a_checkpoint_without_what_a_test_needs() -> None:
    checkpoint = checkpoint_io.load(saved("mine.ckpt"))
    del checkpoint["config"]["data"], checkpoint["config"]["precision"]
    checkpoint_io.save(checkpoint, Path("mine.ckpt"))
    with pytest.raises(CheckpointError, match=r"^mine\.ckpt: its config lacks data, precision: it was not"):
        evaluate.test("mine.ckpt", [])


def test_predict_takes_allow_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    place = saved("mine.ckpt")
    photo("a.png", 200)
    monkeypatch.setenv("VISION_APPS_ALLOW", "")
    with pytest.raises(CheckpointError, match=r"allow_targets=\[toy\]"):
        predict(place, ["a.png"], "out")
    assert main(["predict", place, "a.png", "allow_targets=[toy]", "--out", "out"]) in (None, 0)
    (row,) = Path("out/predictions.jsonl").read_text().splitlines()
    assert json.loads(row)["file"] == "a.png"


def test_changes_have_their_effect_or_are_refused() -> None:
    saved("run/checkpoints/best.ckpt")
    Path("run/config.yaml").write_text("{}")
    before = made()
    changes = ["optimizer.lr=9", "data.limit_train=4", "model.width=4", "seed=3", "data.remainder=fill"]
    with pytest.raises(ConfigError) as caught:
        evaluate.test("run", changes)
    told = sorted(str(caught.value).splitlines())
    assert [line.partition(":")[0] for line in told] == [  # the width is the one that it has
        *("data.limit_train", "data.remainder", "optimizer.lr", "seed")
    ]
    assert told[2].startswith("optimizer.lr: 9 would change nothing: the run has trained with 0.001. What a")
    assert made() == before


def test_what_only_training_depends_on_is_the_modules_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    place = saved("mine.ckpt", module__poison=1000)
    with monkeypatch.context() as patched:
        patched.setattr(ToyModule, "learned_with", ("poison",), raising=False)
        with pytest.raises(ConfigError, match=r"^module\.poison: 2000 would change nothing"):
            evaluate.test(place, ["module.poison=2000"])
    assert evaluate.test(place, ["module.poison=2000"])


def test_pictures_are_measured_as_they_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    place, own = saved("mine.ckpt", mean=[0.2]), {"num_classes": 2, "image_size": 8, "mean": [0.9]}
    monkeypatch.setattr(ToyData, "fact_names", ("num_classes", "image_size", "mean"))
    monkeypatch.setattr(ToyData, "facts", own)
    assert evaluate.test(place, [])  # colours of other data are normalised as those of the run
    monkeypatch.setattr(ToyData, "facts", own | {"image_size": 4})
    with pytest.raises(
        ConfigError, match=r"^data\.image_size: 4, where the run has learned with 8 and predic"
    ):
        evaluate.test(place, [])


def test_on_another_device_than_it_was_trained_on() -> None:
    place = saved("mine.ckpt", trainer__accelerator="gpu", trainer__devices=[0, 1], trainer__strategy="ddp")
    assert "test/loss" in evaluate.test(place, ["trainer.accelerator=cpu"])
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"^trainer.accelerator: gpu, but torch sees no GPU here"):
            evaluate.test(place, [])


def test_a_test_that_was_limited_stays_so() -> None:
    limited = saved("limited.ckpt", trainer__limit_test_batches=1, data__eval_batch_size=7)
    one = evaluate.test(limited, [])
    first = ["trainer.limit_test_batches=1.0", "data.limit_test=7"]
    assert one == pytest.approx(evaluate.test(limited, first))
    assert evaluate.test(limited, ["trainer.limit_test_batches=1.0"]) != pytest.approx(one)
    with pytest.raises(ConfigError, match=r"^trainer.limit_test_batches: 0, so that there is nothing to te"):
        evaluate.test(limited, ["trainer.limit_test_batches=0"])


def test_words_that_do_not_fit_are_not_blamed_on_the_file() -> None:
    place = saved("mine.ckpt")
    with pytest.raises(ConfigError, match=r"^module\.poison: -1; expected at least 0$"):
        evaluate.test(place, ["module.poison=-1"])


def test_an_applications_callback_need_not_write() -> None:
    from vision_apps.core.run_folder import RunFolder

    kinds = ("detection.stage2.FitStage2", "navigation.episode_files.EpisodeFiles")
    nodes: Any = {name: {"_target_": f"vision_apps.applications.{name}"} for name in kinds}
    silent, writing = evaluate._of_application({"callbacks": {**nodes, "off": None}}, RunFolder("here"))
    assert not hasattr(silent, "folder") and writing.folder == Path("here")  # type: ignore[attr-defined]
