"""Is a run that is killed again and again the run that was left alone?

    python benchmarks/kill_and_resume.py [kills] [key=value ...]

Trains once undisturbed. Then trains the same with ``kill -9`` at random moments, resuming after each, until
so many kills have met it; a run that ends before is compared and begun anew. The final weights have to be
those of the undisturbed run bit for bit; the exit status is 1 when they are not. By default ten kills of a
small colorization run on the CPU, a few minutes; ``key=value`` are words of ``vision-apps train`` that choose
another.
"""

import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from vision_apps.core import metrics_file

TRAIN = [sys.executable, "-m", "vision_apps", "train"]
SMALL = ["task=colorization", "trainer.max_epochs=4", "module.prior_images=64"]
SMALL += ["data.image_size=32", "data.batch_size=8"]
SMALL += [f"data.{split}_images={count}" for split, count in (("train", 128), ("val", 16), ("test", 8))]
ALWAYS = ["logger=csv", "test=false", "trainer.accelerator=cpu"]
ALWAYS += ["trainer.log_every_n_steps=1", "callbacks.checkpoint.every_steps=2"]


class Life:
    """One process that trains in ``run``."""

    def __init__(self, words: list[str], run: Path) -> None:
        self.run = run
        self.log = run.with_suffix(".txt")
        with open(self.log, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen([*TRAIN, *words], stdout=file, stderr=subprocess.STDOUT)

    def ends(self, step: float = math.inf, seconds: float = 0.0) -> bool:
        """Whether it ends by itself; it is killed ``seconds`` after it has logged ``step``."""
        while self.process.poll() is None:
            lines = metrics_file.read(self.run / "metrics.csv")
            if lines and lines[-1][0] >= step:
                time.sleep(seconds)
                self.process.kill()
                break
            time.sleep(0.005)
        status = self.process.wait()
        if status > 0:
            raise SystemExit(f"the run failed with status {status}:\n{self.log.read_text(encoding='utf-8')}")
        return status == 0


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoints/last.ckpt", weights_only=True)[
        "state_dict"
    ]
    return state


def step(run: Path) -> int:
    """Of the newest checkpoint that a kill left; 0 where there is none."""
    for name in ("last.ckpt", "previous.ckpt"):
        if (run / "checkpoints" / name).is_file():
            checkpoint = torch.load(run / "checkpoints" / name, weights_only=True)
            return int(checkpoint["global_step"])
    return 0


def main(kills: int, words: list[str]) -> bool:
    choose = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "undisturbed")
        Life([*words, f"run.dir={run}"], run).ends()
        expected, total = weights(run), step(run)
        print(f"undisturbed: {total} steps\n\nrun  kill  while it logged step  newest checkpoint at step")
        killed = runs = 0
        equal = True
        while killed < kills or not runs:
            runs += 1
            if runs > 10 * (kills + 1):
                raise SystemExit("runs end before a kill meets them: choose longer ones")
            run = Path(folder, f"run-{runs}")
            life = Life([*words, f"run.dir={run}"], run)
            while killed < kills:
                moment = choose.randint(step(run), total - 1)
                if life.ends(moment, choose.uniform(0, 0.05)):
                    break
                killed += 1
                print(f"{runs:3}  {killed:4}  {moment:20}  {step(run):4} of {total}", flush=True)
                life = Life([f"resume={run}"], run)
            life.ends()
            final = weights(run)
            same = all(torch.equal(final[name], value) for name, value in expected.items())
            equal = equal and same and step(run) == total
            print(f"{runs:3}  ended: weights {'equal bit for bit' if same else 'DIFFER'}", flush=True)
    return equal


if __name__ == "__main__":
    numbers = [word for word in sys.argv[1:2] if word.isdigit()]
    chosen = sys.argv[1 + len(numbers) :] or SMALL
    sys.exit(0 if main(int(numbers[0]) if numbers else 10, [*chosen, *ALWAYS]) else 1)
