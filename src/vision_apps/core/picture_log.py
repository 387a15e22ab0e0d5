"""What a run draws of itself, in its folder and for its loggers."""

import io
import json
from itertools import islice
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from vision_apps.core.data import Split, VisionData
from vision_apps.core.loader import BatchLoader
from vision_apps.core.mlflow_logger import MlflowLogger
from vision_apps.core.module import VisionModule
from vision_apps.core.neutral import csv_text
from vision_apps.core.pictures import to_pil
from vision_apps.core.plain_files import write_whole
from vision_apps.core.presentation import Drawn, Row, joined


def log_picture(trainer: pl.Trainer, name: str, picture: Tensor) -> None:
    """Give a picture to every logger of the run that can show it; always the same name, so that one can go
    through the epochs."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [to_pil(picture)], step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, trainer.global_step)
        elif isinstance(logger, MlflowLogger):
            logger.log_picture(name, to_pil(picture), trainer.global_step)


def log_table(trainer: pl.Trainer, name: str, pictures: list[Tensor], descriptions: list[Row]) -> None:
    """Give W&B one row per picture, uint8 [3, h, w]: the picture, and what was predicted as ``describe`` says
    it."""
    columns = list(dict.fromkeys(key for row in descriptions for key in row))
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            rows = [
                [index, wandb.Image(to_pil(picture)), *(_cell(row.get(column)) for column in columns)]
                for index, (picture, row) in enumerate(zip(pictures, descriptions, strict=True))
            ]
            logger.log_table(name, ["sample", "picture", *columns], rows, step=trainer.global_step)


def log_rows(trainer: pl.Trainer, name: str, rows: list[Row], path: Path) -> None:
    """Give W&B a table of numbers and texts, whose rows have the same keys, and MLflow its file."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and rows:
            values = [list(row.values()) for row in rows]
            logger.log_table(name, list(rows[0]), values, step=trainer.global_step)
        elif isinstance(logger, MlflowLogger):
            logger.log_file(path)


def _cell(value: object) -> str | int | float | None:
    """A number, text or nothing as it is, anything else as JSON."""
    return value if isinstance(value, str | int | float | None) else json.dumps(value)


class Pictures(pl.Callback):
    """Draws the first validation samples after each validation and the first test samples after the test,
    whose tables (``test-<name>.csv``) it writes, too.

    Args:
        every_n_epochs: draw after every n-th epoch (and always after the last).
        samples: rows of the sheet.
        folder: the run's; PNGs go to ``images`` in it.
    """

    def __init__(self, every_n_epochs: int = 1, samples: int = 8, folder: str | Path = ".") -> None:
        self.every_n_epochs = every_n_epochs
        self.samples = samples
        self.folder = Path(folder) / "images"

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch
        last = trainer.should_stop or 0 < (trainer.max_epochs or -1) <= epoch + 1
        if not trainer.sanity_checking and (epoch % self.every_n_epochs == 0 or last):
            self._draw(trainer, pl_module, "val", f"epoch-{epoch:04d}")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._draw(trainer, pl_module, "test", "best")
        if trainer.is_global_zero and isinstance(pl_module, VisionModule):
            for name, rows in pl_module.stage("test").tables.items():
                path = self.folder.parent / f"test-{name}.csv"
                write_whole(path, csv_text(list(rows[0]) if rows else [], rows))
                log_rows(trainer, f"test/{name}", rows, path)

    def _draw(self, trainer: pl.Trainer, module: pl.LightningModule, split: Split, label: str) -> None:
        if not trainer.is_global_zero or not self.samples or not isinstance(module, VisionModule):
            return
        drawn, rows = self._samples(trainer, module, split)
        pictures = {f"{split}/sheet": drawn.sheet, **module.stage(split).figures}
        for name, picture in pictures.items():
            self.folder.mkdir(parents=True, exist_ok=True)
            content = io.BytesIO()
            to_pil(picture).save(content, "PNG")
            write_whole(self.folder / f"{name.replace('/', '-')}-{label}.png", content.getvalue())
            log_picture(trainer, name, picture)
        if split == "test":
            log_table(trainer, "test/predictions", drawn.rows, rows)

    @torch.no_grad()
    def _samples(self, trainer: pl.Trainer, module: VisionModule, split: Split) -> tuple[Drawn, list[Row]]:
        """The first samples of a split, drawn with truth and answer, and what the answers say."""
        data: VisionData = trainer.datamodule  # type: ignore[attr-defined]
        # one by one: answers in pixels of files differ in size
        loader = BatchLoader(data.samples(split), module.batch_type, batch_size=1, on_corrupt=data.on_corrupt)
        shown: list[Drawn] = []
        descriptions: list[Row] = []
        for cpu_batch in islice(loader, self.samples):
            batch = data.transfer_batch_to_device(cpu_batch, module.device, 0)
            with trainer.precision_plugin.forward_context():
                answer = module.measured(split, batch)[1]
            shown.append(joined([module.presentation.draw_with_truth(batch, answer)]))
            descriptions += module.presentation.describe(module.inputs(batch), answer)
        drawn = joined(shown)
        return drawn._replace(rows=drawn.rows[: self.samples]), descriptions[: self.samples]
