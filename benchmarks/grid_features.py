"""Processor seconds of an epoch of a head on a frozen backbone: computed each time, and kept.

    python benchmarks/grid_features.py [--pictures 240] [--epochs 3] [--rounds 3]

EfficientNet-Lite0 on JPEG files of 256 x 256 pixels, brought to 224; a tenth is validated. Each measurement
is a process of its own that trains with all callbacks, files and logging on and reads by itself; its first
epoch is not counted, and what is kept was computed before. The variants take turns, and a ratio is taken
within a round.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from timing.workers import figure, train_with

COMPUTED, KEPT = "computed each time", "kept"
CLASSES = 10


def write(root: Path, count: int) -> None:
    """Seeded pictures, as detailed as a blurred photo."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"class-{number % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC).save(
            folder / f"{number:05d}.jpg"
        )


def train(root: str, variant: str, epochs: int) -> float:
    """Median processor seconds of an epoch but the first, or of the first where there is no other."""
    import pytorch_lightning as pl

    from vision_apps.core.config import compose

    words = ["task=classification", "model=pretrained", "model.weights=null", "data=classification_folder"]
    words += [
        f"data.root={root}",
        "data.image_size=224",
        "data.workers=0",
        "data.batch_size=32",
        "data.augment=null",
    ]
    words += ["freeze=backbone", "logger=csv", "test=false", f"trainer.max_epochs={epochs}"]
    begun: list[float] = []

    class Clock(pl.Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            begun.append(time.process_time())

        def on_train_end(self, *_: Any) -> None:
            begun.append(time.process_time())

    kept = ["callbacks=grid_features"] if variant == KEPT else []
    with tempfile.TemporaryDirectory() as runs:
        train_with(Clock(), compose.compose([*words, f"run.root={runs}", *kept]))
    seconds = [after - before for before, after in itertools.pairwise(begun)]
    return statistics.median(seconds[1:] or seconds)


def measure(root: Path, variant: str, epochs: int) -> float:
    return figure([__file__, "--worker", str(root), variant, "--epochs", str(epochs)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=2, metavar=("ROOT", "VARIANT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(train(*given.worker, given.epochs)))
        return
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        write(root, given.pictures)
        began = time.perf_counter()
        measure(root, KEPT, 1)
        first = time.perf_counter() - began
        rounds = [
            {variant: measure(root, variant, given.epochs) for variant in (COMPUTED, KEPT)}
            for _ in range(given.rounds)
        ]
        size = sum(path.stat().st_size for path in root.glob(".features/*/*"))
    ratios = sorted(one[COMPUTED] / one[KEPT] for one in rounds)
    for variant in (COMPUTED, KEPT):
        print(f"{variant:20}{statistics.median(one[variant] for one in rounds):8.2f} CPU s an epoch")
    print(f"ratio {statistics.median(ratios):.1f}, {ratios[0]:.1f} to {ratios[-1]:.1f}")
    print(f"{size / 2**20:.1f} MiB kept of {given.pictures} pictures; computed in {first:.0f} s")


if __name__ == "__main__":
    main()
