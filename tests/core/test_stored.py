"""What the configuration in a stranger's run may not do by itself."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import toy_run

from vision_apps.core import engine, stored
from vision_apps.core.errors import ConfigError
from vision_apps.core.run_folder import RunFolder
from vision_apps.trained import evaluate

RUN = Path("run")
CHECKPOINT = "pytorch_lightning.callbacks.ModelCheckpoint"
OUTSIDE: dict[str, Any] = {
    "callbacks.m": {"_target_": CHECKPOINT, "dirpath": "{}/out"},
    "callbacks.relative": {"_target_": CHECKPOINT, "dirpath": "out"},
    "callbacks.up": {"_target_": CHECKPOINT, "filename": "../../out"},
    "callbacks.home": {"_target_": CHECKPOINT, "dirpath": "~/out"},
    "logger.csv": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "{}/out"},
    "logger.board": {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": "out"},
    "logger.remote": {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": "s3://x/y"},
    "logger.wandb": {"_target_": "pytorch_lightning.loggers.WandbLogger", "save_dir": "{}/out"},
    "trainer.profiler": {"_target_": "pytorch_lightning.profilers.SimpleProfiler", "dirpath": "{}/out"},
    "callbacks.grid_features": {"_target_": "vision_apps.data.kept_features.KeptFeatures", "cache": "out"},
    "model.pretrained_cfg": {"url": "http://127.0.0.1:9/w.pth"},
    "model.cache_dir": "{}/out",
    "model.model_name": "hf-hub:somebody/network",
    "model._args_": [" HF-hub:somebody/network"],
    "model.checkpoint_path": "{}/w.pth",
    "model.pretrained_cfg_overlay": {"hf_hub_id": "somebody/network"},
    "model.pretrained_cfg_of_file": {"file": "w.pth"},
    "data.network": {
        "_target_": "timm.models.create_model",
        "pretrained_cfg": {"url": "http://127.0.0.1:9/w"},
    },
    "logger.positional": {"_target_": "pytorch_lightning.loggers.CSVLogger", "_args_": ["out"]},
    "logger.mlflow": {"_target_": "pytorch_lightning.loggers.MLFlowLogger", "tracking_uri": "file:/tmp/x"},
    # in the run when seen from here, which is not where it is seen from
    "callbacks.back": {"_target_": CHECKPOINT, "filename": "run/../run/x"},
}


def named(node: Any, place: Path) -> Any:
    """With the folder of the test in it."""
    if isinstance(node, dict):
        return {name: named(value, place) for name, value in node.items()}
    return (
        [named(value, place) for value in node] if isinstance(node, list) else node.replace("{}", str(place))
    )


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("key", OUTSIDE)
def test_a_place_outside_is_refused_before_anything_is_built(
    key: str, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, RUN)
    folder = RunFolder(RUN)
    config = folder.read_config()
    group, name = key.split(".")
    config[group][name] = named(OUTSIDE[key], tmp_path)
    folder.write_config(config)
    before = sorted(Path().rglob("*"))
    with pytest.raises(ConfigError, match=rf"run may be anybody's.*\n  {key}") as caught:
        engine.resume("run", ["trainer.max_epochs=2"])
    assert "if you trust them, name them: " in str(caught.value)
    assert sorted(Path().rglob("*")) == before


def test_a_run_begins_with_no_file_of_weights_by_itself() -> None:
    published = {"weights": "DEFAULT", "weights_backbone": "IMAGENET1K_V2", "name": "resnet18.a1_in1k"}
    assert stored.outside({"model": published}, RunFolder(RUN), (), begins=True) == {}
    Path("plain").touch()
    for file in ("w.pth", "plain", "~/w", "a/b"):
        config = {"model": {"backbone": {"weights": file}}}
        assert stored.outside(config, RunFolder(RUN), (), begins=True) == {"model.backbone.weights": file}
        assert stored.outside(config, RunFolder(RUN), {"model.backbone.weights"}, begins=True) == {}
        assert stored.outside(config, RunFolder(RUN), ()) == {}  # whose weights are in its checkpoint


@pytest.mark.usefixtures("toy")
def test_what_is_looked_up_here_is_refused(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of the environment would end in a checkpoint or at a logger."""
    monkeypatch.setenv("SECRET", "sesame")
    shutil.copytree(finished, RUN)
    folder = RunFolder(RUN)
    config = folder.read_config()
    config["optimizer"]["weight_decay"] = "${oc.decode:${oc.env:SECRET}}"
    folder.write_config(config)
    with pytest.raises(
        ConfigError, match=r"run: optimizer.weight_decay: .*; expected a value, not one that is"
    ):
        engine.resume("run", ["trainer.max_epochs=2"])
    engine.resume("run", ["trainer.max_epochs=2", "optimizer.weight_decay=0"])
    assert not any("sesame" in path.read_text(errors="replace") for path in RUN.rglob("*") if path.is_file())


@pytest.mark.usefixtures("toy")
def test_what_is_named_by_hand_is_done(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    node = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": out}
    toy_run.train(RUN, trainer__max_epochs=1, logger__csv=node)
    shutil.rmtree(out)
    engine.resume("run", ["trainer.max_epochs=2", f"logger.csv.save_dir={out}"])
    assert list(Path(out).rglob("metrics.csv"))


@pytest.mark.usefixtures("toy")
def test_a_place_in_a_run_that_was_moved_moves_with_it() -> None:
    board = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "run", "name": "figures"}
    toy_run.train(RUN, trainer__max_epochs=1, logger__csv=board)
    RUN.rename("elsewhere")
    engine.resume("elsewhere", ["trainer.max_epochs=2"])
    assert not RUN.exists()
    assert list(Path("elsewhere/figures").rglob("metrics.csv"))


def test_a_stored_download_is_not_heeded() -> None:
    config = {"data": {"download": True, "pictures": {"download": True, "root": "x"}}}
    notes = stored.without_downloads(config, {"data.pictures.download"})
    assert config == {"data": {"download": False, "pictures": {"download": True, "root": "x"}}}
    assert notes == [
        "data.download: as it is stored it is not heeded; to fetch what is missing add data.download=true"
    ]


@pytest.mark.usefixtures("toy")
def test_neither_resume_nor_test_fetches(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, RUN)
    asked: list[object] = []
    monkeypatch.setattr(stored, "without_downloads", lambda config, known: asked.append(known) or [])
    engine.resume("run", ["trainer.max_epochs=2"])
    evaluate.test("run", [])
    assert asked == [{"trainer.max_epochs"}, set()]
