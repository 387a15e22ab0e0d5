"""Train the captioners of aerial pictures and write the table, with what has to be beaten beside them.

    python experiments/ucm_captions/run.py [--boxes FILE] [key=value ...]

The arguments go to every run (``data.root=...``). With --boxes, a file as boxes.py writes it, captioners that
look at regions stand in the table too. A run that is there and finished is not trained again; one that was
interrupted goes on where it stopped.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import nearest

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / "train.py"
RUNS = Path("runs/ucm_captions")
METRICS = {
    "BLEU-1": "bleu1",
    "BLEU-2": "bleu2",
    "BLEU-3": "bleu3",
    "BLEU-4": "bleu4",
    "ROUGE-L": "rouge_l",
    "CIDEr-D": "cider",
    "equal to a reference": "exact",
}


class Variant(NamedTuple):
    title: str
    words: Sequence[str]
    seeds: Sequence[int] = (0,)
    after: str | None = None  # the variant whose weights it begins with


VARIANTS = {
    "blind": Variant(
        "blind: it never sees a picture, 4 epochs",
        ["experiment=ucm_captions", "module.blind=true", "trainer.max_epochs=4"],
    ),
    "scratch": Variant("**from nothing**", ["experiment=ucm_captions_scratch"]),
    "scratch-scored": Variant(
        "**from nothing**, then for the score",
        [
            "experiment=ucm_captions_scratch",
            "module.self_critical=5",
            "module.label_smoothing=0",
            "optimizer.lr=5e-4",
            "trainer.max_epochs=10",
            "trainer.check_val_every_n_epoch=2",
        ],
        after="scratch",
    ),
    "pretrained": Variant("**ImageNet's network, frozen**: grid", ["experiment=ucm_captions"], (0, 1, 2)),
}
OF_REGIONS = {
    "regions": Variant("the same: regions", ["experiment=ucm_captions", "model.features=regions"]),
    "grid-and-regions": Variant(
        "the same: grid and regions", ["experiment=ucm_captions", "model.features=grid+regions"]
    ),
}


def folder(name: str, seed: int) -> Path:
    return RUNS / f"{name}-seed-{seed}"


def train(name: str, variant: Variant, seed: int, extra: Sequence[str]) -> None:
    run = folder(name, seed)
    if (run / "metrics.json").is_file():
        return
    before = [] if variant.after is None else [f"init={folder(variant.after, seed)}"]
    new = [*variant.words, *before, f"seed={seed}", f"run.dir={run}", *extra]
    started = (run / "config.yaml").is_file()
    subprocess.run([sys.executable, TRAIN, *([f"resume={run}"] if started else new)], check=True)


def result(name: str, seed: int) -> Mapping[str, float]:
    """The figures of a run's test, and of its constant caption as ``constant/...``."""
    final = json.loads((folder(name, seed) / "metrics.json").read_text(encoding="utf-8"))["final"]
    return {key.removeprefix("test/"): value for key, value in final.items() if key.startswith("test/")}


def table(variants: Mapping[str, Variant]) -> str:
    first = result("pretrained", 0)
    constant = {name: first[f"constant/{name}"] for name in METRICS.values()}
    lines = [
        "| the test split | seed | " + " | ".join(METRICS) + " |",
        "|---" * (len(METRICS) + 2) + "|",
        _row("*one caption for all pictures*", "", constant),
        _row("*the nearest training picture's*", "", nearest.figures(folder("pretrained", 0))),
    ]
    for name, variant in variants.items():
        lines += [_row(variant.title, str(seed), result(name, seed)) for seed in variant.seeds]
    return "\n".join(lines) + "\n"


def _row(title: str, seed: str, figures: Mapping[str, float]) -> str:
    values = (f"{figures[name]:.3f}" for name in METRICS.values())
    return f"| {title} | {seed} | {' | '.join(values)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", metavar="FILE", help="for captioners that look at regions")
    given, extra = parser.parse_known_args()
    variants = dict(VARIANTS)
    if given.boxes is not None:
        boxes = f"data.regions={given.boxes}"
        variants |= {name: one._replace(words=[*one.words, boxes]) for name, one in OF_REGIONS.items()}
    for name, variant in variants.items():
        for seed in variant.seeds:
            train(name, variant, seed, extra)
    written = table(variants)
    (HERE / "table.md").write_text(written, encoding="utf-8")
    print(written)
    print(f"written: {HERE / 'table.md'}")


if __name__ == "__main__":
    main()
