"""What the first command on data of one's own gives, without any option; write the table of a set.

    python experiments/own_data/run.py SET --from FOLDER [--seeds 0 1 2] [--root DIR] [key=value ...]
    python experiments/own_data/run.py SET --small 5 20 100 1000 [--seeds 0 1 2] [--root DIR]
    python experiments/own_data/run.py sizes

FOLDER holds the set as it was published; it is laid out as a person's own folder below DIR once, and is not
asked for again. --small learns from so few of its pictures, and sizes does that for four sets. A run that is
there and finished is not trained again; one that was interrupted goes on where it stopped. key=value words
are for trying: they go to every run, and the table names them.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import baselines
import charts
import prepare
import shrunk

from vision_apps.compare.reading import Run, gather

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / "train.py"
RUNS = Path("runs/own_data")
VARIANTS = {"the first command": "first", "the same from random numbers": "random"}
FEW = (5, 20, 100, 1000)


class Application(NamedTuple):
    """What an application's figures are called, and what it is beaten by."""

    task: str
    data: str
    metrics: tuple[str, ...]  # of the test
    random: str  # the word for random numbers instead of published weights
    baselines: Callable[[Path, int], baselines.Figures]  # of a folder, and px that photographs are seen at
    few: Callable[[Path, Path, int, int], None]


class Set(NamedTuple):
    application: Application
    prepare: Callable[[Path, Path], None]  # from the published folder to a new one
    bars: Mapping[str, float]  # metric to what was to be reached
    minutes: int = 10  # that a run may take on two cores


def blind(figures: Callable[[Path], baselines.Figures]) -> Callable[[Path, int], baselines.Figures]:
    """For answers to which it does not matter how large a picture is."""
    return lambda folder, side: figures(folder)


PHOTOS = Application(
    "classification", "folder", ("accuracy",), "model.weights=null", baselines.photos, prepare.few_photos
)
OBJECTS = Application(
    "detection",
    "voc_folder",
    ("ap50", "ap"),
    "model.backbone.weights=null",
    blind(baselines.objects),
    prepare.few_voc,
)
LOCATED = Application(
    "localization",
    "csv",
    ("class_accuracy", "box_mse"),
    "model.backbone.weights=null",
    blind(baselines.located),
    prepare.few_csv,
)
MASKS = Application(
    "segmentation",
    "folder",
    ("miou", "accuracy"),
    "model.weights=null",
    blind(baselines.masks),
    prepare.few_masks,
)
SETS = {
    "bccd": Set(OBJECTS, prepare.bccd, {"ap50": 0.90}),
    "caltech3": Set(LOCATED, prepare.caltech3, {"class_accuracy": 0.998, "box_mse": 5e-4}),
    "camvid": Set(MASKS, prepare.camvid, {"miou": 0.55}, minutes=30),
    "ucm10": Set(PHOTOS, partial(prepare.ucm, per_class=10), {"accuracy": 0.88}),
    "ucm50": Set(PHOTOS, partial(prepare.ucm, per_class=50), {"accuracy": 0.96}),
    "ucm": Set(PHOTOS, partial(prepare.ucm, per_class=prepare.UCM_FIRST_TESTED), {}),
    "cifar50": Set(PHOTOS, partial(prepare.cifar, per_class=50), {"accuracy": 0.80}),
    "ucm96": Set(PHOTOS, shrunk.ucm, {}),
    "boxes96": Set(LOCATED, shrunk.boxes, {}),
    "objects96": Set(OBJECTS, shrunk.objects, {}),
    "strips128": Set(MASKS, shrunk.strips, {}),
}
SMALL = ("ucm96", "boxes96", "objects96", "strips128")  # a set of each application


class Asked(NamedTuple):
    source: Path | None
    root: Path  # of the folders that are laid out
    seeds: Sequence[int]
    extra: Sequence[str]  # words for every run


def command(application: Application, folder: Path) -> list[str]:
    """The first command, after python train.py."""
    return [f"task={application.task}", f"data={application.data}", f"data.root={folder}"]


def laid_out(name: str, asked: Asked) -> Path:
    """The folder of a set, made where it is not there yet."""
    folder = asked.root / name
    if not folder.is_dir() and asked.source is None:
        raise SystemExit(
            f"error: there is no {folder}; say where the published set lies: "
            f"python experiments/own_data/run.py {name} --from FOLDER"
        )
    try:
        return prepare.once(folder, lambda to: SETS[name].prepare(asked.source or Path(), to))
    except FileNotFoundError as error:
        raise SystemExit(f"error: --from: {error}; {HERE / 'README.md'} says what it holds") from None


def train(application: Application, folder: Path, run: Path, seed: int, words: Sequence[str]) -> Run:
    """The finished run."""
    if not (run / "metrics.json").is_file():
        new = [*command(application, folder), f"seed={seed}", f"run.dir={run}", *words]
        started = (run / "config.yaml").is_file()
        subprocess.run([sys.executable, TRAIN, *([f"resume={run}"] if started else new)], check=True)
    return gather([str(run)]).runs[0]


def beaten(application: Application, folder: Path, run: Run, kept: Path) -> baselines.Figures:
    """The figures of the baselines, computed once and ``kept``; photographs as large as the run saw them."""
    if not kept.is_file():
        side = run.config["data"]["image_size"]
        kept.write_text(json.dumps(application.baselines(folder, side), indent=2) + "\n", encoding="utf-8")
    figures: baselines.Figures = json.loads(kept.read_text(encoding="utf-8"))
    return figures


def figure(metric: str, values: Sequence[float]) -> str:
    """The median, and each value where there are several."""
    median, *each = (
        f"{v:.2e}" if metric == "box_mse" else f"{v:.4f}" for v in (statistics.median(values), *values)
    )
    return f"{median} ({', '.join(each)})" if len(values) > 1 else median


def tested(metric: str, runs: Sequence[Run]) -> str:
    return figure(metric, [run.final[f"test/{metric}"] for run in runs])


def seconds(runs: Sequence[Run]) -> str:
    return f"{statistics.median(run.metrics['seconds'] for run in runs):.0f}"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def origin(runs: Sequence[Run]) -> str:
    """When, on what and by which state of the code the runs were made."""
    records = [run.folder.mapping("environment.json") for run in runs]
    days = sorted({str(record["started"])[:10] for record in records})
    machines = sorted(
        {
            f"{hardware['cpu']}, {hardware['threads']} of {hardware['cpu_cores']} cores, "
            f"{', '.join(hardware['gpus']) or 'no GPU'}"
            for hardware in (record["hardware"] for record in records)
        }
    )
    commits = sorted(
        {
            f"{git['commit'][:10]}{' with changes' * git['dirty']}" if git else "unknown"
            for git in (record["git"] for record in records)
        }
    )
    of = (", ".join(values) for values in (days, machines, commits))
    return "Measured on {} on {}; commit {}.".format(*of)


def whole(name: str, asked: Asked) -> str:
    """The table of a set: the first command, the same from random numbers, and the baselines."""
    application, _, bars, minutes = SETS[name]
    folder = laid_out(name, asked)
    titles = [
        f"{metric} (bar {bars[metric]:g})" if metric in bars else metric for metric in application.metrics
    ]
    lines = [row("", *titles, f"seconds (at most {60 * minutes})"), row(*["---"] * (len(titles) + 2))]
    every: list[Run] = []
    for title, place in VARIANTS.items():
        words = [application.random] if place == "random" else []
        runs = [
            train(application, folder, RUNS / name / place / f"seed-{seed}", seed, [*words, *asked.extra])
            for seed in asked.seeds
        ]
        figures = (tested(metric, runs) for metric in application.metrics)
        lines.append(row(f"**{title}**", *figures, seconds(runs)))
        every += runs
    kept = every[0].folder.path.parent / "baselines.json"
    for title, found in beaten(application, folder, every[0], kept).items():
        cells = (figure(m, [found[m]]) if m in found else "" for m in application.metrics)
        lines.append(row(f"*{title}*", *cells, ""))
    return "\n".join([*head(application, folder, asked), *lines, "", origin(every), ""])


def small(name: str, sizes: Sequence[int], asked: Asked) -> str:
    """The table of a set of which only few pictures are known, for each seed others; a figure is drawn beside
    it."""
    application = SETS[name].application
    everything = laid_out(name, asked)
    lines: list[str] = []
    every: list[Run] = []
    points: dict[str, list[charts.Few]] = {metric: [] for metric in application.metrics}
    for number in sizes:
        place = RUNS / f"{name}-{number}"
        runs: list[Run] = []
        found: list[baselines.Figures] = []
        for seed in asked.seeds:
            folder = asked.root / f"{name}-{number}-{seed}"
            prepare.once(folder, partial(application.few, everything, number=number, seed=seed))
            runs.append(train(application, folder, place / f"seed-{seed}", seed, asked.extra))
            kept = place / f"baselines-{seed}.json"
            found.append(beaten(application, folder, runs[-1], kept))
        if not lines:
            titles = [f"*{title}*" for title in found[0]]
            lines = [row("pictures", "", "**the first command**", *titles, "seconds")]
            lines.append(row(*["---"] * (len(titles) + 4)))
        for metric in application.metrics:
            others = {
                title: [figures[title][metric] for figures in found]
                for title, known_of in found[0].items()
                if metric in known_of
            }
            cells = (figure(metric, others[title]) if title in others else "" for title in found[0])
            values = [run.final[f"test/{metric}"] for run in runs]
            lines.append(row(known(runs), metric, figure(metric, values), *cells, seconds(runs)))
            middle = {title: statistics.median(of_seeds) for title, of_seeds in others.items()}
            points[metric].append(charts.Few(number, values, middle))
        every += runs
    title = f"{name}: {application.task} of few pictures"
    charts.few(points, title, HERE / f"{name}-small.png")
    folder = asked.root / f"{name}-N-SEED"
    return "\n".join([*head(application, folder, asked), *lines, "", origin(every), ""])


def known(runs: Sequence[Run]) -> str:
    """How many pictures were learned from and validated on, each count once."""
    counts = [run.folder.mapping("data.json") for run in runs]
    pairs = (f"{count['train']['samples']} + {count['val']['samples']}" for count in counts)
    return ", ".join(dict.fromkeys(pairs))


def head(application: Application, folder: Path, asked: Asked) -> list[str]:
    typed = " ".join(["python train.py", *command(application, folder), *asked.extra])
    seeds = f"seed {asked.seeds[0]}"
    if len(asked.seeds) > 1:
        seeds = f"medians of the seeds {', '.join(map(str, asked.seeds))}, each in brackets"
    return [f"`{typed}`, {seeds}:", ""]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", choices=[*SETS, "sizes"])
    parser.add_argument("--from", dest="source", type=Path, help="the set as it was published")
    parser.add_argument("--root", type=Path, default=Path("data/own_data"), help="where it is laid out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--small", type=int, nargs="+", metavar="N", help="learn from so few pictures")
    extra = [word for word in sys.argv[1:] if "=" in word and not word.startswith("--")]
    words = parser.parse_args([word for word in sys.argv[1:] if word not in extra])
    asked = Asked(words.source, words.root, words.seeds, extra)
    sizes = words.small or (FEW if words.set == "sizes" else None)
    for name in SMALL if words.set == "sizes" else (words.set,):
        table = small(name, sizes, asked) if sizes else whole(name, asked)
        written = HERE / (f"{name}-small.md" if sizes else f"{name}.md")
        written.write_text(table, encoding="utf-8")
        print(f"{table}\nwritten: {written}")


if __name__ == "__main__":
    main()
