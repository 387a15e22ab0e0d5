"""Run folders that no training made."""

import csv
from pathlib import Path
from typing import Any

from PIL import Image

from vision_apps.core.run_folder import RunFolder

EPOCH = 5  # steps


def make(path: Path, task: str = "toy", **record: Any) -> RunFolder:
    """A run before its first step."""
    path.mkdir(parents=True)
    folder = RunFolder(path)
    folder.note(**{"id": path.name, "started": "2026-01-01", **record})
    folder.write_config({"task": {"name": task}, "model": {"width": 4}})
    folder.images.mkdir()
    return folder


def train(folder: RunFolder, epochs: range, loss: float = 1.0) -> None:
    """Log ``epochs`` and draw their pictures."""
    with open(folder.path / "metrics.csv", "a", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            writer.writerow(("step", "epoch", "name", "value"))
        for epoch in epochs:
            for step in range(epoch * EPOCH, (epoch + 1) * EPOCH):
                writer.writerow((step, epoch, "train/loss", loss / (step + 1)))
            writer.writerow(((epoch + 1) * EPOCH - 1, epoch, "val/loss", loss / (epoch + 1)))
    for epoch in epochs:
        draw(folder, f"val-sheet-epoch-{epoch:04d}.png", epoch)


def draw(folder: RunFolder, name: str, shade: int = 0) -> None:
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(folder.images / name)


def finish(folder: RunFolder) -> None:
    folder.write_json("metrics.json", {})
