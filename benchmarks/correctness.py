"""Does every localizer, detector and segmenter learn what it must? A few minutes of two cores.

    python benchmarks/correctness.py [NAME ...] [--jobs 2] [--seed 0]

Each row is a run of its own, on one thread, from nothing, on pictures of `made/shapes.py`. A row fails
where a figure is on the wrong side of its gate. The gates lie below what a right implementation reaches and
above what one reaches that has a well-known fault: labels off by one, swapped axes, boxes as x y w h, no
suppression, no skips. They are held against average precision over all thresholds, because AP50 hides a box
codec that is wrong.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
MADE = HERE / "made"  # the pictures, and the configurations that name them


class Gate(NamedTuple):
    """``metric`` of the test split must be at least (``at_least``) or at most ``value``."""

    metric: str
    value: float
    at_least: bool = True


class Row(NamedTuple):
    words: str  # of the command line
    gates: tuple[Gate, ...]
    shown: tuple[str, ...]  # metrics in the table beside those of the gates


DETECTION = "task=detection data=detection_shapes optimizer.lr=3e-3 scheduler.warmup=0.3"
BOXES = ("ap", "ap50", "ap75")

ROWS = {
    "rcnn": Row(
        f"{DETECTION} model=detection_rcnn data.proposals=fast data.batch_size=8 trainer.max_epochs=3 "
        "model.proposer._target_=vision_apps.applications.detection.proposers.External",
        (Gate("ap", 0.78),),
        BOXES,
    ),
    "fast_rcnn": Row(
        f"{DETECTION} model=detection_fast_rcnn data.proposals=fast data.batch_size=8 trainer.max_epochs=6 "
        "model.proposer._target_=vision_apps.applications.detection.proposers.External",
        (Gate("ap", 0.75),),
        BOXES,
    ),
    "faster_rcnn": Row(
        f"{DETECTION} model=detection_faster_rcnn data.batch_size=8 trainer.max_epochs=9",
        (Gate("ap", 0.80),),
        BOXES,
    ),
    "ssd": Row(f"{DETECTION} model=detection_ssd trainer.max_epochs=18", (Gate("ap", 0.75),), BOXES),
    "yolo_v1": Row(
        f"{DETECTION} model=detection_yolo_v1 trainer.max_epochs=18", (Gate("ap50", 0.90),), BOXES
    ),
    "yolo": Row(f"{DETECTION} model=detection_yolo trainer.max_epochs=18", (Gate("ap", 0.85),), BOXES),
    "localization": Row(
        "task=localization data=localization_shapes optimizer.lr=3e-3 scheduler.warmup=0.3 "
        "trainer.max_epochs=6",
        (Gate("loc_accuracy", 0.94),),
        ("class_accuracy", "mean_iou", "presence_accuracy"),
    ),
    "unet": Row(
        "task=segmentation model=segmentation_unet data=segmentation_thin optimizer.lr=3e-3 "
        "scheduler.warmup=0.3 trainer.max_epochs=3",
        (Gate("dice_line", 0.88),),
        ("miou", "boundary_iou"),
    ),
    "unet_without_skips": Row(
        "task=segmentation model=segmentation_unet model.skips=false data=segmentation_thin "
        "optimizer.lr=3e-3 scheduler.warmup=0.3 trainer.max_epochs=3",
        (Gate("dice_line", 0.70, at_least=False),),
        ("miou", "boundary_iou"),
    ),
}


class Result(NamedTuple):
    values: dict[str, float]
    cpu_seconds: float
    seconds: float
    parameters: int


def run(name: str, seed: int, test_images: int | None) -> Result:
    """One row in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            *ROWS[name].words.split(),
            f"seed={seed}",
            f"run.dir={folder}/run",
            "trainer=cpu",
            "trainer.check_val_every_n_epoch=1000",
            "callbacks.pictures.samples=0",
            "logger=csv",
            "allow_targets=[shapes]",
            *([f"data.test_images={test_images}"] if test_images else []),
        ]
        command = [sys.executable, str(HERE / "correctness.py"), "--worker", folder, *words]
        path = os.pathsep.join([str(MADE), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        started = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        record = json.loads((Path(folder) / "run" / "metrics.json").read_text(encoding="utf-8"))
        used = json.loads((Path(folder) / "cpu.json").read_text(encoding="utf-8"))
    final = {key.removeprefix("test/"): value for key, value in record["final"].items()}
    if "iou_line" in final:
        final["dice_line"] = 2 * final["iou_line"] / (1 + final["iou_line"])
    return Result(final, used, time.monotonic() - started, record["parameters"])


def worker(folder: str, words: list[str]) -> None:
    from vision_apps.cli import main as command

    status = command(["train", *words, "--config-dir", str(MADE / "conf")])
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    Path(folder, "cpu.json").write_text(
        json.dumps(sum(u.ru_utime + u.ru_stime for u in (own, children))), encoding="utf-8"
    )
    sys.exit(status)


def passes(values: dict[str, float], gate: Gate) -> bool:
    value = values[gate.metric]
    return value >= gate.value if gate.at_least else value <= gate.value


def main() -> None:
    parser: Any = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test-images", type=int, help="more of them, of which the usual ones come first")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in ROWS]:
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(ROWS)}")
    names = arguments.names or list(ROWS)
    print(f"{'':20}{'parameters':>11}{'CPU s':>7}  gate and figures", flush=True)
    failed = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = {name: pool.submit(run, name, arguments.seed, arguments.test_images) for name in names}
        for name, future in waiting.items():
            result, row = future.result(), ROWS[name]
            gates = [(passes(result.values, gate), gate) for gate in row.gates]
            told = [
                f"{gate.metric} {result.values[gate.metric]:.3f} {'>=' if gate.at_least else '<='} "
                f"{gate.value:.2f} {'yes' if good else 'NO'}"
                for good, gate in gates
            ]
            told += [f"{metric} {result.values[metric]:.3f}" for metric in row.shown]
            line = f"{name:20}{result.parameters:11,}{result.cpu_seconds:7.0f}  {', '.join(told)}"
            print(line, flush=True)
            failed += [name] * (not all(good for good, _ in gates))
    if failed:
        raise SystemExit(f"below the gate: {', '.join(failed)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3:])
    main()
