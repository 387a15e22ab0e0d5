"""MLflow without a server: a run in a database beside the runs, or where ``MLFLOW_TRACKING_URI`` says."""

import logging
import os
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from pytorch_lightning.loggers import MLFlowLogger
from pytorch_lightning.utilities import rank_zero_only

from vision_apps.core.errors import ConfigError
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.wandb_logger import reachable

URI = "MLFLOW_TRACKING_URI"
HERE = "sqlite:///mlflow.db"  # where `mlflow ui` looks, too
_ID = "mlflow"  # of run.json: the run's id there
_TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
# they tell that a new database, or a new experiment, is new
_TALKERS = ("mlflow.store.db.utils", "alembic", "pytorch_lightning.loggers.mlflow")


@contextmanager
def _environment_kept() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (URI, _TELEMETRY)}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class MlflowLogger(MLFlowLogger):
    """Lightning's logger of MLflow; a resumed run goes on in the same MLflow run. Of MLflow itself nothing is
    sent: its telemetry is off unless ``MLFLOW_DISABLE_TELEMETRY`` says otherwise.

    Args:
        folder, run_name: named by the engine.
        run_group: the run's sweep, if any, as the tag ``group``.
        tags_of_run: task, model and data, as tags of these names.
        experiment: the name that runs are listed below.
        tracking_uri: a database or a server; by default ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``.
        tags: more of them.

    Raises:
        ConfigError: MLflow is not installed, or does not take the address.
    """

    def __init__(
        self,
        folder: str | Path,
        run_name: str,
        run_group: str | None = None,
        tags_of_run: Sequence[str] = (),
        experiment: str = "vision_apps",
        tracking_uri: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        for name in _TALKERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        uri = tracking_uri or os.environ.get(URI) or HERE
        self.folder = RunFolder(folder)
        begun: Any = self.folder.record.get(_ID)
        self._begun = begun is not None
        named = dict(zip(("task", "model", "data"), tags_of_run, strict=False))
        grouped = {"group": run_group} if run_group else {}
        address = urlsplit(uri)
        if address.scheme in ("http", "https") and not reachable(uri):
            raise ConfigError(
                f"logger.mlflow.tracking_uri: {address.netloc} cannot be reached; expected an MLflow server "
                f"that answers, or {HERE} for a file here"
            )
        try:
            with _environment_kept():
                os.environ.setdefault(_TELEMETRY, "true")  # it is looked at while MLflow is imported
                super().__init__(
                    experiment_name=experiment,
                    run_name=run_name,
                    tracking_uri=uri,
                    tags={**named, **grouped, "folder": str(folder), **(tags or {})},
                    run_id=begun,
                )
        except ModuleNotFoundError:
            raise ConfigError("logger=mlflow needs MLflow: pip install 'vision-apps[mlflow]'") from None
        except Exception as error:  # of MLflow, which may not be imported before, and of the database
            raise ConfigError(
                f"logger.mlflow.tracking_uri: {uri}: {str(error).splitlines()[0]}; expected a database such "
                f"as {HERE}, or the address of an MLflow server"
            ) from error

    @property
    def experiment(self) -> Any:
        """MLflow's client, which leaves the next run of this process its own address."""
        with _environment_kept():
            return super().experiment

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Once: MLflow lets nobody change what a run began with."""
        if self._begun:
            return
        super().log_hyperparams(params)
        self.folder.note(**{_ID: self.run_id})

    @rank_zero_only
    def log_picture(self, name: str, picture: Image.Image, step: int) -> None:
        self.experiment.log_image(self.run_id, picture, key=name, step=step)

    @rank_zero_only
    def log_file(self, path: Path) -> None:
        self.experiment.log_artifact(self.run_id, str(path))
