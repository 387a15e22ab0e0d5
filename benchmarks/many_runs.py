"""CPU seconds of `compare --last 20` and `runs` over a thousand runs, process start included.

    python benchmarks/many_runs.py [runs] [repeats]

The runs are written directly, each with the files and sizes that a training leaves; three seeds share a
configuration, so that intervals and paired tests are computed. The commands take turns; the medians are of
user + system time, with the least and the most beside them.
"""

import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from vision_apps.core.config.compose import compose_with_choices

LIMIT = 2.0  # seconds
METRICS = ("loss", "accuracy", "top5_accuracy", "ece")
SEEDS = 3


def write(root: Path, count: int) -> None:
    from omegaconf import OmegaConf

    chance = random.Random(0)
    composed, choices = compose_with_choices(["task=classification"])
    config = OmegaConf.to_container(composed, resolve=True)
    for index in range(count):
        folder = root / "classification" / f"{index:04d}-run"
        (folder / "images").mkdir(parents=True)
        (folder / "checkpoints").mkdir()
        seed = index % SEEDS
        config["seed"] = config["data"]["seed"] = seed
        config["optimizer"]["lr"] = 10.0 ** -(1 + index // SEEDS % 4)
        config["optimizer"]["weight_decay"] = index // SEEDS / 100
        (folder / "config.yaml").write_text(
            yaml.dump(config, sort_keys=False, Dumper=yaml.CSafeDumper), encoding="utf-8"
        )
        started = f"2026-11-{1 + index // 60 // 24 % 28:02d}T{index // 60 % 24:02d}:{index % 60:02d}:00+00:00"
        record = {"id": f"{index:08x}", "started": started, "choices": choices, "seed": seed}
        (folder / "run.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        lines = ["step,epoch,name,value"]
        lines += [f"{step},{step // 20},train/loss,{chance.random():.8g}" for step in range(100)]
        lines += [f"{20 * e},{e},val/{m},{chance.random():.8g}" for e in range(5) for m in METRICS]
        (folder / "metrics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        final = {
            f"{stage}{m}": chance.random() for stage in ("val/", "test/", "test/majority/") for m in METRICS
        }
        metrics = {
            "monitor": "val/accuracy",
            "mode": "max",
            "best": {"value": chance.random(), "epoch": 4},
            "final": final,
            "series": {name: {"last": value, "min": value, "max": value} for name, value in final.items()},
            "parameters": 98602,
            "seconds": 60.0,
            "peak_memory": 700_000_000,
        }
        (folder / "metrics.json").write_text(json.dumps(metrics, indent=2), encoding="utf-8")


def cpu_seconds(words: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "vision_apps", *words]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(count: int = 1000, repeats: int = 5) -> None:
    commands = {
        "compare --last 20": ["compare", "--last", "20"],
        "runs": ["runs"],
        "runs 'test/accuracy>0.9' --last 20": ["runs", "test/accuracy>0.9", "--last", "20"],
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder / "runs", count)
        for words in commands.values():
            cpu_seconds(words, folder)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, words in commands.items():
                times[name].append(cpu_seconds(words, folder))
    print(f"{count} runs · Python {platform.python_version()} · {os.cpu_count()} cores · {repeats} rounds\n")
    print("| command | CPU seconds, median | least and most |")
    print("|---|---|---|")
    for name, seconds in times.items():
        print(f"| `{name}` | {statistics.median(seconds):.2f} | {min(seconds):.2f}, {max(seconds):.2f} |")
    slow = [name for name, seconds in times.items() if statistics.median(seconds) > LIMIT]
    sys.exit(f"more than {LIMIT} s: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
