"""Run folders as a training leaves them, written directly: hundreds in a second."""

import functools
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw

CONFIG: dict[str, Any] = {
    "seed": 0,
    "precision": "auto",
    "data": {
        "batch_size": 16,
        "seed": 0,
        "_target_": "vision_apps.data.scenes.views.Scenes",
        "image_size": 32,
    },
    "run": {"root": "runs", "dir": None},
    "callbacks": {"progress": {"_target_": "vision_apps.core.progress.Progress"}},
    "logger": {},
    "model": {"_target_": "vision_apps.applications.classification.cnn.CNN", "width": 16},
    "task": {"name": "classification", "monitor": "val/accuracy", "mode": "max"},
    "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.001, "betas": [0.9, 0.999]},
    "trainer": {"_target_": "pytorch_lightning.Trainer", "max_epochs": 5, "enable_progress_bar": False},
}
CHOICES = {
    "task": "classification",
    "model": "classification_cnn",
    "data": "classification_scenes",
    "optimizer": "adamw",
    "scheduler": "constant",
    "trainer": "cpu",
    "logger": "csv",
}


def config(changes: dict[str, Any] | None = None, seed: int = 0) -> dict[str, Any]:
    """``changes``: dotted keys to values; a value of None takes the key away."""
    result = json.loads(json.dumps(CONFIG))
    for key, value in {"seed": seed, "data.seed": seed, **(changes or {})}.items():
        *above, last = key.split(".")
        node = result
        for part in above:
            node = node.setdefault(part, {})
        if value is None:
            node.pop(last, None)
        else:
            node[last] = value
    return result


def make(
    folder: Path,
    changes: dict[str, Any] | None = None,
    *,
    seed: int = 0,
    values: dict[str, float] | None = None,
    choices: dict[str, str] | None = None,
    record: dict[str, Any] | None = None,
    finished: bool = True,
    points: int = 0,
    picture: bool = False,
    minute: int = 0,
) -> Path:
    """One run.

    Args:
        values: its final metrics; ``best`` is the best value of the monitored one.
        choices: of `CHOICES`, what is otherwise.
        record: further fields of ``run.json``.
        points: lines of ``train/loss``.
        minute: at which it started.
    """
    (folder / "images").mkdir(parents=True)
    own = config(changes, seed)
    own["run"]["dir"] = str(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    started = f"2026-11-25T{minute // 60:02d}:{minute % 60:02d}:00+00:00"
    fields = {"id": "0" * 8, "started": started, "choices": CHOICES | (choices or {}), "seed": seed}
    (folder / "run.json").write_text(json.dumps(fields | (record or {})))
    (folder / "data.json").write_text(json.dumps({"test": {"samples": 500, "sha256": "033b8125ce2f46e1"}}))
    final = {"test/accuracy": 0.5, "best": 0.5, **(values or {})}
    best = final.pop("best")
    rows = ["step,epoch,name,value"]
    for step in range(points):
        rows.append(f"{step},0,train/loss,{math.exp(-step / points) + 0.1 * math.sin(step * 1.7 + seed):.8g}")
    rows += [f"{step * 10},{step},val/accuracy,{best * (step + 1) / 5:.8g}" for step in range(5)]
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
    if finished:
        (folder / "metrics.json").write_text(
            json.dumps(
                {
                    "monitor": own["task"]["monitor"],
                    "mode": own["task"]["mode"],
                    "best": {"value": best, "epoch": 4},
                    "final": {"train/loss": 0.3, "val/accuracy": best, **final},
                    "parameters": 98602,
                    "seconds": 12.5 + seed,
                    "peak_memory": 500_000_000 + seed,
                }
            )
        )
    if picture:
        sheet(folder / "images" / "test-sheet-best.png", seed)
    return folder


def sheet(path: Path, seed: int) -> None:
    """A picture that compresses about as badly as photographs do, 782 × 1600 px."""
    path.write_bytes(_sheet(seed))


@functools.cache
def _sheet(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (100, 49, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((782, 1600), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    for _ in range(200):
        x, y, size = random.integers(0, 782), random.integers(0, 1600), random.integers(4, 60)
        pen.rectangle((x, y, x + size, y + size), outline=tuple(random.integers(0, 256, 3).tolist()))
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return content.getvalue()
