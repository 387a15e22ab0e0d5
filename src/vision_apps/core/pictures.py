"""Pictures of the same samples at every epoch, into the run folder and every logger that shows pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image, ImageDraw, ImageFont
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor
from torch.nn.functional import interpolate, pad

from vision_apps.core.loader import BatchLoader

_MARGIN = 4
_HEADER = 22
_LEAST_WIDTH = 110  # px of one column, so that its title can be read


def to_pil(picture: Tensor) -> Image.Image:
    """uint8 [3, h, w] as a PIL image."""
    return Image.fromarray(picture.cpu().permute(1, 2, 0).contiguous().numpy())


def from_pil(image: Image.Image) -> Tensor:
    """A PIL image as uint8 [3, h, w]."""
    return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)


def shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """The text, or as much of its beginning as fits ``room`` px with dots behind it."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "...") > room:
        text = text[:-1]
    return text + "..."


def sheet(rows: list[Tensor], titles: tuple[str, ...] = (), per_line: int = 1) -> Tensor:
    """Pictures uint8 [3, h, w] of equal size below each other, ``per_line`` of them side by side, with the
    columns' titles above; small pictures are enlarged by whole factors so that a person can see them."""
    columns = max(1, len(titles))
    factor = max(1, -(-_LEAST_WIDTH * columns // rows[0].shape[-1]))
    large = [interpolate(row[None].float(), scale_factor=factor)[0].to(torch.uint8) for row in rows]
    framed = [pad(row, (_MARGIN, _MARGIN, _MARGIN, _MARGIN), value=255) for row in large]
    blank = torch.full_like(framed[0], 255)
    lines = [framed[i : i + per_line] for i in range(0, len(framed), per_line)]
    body = torch.cat([torch.cat(line + [blank] * (per_line - len(line)), 2) for line in lines], 1)
    return body if not titles else torch.cat([_header(body.shape[2], titles * per_line), body], 1)


def _header(width: int, titles: tuple[str, ...]) -> Tensor:
    image = Image.new("RGB", (width, _HEADER), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=13)
    for index, title in enumerate(titles):
        pen.text(
            ((index + 0.5) * width / len(titles), _HEADER / 2 + 2),
            title,
            fill="black",
            font=font,
            anchor="mm",
        )
    return from_pil(image)


def log_picture(trainer: pl.Trainer, name: str, picture: Tensor) -> None:
    """Give a picture to every logger of the run that can show it; always the same name, so that one can go
    through the epochs."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [to_pil(picture)], step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, trainer.global_step)


def log_table(
    trainer: pl.Trainer, name: str, pictures: list[Tensor], descriptions: list[dict[str, Any]]
) -> None:
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


def _cell(value: Any) -> Any:
    """A number, text or nothing as it is, anything else as JSON."""
    return value if isinstance(value, str | int | float | None) else json.dumps(value)


class Pictures(pl.Callback):
    """Draws the first validation samples after each validation and the first test samples after the test.

    Args:
        every_n_epochs: draw after every n-th epoch (and always after the last).
        samples: rows of the sheet.
        folder: where the PNGs go; the engine names the run's ``images/``.
    """

    def __init__(self, every_n_epochs: int = 1, samples: int = 8, folder: str | Path = "images") -> None:
        self.every_n_epochs = every_n_epochs
        self.samples = samples
        self.folder = Path(folder)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch
        last = trainer.max_epochs is not None and epoch + 1 >= trainer.max_epochs
        if not trainer.sanity_checking and (epoch % self.every_n_epochs == 0 or last):
            self._draw(trainer, pl_module, "val", f"epoch-{epoch:04d}")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._draw(trainer, pl_module, "test", "best")

    def _draw(self, trainer: pl.Trainer, module: Any, split: str, label: str) -> None:
        if not trainer.is_global_zero or not self.samples:
            return
        rows, answer = self._samples(trainer, module, split)
        pictures = {f"{split}/sheet": sheet(rows, tuple(module.column_titles)), **module.stage_figures}
        for name, picture in pictures.items():
            self.folder.mkdir(parents=True, exist_ok=True)
            to_pil(picture).save(self.folder / f"{name.replace('/', '-')}-{label}.png")
            log_picture(trainer, name, picture)
        if split == "test":
            log_table(trainer, "test/predictions", rows, module.describe(answer))

    @torch.no_grad()
    def _samples(self, trainer: pl.Trainer, module: Any, split: str) -> tuple[list[Tensor], Any]:
        """The first pictures of a split, drawn with truth and prediction, and the module's answer to them."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        loader = BatchLoader(
            data.samples(split), module.batch_type, batch_size=self.samples, on_corrupt=data.on_corrupt
        )
        batch = data.transfer_batch_to_device(next(iter(loader)), module.device, 0)
        with trainer.precision_plugin.forward_context():
            answer = module(*module.batch_inputs(batch))
        return [row.cpu() for row in module.draw(batch, answer)], answer
