"""Colorize CIFAR-10 by classes, by classes with rebalancing, and by regression; write the table and the
picture sheet.

    python experiments/colorization_cifar10/run.py [key=value ...]

The arguments go to every run (``data.root=...``). A run that is there and finished is not trained again; one
that was interrupted goes on where it stopped.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch

from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.loader import BatchLoader
from vision_apps.core.pictures import sheet, to_pil

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / "train.py"
RUNS = Path("runs/colorization_cifar10")
VARIANTS = {
    "classes": [],
    "mildly rebalanced": ["module.rebalance=0.9"],  # chosen after the others' test figures had been seen
    "rebalanced": ["module.rebalance=0.5"],
    "L2": ["model=colorization_unet_l2"],
}
SECOND_LOOK = {"mildly rebalanced"}
METRICS = ("auc", "auc_rebalanced", "psnr", "ssim", "colorfulness")
ROWS = 10


def folder(name: str) -> Path:
    return RUNS / name.replace(" ", "-")


def train(name: str, extra: list[str]) -> None:
    run = folder(name)
    if (run / "metrics.json").is_file():
        return
    new = ["experiment=colorization_cifar10", f"run.dir={run}", *VARIANTS[name], *extra]
    started = (run / "config.yaml").is_file()
    subprocess.run([sys.executable, TRAIN, *([f"resume={run}"] if started else new)], check=True)


def table() -> str:
    lines = [
        "| one seed each | AuC, raw | AuC, rebalanced | PSNR (dB) | SSIM | colorfulness | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    results = {
        name: json.loads((folder(name) / "metrics.json").read_text(encoding="utf-8")) for name in VARIANTS
    }
    first = next(iter(results.values()))["final"]
    for baseline in ("grey", "prior"):
        lines.append(_row(baseline, [first[f"test/{baseline}/{metric}"] for metric in METRICS], None))
    for name, result in results.items():
        title = f"**{name}**" + " (second look)" * (name in SECOND_LOOK)
        lines.append(_row(title, [result["final"][f"test/{m}"] for m in METRICS], result["seconds"]))
    return "\n".join(lines) + "\n"


def _row(title: str, values: list[float], seconds: float | None) -> str:
    numbers = " | ".join(
        f"{value:.{3 if name == 'ssim' else 1}f}" for name, value in zip(METRICS, values, strict=True)
    )
    return f"| {title} | {numbers} | {'' if seconds is None else round(seconds)} |"


@torch.inference_mode()
def picture() -> None:
    """The first test pictures: grey, truth, and every variant's answer."""
    columns = []
    for name in VARIANTS:
        checkpoint = checkpoint_io.load(folder(name) / "checkpoints" / checkpoint_io.BEST)
        module = assembly.rebuild(checkpoint)
        data = assembly.build_data(checkpoint["config"])
        data.batch_type = module.batch_type
        batch = next(iter(BatchLoader(data.samples("test"), module.batch_type, batch_size=ROWS)))
        if not columns:
            columns = [module.baselines(batch)["grey"].images, batch.images]
        columns.append(module(module.inputs(batch)).images)
    rows = list(torch.cat(columns, dim=3))
    to_pil(sheet(rows, ("grey", "truth", *VARIANTS))).save(HERE / "sheet.png")


def main() -> None:
    for name in VARIANTS:
        train(name, sys.argv[1:])
    (HERE / "table.md").write_text(table(), encoding="utf-8")
    picture()
    print(table())
    print(f"written: {HERE / 'table.md'}, {HERE / 'sheet.png'}")


if __name__ == "__main__":
    main()
