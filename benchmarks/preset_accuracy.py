"""Does the fast preset learn the same? Test accuracy with the defaults of PyTorch and with `trainer=auto`.

    python benchmarks/preset_accuracy.py [--seeds 3] [--epochs 5]

The default CNN on the generated world; both variants with the same seeds, so that the differences are paired.
"""

import argparse
import contextlib
import os
import tempfile

from vision_apps.core import engine
from vision_apps.core.config.compose import compose
from vision_apps.core.statistics import summarize

VARIANTS = {
    "defaults": ["precision=32-true", "channels_last=false", "keep_memory=false"],
    "preset": [],
}


def accuracy(variant: str, seed: int, epochs: int, folder: str) -> float:
    words = [f"seed={seed}", f"trainer.max_epochs={epochs}", "logger=csv", f"run.root={folder}"]
    with open(os.devnull, "w", encoding="utf-8") as silence, contextlib.redirect_stdout(silence):
        values = engine.train(compose(["task=classification", *words, *VARIANTS[variant]]))
    return 100 * values["test/accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            for name in VARIANTS:
                found[name].append(accuracy(name, seed, arguments.epochs, folder))
    for name, values in found.items():
        each = ", ".join(f"{value:.1f}" for value in values)
        print(f"{name:10} {summarize(values)}   ({each}) %")
    differences = [b - a for a, b in zip(found["defaults"], found["preset"], strict=True)]
    print(f"{'difference':10} {summarize(differences)}   points, paired by seed")


if __name__ == "__main__":
    main()
