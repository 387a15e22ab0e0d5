"""In place of a process that trains: it does to a run folder what training does, without torch.

python stand_in.py FOLDER          a run: short epochs, a checkpoint after each, SIGTERM saves
python stand_in.py sweep WORDS     a sweep whose runs are these
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import yaml

from vision_apps.core import parent
from vision_apps.core.run_folder import RunFolder

EPOCHS = 4
WAITS = "STAND_IN_WAITS"  # trials from this number on save their first epoch and wait until they are stopped
FAILS, PRUNED, DIES, NAN, SILENT = 13, 17, 19, 23, 29  # widths


def command(folder: RunFolder, started: bool) -> list[str]:
    """As `processes.command`."""
    return [sys.executable, __file__, str(folder.path.absolute())]


def value(config: dict, epoch: int) -> float:
    """Better with each epoch, best near width 8, a little different by seed and fold."""
    return (
        abs(config["model"]["width"] - 8)
        + 1 / (1 + epoch)
        + config["seed"] / 100
        + (config["data"].get("fold") or 0) / 9
    )


def train(place: str) -> None:
    parent.end_with_parent()
    folder = RunFolder(place)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    config = yaml.safe_load((folder.path / "config.yaml").read_text())
    width = config["model"]["width"]
    with folder.held():
        with open(folder.path / "starts.txt", "a") as file:
            file.write(f"{os.getpid()} {os.environ.get('RANK')} {os.environ.get('OMP_NUM_THREADS')}\n")
        last = folder.checkpoints / "last.ckpt"
        done = int(last.read_text()) if last.is_file() else 0
        for epoch in range(done, EPOCHS):
            new = not (folder.path / "metrics.csv").is_file()
            with open(folder.path / "metrics.csv", "a") as file:
                file.write("step,epoch,name,value\n" * new)
                file.write(f"{epoch},{epoch},val/loss,{value(config, epoch)}\n")
            if width == FAILS:
                folder.note(status="failed", error="RunError: the stand-in fails at this width")
                raise SystemExit(2)
            if width == PRUNED:
                folder.note(status="pruned")
                raise SystemExit(3)
            if width == DIES:
                print("a last word", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            last.write_text(str(epoch + 1))
            if folder.record["trial"] >= int(os.environ.get(WAITS, sys.maxsize)):
                (folder.path / "waits").touch()
                while not stopping:
                    time.sleep(0.01)
            if stopping:
                raise SystemExit(130)
        best = float("nan") if width == NAN else value(config, EPOCHS - 1)
        folder.write_json(
            "metrics.json",
            {
                "monitor": "val/loss",
                "mode": "min",
                "best": {"value": None if width == SILENT else best, "epoch": EPOCHS - 1},
                "final": {"test/loss": best},
                "series": {"val/loss": {}},
                "parameters": 10 * width,
                "seconds": 1,
                "peak_memory": 1,
            },
        )


def sweep(words: list[str]) -> int:
    from vision_apps.cli import main
    from vision_apps.sweeps import processes

    parent.end_with_parent()
    processes.command = command
    return main(["sweep", *words])


def words_of(*words: str) -> list[str]:
    return ["task=toy", "trainer=cpu", "logger=csv", *words]


def starts(run: Path) -> list[list[str]]:
    return [line.split() for line in (run / "starts.txt").read_text().splitlines()]


def study(folder: Path) -> dict:
    return json.loads((folder / "study.json").read_text())


if __name__ == "__main__":
    if sys.argv[1] == "sweep":
        sys.exit(sweep(sys.argv[2:]))
    train(sys.argv[1])
