"""What a sweep costs beside the same search written directly on Optuna, and what two jobs at a time gain.

    python benchmarks/sweep_overhead.py [--trials 6] [--parallel 16] [--rounds 3]

The search tries learning rates of a small classifier on a few generated pictures: trials as short as trials
get. ``direct`` asks, trains and tells in one process, as a person would write it in ten lines; the floor of a
sweep that gives every trial a process of its own is that plus the start of such a process, which is measured
by itself. The rounds are interleaved.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

SPACE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
SHORT = [
    *(
        "task=classification",
        "model=lenet5",
        "trainer=cpu",
        "logger=csv",
        "test=false",
        "trainer.max_epochs=2",
    ),
    *("data.train_images=256", "data.val_images=64", "data.test_images=16", "callbacks.pictures=null"),
]
DIRECT = """
import sys, optuna
from pathlib import Path
from vision_apps.core import engine
from vision_apps.core.config.compose import compose
from vision_apps.core.metrics_file import summary
trials, words = int(sys.argv[1]), sys.argv[2:]
study = optuna.create_study(storage="sqlite:///study.db", sampler=optuna.samplers.TPESampler(seed=0))
for number in range(trials):
    trial = study.ask()
    lr = trial.suggest_float("optimizer.lr", 1e-4, 1e-1, log=True)
    engine.train(compose([*words, f"optimizer.lr={lr}", f"run.dir=runs/{number}"]))
    study.tell(trial, summary(Path(f"runs/{number}/metrics.csv"))["val/loss"]["min"])
"""
# what a run needs before its first line of work
START = (
    "import vision_apps.core.engine, vision_apps.applications.classification.module, "
    "vision_apps.data.scenes.views"
)


def seconds(*words: object) -> float:
    """Wall time of a process, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        subprocess.run([sys.executable, *map(str, words)], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - begun


def sweep(trials: int, jobs: int) -> float:
    settings = ("sampler=tpe", f"n_trials={trials}", f"jobs={jobs}", "dir=s")
    return seconds("-m", "vision_apps", "sweep", *SHORT, SPACE, *settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    starts, direct, ours, once = [], [], [], []
    for _ in range(given.rounds):
        starts.append(seconds("-c", START))
        # one trial more or less: what begins only once is taken out
        few, many = (seconds("-c", DIRECT, count, *SHORT) for count in (1, 1 + given.trials))
        direct.append((many - few) / given.trials)
        few, many = (sweep(count, jobs=1) for count in (1, 1 + given.trials))
        ours.append((many - few) / given.trials)
        once.append(few)
    start, inside, own = map(statistics.median, (starts, direct, ours))
    print(f"start of a process that can train   {start:6.2f} s")
    print(f"a trial, directly on Optuna         {inside:6.2f} s")
    print(f"a trial of a sweep                  {own:6.2f} s")
    print(f"overhead / start                    {(own - inside) / start:6.2f}")
    single, double = [], []
    for _ in range(given.rounds):
        single.append(sweep(given.parallel, jobs=1))
        double.append(sweep(given.parallel, jobs=2))
    alone, together = statistics.median(single), statistics.median(double)
    print(f"{given.parallel} trials, one at a time            {alone:6.1f} s")
    print(f"{given.parallel} trials, two at a time            {together:6.1f} s")
    print(f"gain                                {alone / together:6.2f}")
    print(f"begin of a sweep and its first trial {statistics.median(once):5.1f} s")


if __name__ == "__main__":
    main()
