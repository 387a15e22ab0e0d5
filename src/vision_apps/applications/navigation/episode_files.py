"""What a test leaves of its episodes: some as a film, and all as a file that others score."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import WandbLogger

from vision_apps.applications.navigation.film import film, gif
from vision_apps.applications.navigation.module import Navigation
from vision_apps.core.data import VisionData
from vision_apps.core.fields import row
from vision_apps.core.loader import BatchLoader

_BATCH = 64  # episodes that walk together


class EpisodeFiles(pl.Callback):
    """After a test, in the run's folder: ``images/test-episodes.gif``, which W&B shows, too; and of buildings
    ``results.json``, as those who measure R2R read it: a list of ``instr_id`` and ``trajectory``, of each
    place the viewpoint, and heading and elevation in rad (Anderson et al. 2018, arXiv:1711.07280).

    Args:
        filmed: the first so many episodes of the test.
        folder: the run's.
    """

    def __init__(self, filmed: int = 6, folder: str | Path = ".") -> None:
        self.filmed = filmed
        self.folder = Path(folder)

    @torch.no_grad()
    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or not isinstance(pl_module, Navigation):
            return
        data: VisionData = trainer.datamodule  # type: ignore[attr-defined]
        world, samples = pl_module.world, data.samples("test")
        words: Sequence[str] = pl_module.presentation.vocabulary  # type: ignore[attr-defined]
        loader = BatchLoader(samples, pl_module.batch_type, batch_size=_BATCH, on_corrupt=data.on_corrupt)
        films: list[list[Image.Image]] = []
        results: list[dict[str, Any]] = []
        for cpu_batch in loader:
            batch = data.transfer_batch_to_device(cpu_batch, pl_module.device, 0)
            if batch.starts is None:
                return
            answer = pl_module.measured("test", batch)[1]
            for number in range(len(batch.instructions)):
                own, walked = row(pl_module.inputs(batch), number), row(answer, number)
                if len(films) < self.filmed:
                    films.append(film(world, words, own, walked, row(batch, number).goals))
                places = walked.places[0]
                way = world.trajectory(batch.starts[number].cpu(), places[places[:, 0] >= 0].cpu())
                if way is not None:
                    results.append({"trajectory": way})
            if not results and len(films) >= self.filmed:
                break
        if films:
            self._show(trainer, gif(films))
        if results:
            named = zip(data.sample_names("test"), results, strict=True)
            content = [{"instr_id": name, **one} for name, one in named]
            (self.folder / "results.json").write_text(json.dumps(content), encoding="utf-8")

    def _show(self, trainer: pl.Trainer, content: bytes) -> None:
        path = self.folder / "images" / "test-episodes.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_video("test/episodes", [str(path)], step=trainer.global_step, format=["gif"])
