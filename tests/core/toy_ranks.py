"""What the tests of several processes see of each of them."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from vision_apps.core.errors import DataError


class PlainNet(nn.Module):
    """Nothing random and nothing that depends on how a batch is shared."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 8 * 8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(images.flatten(1))
        return logits


class Fails(pl.Callback):
    """One process fails in its second batch; the others wait for it in vain."""

    def __init__(self, rank: int, of_user: bool) -> None:
        self.rank, self.of_user = rank, of_user

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_rank == self.rank and batch_idx == 1:
            raise (DataError if self.of_user else TypeError)("picture 7 is broken")


class RankRecord(pl.Callback):
    """Each process writes its number, its configuration's hash, its seeds' effect and its losses."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.losses: list[float] = []
        self.labels: list[list[int]] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(float(outputs["loss"]))
        self.labels.append(batch.images.flatten(1).long().sum(1).tolist())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        config = trainer.checkpoint_callback.record["config"]  # type: ignore[union-attr]
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {
            "rank": trainer.global_rank,
            "run": config["run"]["dir"],
            "seed": config["seed"],
            "config": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
            "losses": self.losses,
            "samples": self.labels,
            "weights": float(sum(p.double().sum() for p in pl_module.state_dict().values())),
            "draw": float(torch.rand(())),
        }
        path = self.folder / f"{config['seed']}-{trainer.global_rank}-{os.getpid()}.json"
        path.write_text(json.dumps(record))
