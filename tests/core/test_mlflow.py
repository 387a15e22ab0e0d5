"""MLflow gets what the run folder has, in a file here, and a resumed run goes on in the same one."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_run
from pytorch_lightning.loggers import MLFlowLogger
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy
from toy import ToyModule, ToyPresentation

from vision_apps.core import engine, mlflow_logger
from vision_apps.core.errors import ConfigError
from vision_apps.core.presentation import Row, class_rows
from vision_apps.core.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("toy", "no_server")
TARGET = "vision_apps.core.mlflow_logger.MlflowLogger"
CHOICES = {"task": "toy", "model": "toy_net", "data": "toy_pictures"}


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("mlflow")
    levels = {name: logging.getLogger(name).level for name in mlflow_logger._TALKERS}
    for name in (mlflow_logger.URI, mlflow_logger._TELEMETRY):
        monkeypatch.delenv(name, raising=False)
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def logged(**settings: Any) -> dict[str, Any]:
    return {"logger": {"mlflow": {"_target_": TARGET, **settings}}}


def client(uri: str = mlflow_logger.HERE) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def tables(self: ToyPresentation, measured: dict[str, Any]) -> dict[str, list[Row]]:
    return {"classes": class_rows(["dark", "bright"], right=measured["right"])} if "right" in measured else {}


def more(self: ToyModule) -> dict[str, Metric]:
    return {"right": MulticlassAccuracy(2, average="none")}


@pytest.mark.slow
def test_it_gets_what_the_folder_has_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyPresentation, "tables", tables)
    monkeypatch.setattr(ToyModule, "build_test_metrics", more)
    config = toy_run.configure(
        Path("run"), logged(tags={"who": "me"}) | {"trainer.max_epochs": 2, "test": True}
    )
    engine.train(config, CHOICES)
    run_id = RunFolder("run").record["mlflow"]
    found = client().get_run(run_id)
    assert found.data.tags.items() >= {**CHOICES, "who": "me", "folder": "run"}.items()
    assert found.data.params["trainer/max_epochs"] == "2" and found.info.status == "FINISHED"
    assert {"train/loss", "val/loss", "test/accuracy", "test/constant/accuracy"} <= set(found.data.metrics)
    history = client().get_metric_history(run_id, "val/loss")
    assert [point.step for point in history] == [5, 11]
    images = [Path(one.path).name for one in client().list_artifacts(run_id, "images")]
    assert {name.split("+")[0] for name in images} == {"val~sheet", "test~sheet"}
    assert "test-classes.csv" in [one.path for one in client().list_artifacts(run_id)]

    engine.resume("run", ["trainer.max_epochs=3"])
    assert RunFolder("run").record["mlflow"] == run_id
    history = client().get_metric_history(run_id, "val/loss")
    assert [point.step for point in history] == [5, 11, 17]
    (experiment,) = client().search_experiments(filter_string="name = 'vision_apps'")
    assert len(client().search_runs([experiment.experiment_id])) == 1


def refused(**settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        engine.train(toy_run.configure(Path("run"), logged(**settings)))
    assert not Path("run").exists()
    return str(caught.value)


def test_what_is_refused_leaves_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    told = refused(tracking_uri="http://127.0.0.1:9")
    assert told.startswith("logger.mlflow.tracking_uri: 127.0.0.1:9 cannot be reached; expected an MLflow")
    told = refused(tracking_uri="file:mlruns")
    assert told.startswith("logger.mlflow.tracking_uri: file:mlruns: The filesystem tracking backend")


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytorch_lightning.loggers.mlflow._MLFLOW_AVAILABLE", False)
    assert refused() == "logger=mlflow needs MLflow: pip install 'vision-apps[mlflow]'"


@pytest.mark.parametrize(("said", "meant"), [(None, "true"), ("false", "false")])
def test_telemetry_is_off_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, said: str | None, meant: str
) -> None:
    """While MLflow is imported, which in a test never sends anything; then the variable is as before."""
    if said is not None:
        monkeypatch.setenv(mlflow_logger._TELEMETRY, said)
    seen: list[str | None] = []

    def imported(self: MLFlowLogger, **arguments: Any) -> None:
        seen.append(os.environ.get(mlflow_logger._TELEMETRY))

    monkeypatch.setattr(MLFlowLogger, "__init__", imported)
    mlflow_logger.MlflowLogger("run", "run")
    assert seen == [meant] and os.environ.get(mlflow_logger._TELEMETRY) == said
