"""Is a run that is killed again and again the run that was left alone?

    python benchmarks/kill_and_resume.py [kills] [key=value ...]

Trains once undisturbed. Then trains the same with ``kill -9`` at random moments, resuming after each, until
so many kills have met it; a run that ends before is compared and begun anew. The final weights have to be
those of the undisturbed run bit for bit; the exit status is 1 when they are not. By default ten kills of a
small colorization run on the CPU, a few minutes; ``key=value`` are words of ``vision-apps train`` that choose
another.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

TRAIN = [sys.executable, "-m", "vision_apps", "train"]
SMALL = ["task=colorization", "trainer.max_epochs=4", "module.prior_images=64"]
SMALL += ["data.image_size=32", "data.batch_size=8"]
SMALL += [f"data.{split}_images={count}" for split, count in (("train", 128), ("val", 16), ("test", 8))]
FOREVER = 1e6  # seconds
ALWAYS = ["logger=csv", "test=false", "trainer.accelerator=cpu", "callbacks.checkpoint.every_steps=2"]


class Life:
    """One process that trains until it ends or is killed."""

    def __init__(self, words: list[str], log: Path) -> None:
        self.log = log
        with open(log, "w") as file:
            self.process = subprocess.Popen([*TRAIN, *words], stdout=file, stderr=subprocess.STDOUT)

    def wait_until_it_trains(self) -> None:
        while "\nrun " not in self.log.read_text() and self.process.poll() is None:
            time.sleep(0.01)

    def survives(self, seconds: float) -> bool:
        """Whether it ends by itself within ``seconds``; it is killed where it does not."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        if status:
            raise SystemExit(f"the run failed with status {status}:\n{self.log.read_text()}")
        return True


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
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        undisturbed = Life([*words, f"run.dir={folder / 'undisturbed'}"], folder / "log.txt")
        undisturbed.wait_until_it_trains()
        began = time.monotonic()
        undisturbed.survives(FOREVER)
        seconds = time.monotonic() - began
        expected, total = weights(folder / "undisturbed"), step(folder / "undisturbed")
        print(f"undisturbed: {total} steps, {seconds:.1f} s of training\n")
        print("run  kill  after s  checkpoint at step")
        killed = runs = 0
        equal = True
        while killed < kills or not runs:
            runs += 1
            run = folder / f"run-{runs}"
            life = Life([*words, f"run.dir={run}"], folder / "log.txt")
            while True:
                life.wait_until_it_trains()
                left = seconds * (1 - step(run) / total)
                moment = choose.uniform(0, left) if killed < kills and left else FOREVER
                if life.survives(moment):
                    break
                killed += 1
                print(f"{runs:3}  {killed:4}  {moment:7.2f}  {step(run):4} of {total}", flush=True)
                life = Life([f"resume={run}"], folder / "log.txt")
            final = weights(run)
            same = all(torch.equal(final[name], value) for name, value in expected.items())
            equal = equal and same and step(run) == total
            print(f"{runs:3}  ended: weights {'equal bit for bit' if same else 'DIFFER'}", flush=True)
    return equal


if __name__ == "__main__":
    numbers = [word for word in sys.argv[1:2] if word.isdigit()]
    chosen = sys.argv[1 + len(numbers) :] or SMALL
    sys.exit(0 if main(int(numbers[0]) if numbers else 10, [*chosen, *ALWAYS]) else 1)
