"""Train both networks with three seeds on CIFAR-10; write the table and the figure from the run folders.

    python experiments/cnn_vs_dense/run.py [key=value ...]

The arguments go to every run (``data.root=...``, ``trainer.max_epochs=2``). A run that is there and finished
is not trained again; one that was interrupted goes on where it stopped.
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
RUNS = Path("runs/cnn_vs_dense")
NETWORKS = {"CNN": "classification_cnn", "dense net": "classification_dense"}
SEEDS = (0, 1, 2)


def folder(model: str, seed: int) -> Path:
    return RUNS / f"{model}-seed-{seed}"


def train(model: str, seed: int, extra: list[str]) -> None:
    run = folder(model, seed)
    if (run / "metrics.json").is_file():
        return
    new = ["experiment=cnn_vs_dense", f"model={model}", f"seed={seed}", f"run.dir={run}", *extra]
    started = (run / "config.yaml").is_file()
    subprocess.run([sys.executable, TRAIN, *([f"resume={run}"] if started else new)], check=True)


def curve(run: Path, name: str) -> tuple[list[int], list[float]]:
    """A metric's last value of every epoch."""
    by_epoch = {
        epoch: value for _, epoch, metric, value in metrics_file.read(run / "metrics.csv") if metric == name
    }
    return [epoch + 1 for epoch in by_epoch], list(by_epoch.values())


def table() -> str:
    lines = [
        f"| network | parameters | test accuracy in %, {len(SEEDS)} seeds: mean ± standard deviation "
        "[95 % interval of the mean] | each seed | seconds per run |",
        "|---|---|---|---|---|",
    ]
    for title, model in NETWORKS.items():
        results = [
            json.loads((folder(model, seed) / "metrics.json").read_text(encoding="utf-8")) for seed in SEEDS
        ]
        accuracy = [100 * result["final"]["test/accuracy"] for result in results]
        seconds = statistics.median(result["seconds"] for result in results)
        each = ", ".join(f"{value:.1f}" for value in accuracy)
        parameters = results[0]["parameters"]
        lines.append(f"| {title} | {parameters:,} | {summarize(accuracy).spread} | {each} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


def figure() -> None:
    drawing, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for color, (title, model) in zip(("tab:blue", "tab:orange"), NETWORKS.items(), strict=True):
        for seed in SEEDS:
            label = title if seed == SEEDS[0] else None
            run = folder(model, seed)
            left.plot(*curve(run, "train/loss"), color=color, linestyle="--", alpha=0.7)
            left.plot(*curve(run, "val/loss"), color=color, label=label)
            epochs, accuracy = curve(run, "val/accuracy")
            right.plot(epochs, [100 * value for value in accuracy], color=color, label=label)
    left.set(xlabel="epoch", ylabel="cross-entropy (nat)", title="loss: dashed training, solid validation")
    right.set(xlabel="epoch", ylabel="%", title="validation accuracy")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    drawing.savefig(HERE / "curves.png", dpi=110)


def main() -> None:
    for model in NETWORKS.values():
        for seed in SEEDS:
            train(model, seed, sys.argv[1:])
    (HERE / "table.md").write_text(table(), encoding="utf-8")
    figure()
    print(table())
    print(f"written: {HERE / 'table.md'}, {HERE / 'curves.png'}")


if __name__ == "__main__":
    main()
