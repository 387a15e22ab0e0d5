"""Train a detector, then scene graphs that begin with it, without and with the prior of classes, three seeds
each; read the latter in three ways; write the table and the figure from the run folders.

    python experiments/scene_graph_protocols/run.py [key=value ...]

The arguments go to every run of scene graphs (``trainer.max_epochs=4``). A run that is there and finished is
not trained again; one that was interrupted goes on where it stopped.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from vision_apps.core.statistics import summarize
from vision_apps.trained import evaluate

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / "train.py"
RUNS = Path("runs/scene_graph_protocols")
PRIORS, SEEDS = ("none", "frequency"), (0, 1, 2)  # each module.prior with each seed
PROTOCOLS = ("predcls", "sgcls", "sgdet")
MEASURES = {"R@20": "recall_20", "mR@20": "mean_recall_images_20", "zR@20": "zero_shot_recall_20"}
# of each row of the table which run, what it is read with, and what stands before its figures
ROWS = {
    "commonest predicate of the classes": ("none", "", "frequency/"),
    "the same, of boxes that overlap": ("none", "", "frequency_overlap/"),
    "network": ("none", "", ""),
    "network with the prior": ("frequency", "", ""),
    "the same, logit adjustment": ("frequency", "module.debias=logit_adjustment", ""),
    "the same, TDE": ("frequency", "module.debias=tde", ""),
}


def train(run: Path, new: list[str]) -> None:
    if not (run / "metrics.json").is_file():
        started = (run / "config.yaml").is_file()
        words = [f"resume={run}"] if started else [*new, f"run.dir={run}"]
        subprocess.run([sys.executable, TRAIN, *words], check=True)


def folder(prior: str, seed: int) -> Path:
    return RUNS / f"{prior}-seed-{seed}"


def measured(prior: str, seed: int, change: str) -> Mapping[str, float]:
    """The figures of a run's test, with a setting of the module changed: tested once, and kept."""
    run = folder(prior, seed)
    if not change:
        found: Mapping[str, float] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["final"]
        return found
    kept = run / f"{change}.json"
    if not kept.is_file():
        kept.write_text(json.dumps(evaluate.test(str(run), [change])), encoding="utf-8")
    again: Mapping[str, float] = json.loads(kept.read_text(encoding="utf-8"))
    return again


def figures() -> dict[str, dict[str, list[float]]]:
    """In percent: of each row of the table, of each protocol and measure, the figures of all seeds."""
    found: dict[str, dict[str, list[float]]] = {}
    for title, (prior, change, before) in ROWS.items():
        tests = [measured(prior, seed, change) for seed in SEEDS]
        found[title] = {
            f"{protocol} {short}": [100 * test[name] for test in tests if name in test]
            for protocol in PROTOCOLS
            for short, name in ((key, f"test/{before}{protocol}_{one}") for key, one in MEASURES.items())
        }
    return found


def table(found: dict[str, dict[str, list[float]]]) -> str:
    columns = [f"{protocol} {short}" for protocol in PROTOCOLS for short in MEASURES]
    lines = [
        f"| in %: mean ± standard deviation [95 % interval of the mean] over {len(SEEDS)} seeds | "
        + " | ".join(columns)
        + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for title, values in found.items():
        cells = [summarize(values[column]).spread if values[column] else "" for column in columns]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def figure(found: dict[str, dict[str, list[float]]]) -> None:
    drawing, axes = plt.subplots(
        1, len(PROTOCOLS), figsize=(11, 3.6), sharex=True, sharey=True, layout="constrained"
    )
    for part, protocol in zip(axes, PROTOCOLS, strict=True):
        for color, short in zip(("tab:blue", "tab:orange", "tab:green"), MEASURES, strict=True):
            for place, values in enumerate(found.values()):
                seeds = values[f"{protocol} {short}"]
                label = short if place == 0 else None
                part.scatter(seeds, [-place] * len(seeds), color=color, label=label, alpha=0.7)
        part.set(title=protocol, xlabel="%", xlim=(0, 100))
        part.grid(alpha=0.3)
    axes[0].set_yticks([-place for place in range(len(found))], list(found))
    axes[-1].legend()
    drawing.savefig(HERE / "protocols.png", dpi=110)
    plt.close(drawing)


def main() -> None:
    detection = ["task=detection", "data=detection_related", "model.backbone.fine=true"]
    train(RUNS / "detection", [*detection, *small(sys.argv[1:])])
    for prior in PRIORS:
        for seed in SEEDS:
            words = ["task=scene_graphs", f"data.detector={RUNS / 'detection'}"]
            train(folder(prior, seed), [*words, f"module.prior={prior}", f"seed={seed}", *sys.argv[1:]])
    found = figures()
    (HERE / "table.md").write_text(table(found), encoding="utf-8")
    figure(found)
    print(table(found))
    print(f"written: {HERE / 'table.md'}, {HERE / 'protocols.png'}")


def small(words: list[str]) -> list[str]:
    """Of the arguments those that make the data smaller: a detector is of the same pictures."""
    return [word for word in words if word.startswith(("data.", "logger="))]


if __name__ == "__main__":
    main()
