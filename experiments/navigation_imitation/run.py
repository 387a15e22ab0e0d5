"""Behaviour cloning, student forcing and DAgger with as few demonstrations, three seeds each; write the table
and the figure from the run folders.

    python experiments/navigation_imitation/run.py [key=value ...]

The arguments go to every run (``trainer.max_epochs=2``). A run that is there and finished is not trained
again; one that was interrupted goes on where it stopped.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from vision_apps.core import metrics_file
from vision_apps.core.statistics import summarize

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / "train.py"
RUNS = Path("runs/navigation_imitation")
WAYS = ("cloning", "dagger", "student")
SEEDS = (0, 1, 2)
WORDS = (
    *("task=navigation", "data.level=GoToLocalS6N3", "data.train_images=2000", "trainer.max_epochs=40"),
    *("trainer.check_val_every_n_epoch=5", "module.collect_every=5", "module.collected=600"),
)


def folder(way: str, seed: int) -> Path:
    return RUNS / f"{way}-seed-{seed}"


def train(way: str, seed: int, extra: list[str]) -> None:
    run = folder(way, seed)
    if (run / "metrics.json").is_file():
        return
    new = [*WORDS, f"module.imitation={way}", f"seed={seed}", f"run.dir={run}", *extra]
    started = (run / "config.yaml").is_file()
    subprocess.run([sys.executable, TRAIN, *([f"resume={run}"] if started else new)], check=True)


def finished() -> list[str]:
    """The ways of which all seeds are done: the command may have been interrupted before the last."""
    return [way for way in WAYS if all((folder(way, seed) / "metrics.json").is_file() for seed in SEEDS)]


def table() -> str:
    lines = [
        f"| expert is asked | success in % of the test, {len(SEEDS)} seeds: mean ± standard deviation "
        "[95 % interval of the mean] | each seed | SPL, mean | seconds per run |",
        "|---|---|---|---|---|",
    ]
    for way in finished():
        results = [
            json.loads((folder(way, seed) / "metrics.json").read_text(encoding="utf-8")) for seed in SEEDS
        ]
        success = [100 * result["final"]["test/success"] for result in results]
        spl = statistics.mean(result["final"]["test/spl"] for result in results)
        seconds = statistics.median(result["seconds"] for result in results)
        each = ", ".join(f"{value:.1f}" for value in success)
        lines.append(f"| {way} | {summarize(success).spread} | {each} | {spl:.3f} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


def figure() -> None:
    drawing, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for color, way in zip(("tab:blue", "tab:orange", "tab:green"), finished(), strict=False):
        for seed in SEEDS:
            rows = metrics_file.read(folder(way, seed) / "metrics.csv")
            found = {epoch + 1: 100 * value for _, epoch, name, value in rows if name == "val/success"}
            axes.plot([*found], [*found.values()], color=color, label=way if seed == SEEDS[0] else None)
    axes.set(xlabel="epoch", ylabel="%", title="success on validation episodes")
    axes.grid(alpha=0.3)
    axes.legend()
    drawing.savefig(HERE / "curves.png", dpi=110)


def main() -> None:
    for way in WAYS:
        for seed in SEEDS:
            train(way, seed, sys.argv[1:])
        (HERE / "table.md").write_text(table(), encoding="utf-8")
        figure()
    print(table())
    print(f"written: {HERE / 'table.md'}, {HERE / 'curves.png'}")


if __name__ == "__main__":
    main()
