"""What writes ``metrics.csv``, whatever other logger is used."""

import csv
from pathlib import Path

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from vision_apps.core.metrics_file import COLUMNS


class MetricsFile(Logger):
    """Appends ``step,epoch,name,value`` lines to the CSV file ``path``, in rank 0 alone."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: object, *args: object, **kwargs: object) -> None:
        """The configuration has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = int(metrics.get("epoch", -1))
        new = not self.path.is_file()
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(COLUMNS)
            writer.writerows(
                (step, epoch, name, f"{value:.8g}") for name, value in metrics.items() if name != "epoch"
            )
