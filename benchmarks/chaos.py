"""What is lost when processes are killed, the disk is full and bits flip?

    python benchmarks/chaos.py [--minutes 10] [--seed 0] [--only training predict ...]

Makes a small run on the CPU. Then, until the time is over, kills (``kill -9``, at random moments) a training,
a sweep, a prediction, an export and a comparison, lets the disk be full while a run trains, and flips single
bits of checkpoints and of the small files of a run; and checks what is promised: what is begun again ends as
what was left alone, bit for bit, and nothing that is damaged is used as if it were whole. Prints a table of
tries and losses; the exit status is 1 where something was lost.

A disk is full where files may not grow beyond a limit (``RLIMIT_FSIZE``): no right to mount one is needed.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from vision_apps.core import checkpoint_io
from vision_apps.core.errors import UserError

PROGRAM = [sys.executable, "-m", "vision_apps"]
SMALL = ["task=classification", "trainer.accelerator=cpu", "logger=csv", "callbacks.pictures=null"]
SMALL += ["data.image_size=32", "data.batch_size=8", "trainer.max_epochs=4", "trainer.log_every_n_steps=1"]
SMALL += [f"data.{split}_images={count}" for split, count in (("train", 128), ("val", 16), ("test", 8))]
SMALL += ["callbacks.checkpoint.every_steps=2"]
PICTURES = 24
FLIPS = 50  # in each of the files, whenever it is their turn
SMALL_FILES = ("config.yaml", "metrics.csv", "metrics.json", "run.json", "data.json")


class Ended(NamedTuple):
    """How a process ended."""

    status: int  # -9: it was killed
    told: str


class Chaos:
    """The run that was left alone, and what is tried with copies and repetitions of it.

    Args:
        folder: an empty one.
        seed: of the moments and the bits.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.choose = random.Random(seed)
        self.seconds: dict[str, float] = {}  # that each command takes when it is left alone
        self.number = 0
        os.environ["OMP_NUM_THREADS"] = "1"
        self.base = folder / "base"
        self._alone("train", *SMALL, f"run.dir={self.base}")
        self.weights = _weights(self.base)
        self.photos = folder / "photos"
        self.photos.mkdir()
        _draw(self.photos, self.choose)
        self.asked = [
            str(self.base),
            str(self.photos),
            "--batch",
            "8",
        ]  # sums differ in their last bits by it
        self.answers = self._predicted(folder / "answers", alone=True)
        self._alone("export", str(self.base))
        self.exported = self.base / "exported" / "model.onnx"
        self._alone("compare", str(self.base), "--out", str(folder / "compared"))

    def training(self) -> tuple[int, list[str]]:
        run = self._fresh("run")
        ended = self._killed("train", *SMALL, f"run.dir={run}")
        if (run / "config.yaml").is_file():
            ended_again = self._run("train", f"resume={run}")
        else:
            shutil.rmtree(run, ignore_errors=True)
            ended_again = self._run("train", *SMALL, f"run.dir={run}")
        return ended.status == -9, self._same_weights(run, ended_again)

    def sweep(self) -> tuple[int, list[str]]:
        sweep = self._fresh("sweep")
        words = [*SMALL, "trainer.max_epochs=1", "optimizer.lr=1e-3,1e-2", f"dir={sweep}"]
        if "sweep" not in self.seconds:
            self._alone("sweep", *words)
            return 0, self._two_trials(sweep)
        ended = self._killed("sweep", *words)
        if (sweep / "sweep.json").is_file():
            again = self._run("sweep", f"resume={sweep}")
        else:
            shutil.rmtree(sweep, ignore_errors=True)
            again = self._run("sweep", *words)
        lost = (
            self._two_trials(sweep) if again.status == 0 else [f"a sweep did not go on: {again.told[-300:]}"]
        )
        return ended.status == -9, lost

    def predict(self) -> tuple[int, list[str]]:
        out = self._fresh("answers")
        ended = self._killed("predict", *self.asked, "--out", str(out))
        found = self._predicted(out)
        return ended.status == -9, [] if found == self.answers else [
            "a prediction that was begun again differs"
        ]

    def export(self) -> tuple[int, list[str]]:
        file = self._fresh("model").with_suffix(".onnx")
        ended = self._killed("export", str(self.base), "--out", str(file))
        lost = []
        if file.is_file() and file.read_bytes() != self.exported.read_bytes():
            lost.append("a part of an exported file has its name")
        again = self._run("export", str(self.base), "--out", str(file))
        if again.status or file.read_bytes() != self.exported.read_bytes():
            lost.append(f"an export that was begun again differs: {again.told[-300:]}")
        return ended.status == -9, lost

    def compare(self) -> tuple[int, list[str]]:
        out = self._fresh("compared")
        ended = self._killed("compare", str(self.base), "--out", str(out))
        again = self._run("compare", str(self.base), "--out", str(out))
        whole = {path.name: path.read_bytes() for path in (self.folder / "compared").iterdir()}
        found = {path.name: path.read_bytes() for path in out.iterdir()} if out.is_dir() else {}
        lost = (
            []
            if again.status == 0 and found.keys() == whole.keys()
            else [f"a comparison: {again.told[-300:]}"]
        )
        return ended.status == -9, lost

    def disk(self) -> tuple[int, list[str]]:
        run, largest = self._fresh("run"), (self.base / "checkpoints" / "last.ckpt").stat().st_size
        limit = self.choose.choice([largest // 2, largest - 1, 2000, 20_000])
        ended = self._run("train", *SMALL, f"run.dir={run}", limit=limit)
        lost = ["a full disk ended in a traceback"] if "Traceback" in ended.told else []
        if not (run / "config.yaml").is_file():
            return ended.status != 0, lost
        return ended.status != 0, lost + self._same_weights(run, self._run("train", f"resume={run}"))

    def bits(self) -> tuple[int, list[str]]:
        """`FLIPS` of each file; small ones by what `runs` and the configuration's readers make of them."""
        lost, tries = [], 0
        for name in ("last.ckpt", "best.ckpt"):
            path = self._copied(self.base / "checkpoints" / name)
            for _ in range(FLIPS):
                tries += 1
                with self._flipped(path), contextlib.suppress(UserError):
                    state = checkpoint_io.load(path)["state_dict"]
                    if not _equal(state, _state(self.base / "checkpoints" / name)):
                        lost.append(f"{name} was loaded with another content")
        run = self._fresh("flipped")
        shutil.copytree(self.base, run)
        path = run / self.choose.choice(SMALL_FILES)
        with self._flipped(path):
            tries += 1
            told = self._run("runs", str(run.parent)).told
            if "Traceback" in told or self.base.name not in told:
                lost.append(f"a bit of {path.name} hides other runs: {told[-300:]}")
        return tries, lost

    # what they are made of

    def _two_trials(self, sweep: Path) -> list[str]:
        rows = (sweep / "results.csv").read_text(encoding="utf-8").splitlines()[1:]
        good = len(rows) == 2 and all("finished" in row for row in rows)
        return [] if good else [f"a sweep of two trials has the rows {rows}"]

    def _same_weights(self, run: Path, ended: Ended) -> list[str]:
        if ended.status:
            return [f"a run did not go on: {ended.told[-300:]}"]
        return [] if _equal(_weights(run), self.weights) else ["a run that went on has other weights"]

    def _predicted(self, out: Path, alone: bool = False) -> list[dict[str, object]]:
        (self._alone if alone else self._run)("predict", *self.asked, "--out", str(out))
        lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def _fresh(self, name: str) -> Path:
        self.number += 1
        return self.folder / f"{name}-{self.number}"

    def _copied(self, path: Path) -> Path:
        copy = self._fresh(path.stem).with_suffix(path.suffix)
        shutil.copyfile(path, copy)
        return copy

    @contextlib.contextmanager
    def _flipped(self, path: Path):  # type: ignore[no-untyped-def]
        """The file with one bit flipped; afterwards it is as it was."""
        content = bytearray(path.read_bytes())
        before, place = bytes(content), self.choose.randrange(len(content))
        content[place] ^= 1 << self.choose.randrange(8)
        path.write_bytes(content)
        yield
        path.write_bytes(before)

    def _alone(self, *words: str) -> None:
        began = time.monotonic()
        ended = self._run(*words)
        self.seconds[words[0]] = time.monotonic() - began
        if ended.status:
            raise SystemExit(f"{' '.join(words)}: status {ended.status}\n{ended.told}")

    def _killed(self, *words: str) -> Ended:
        """Of a moment in the time that it takes, those before it does anything left out."""
        return self._run(*words, kill=self.choose.uniform(0.3, 1) * self.seconds[words[0]])

    def _run(self, *words: str, kill: float | None = None, limit: int | None = None) -> Ended:
        def limited() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = subprocess.Popen(
            [*PROGRAM, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=limited,
        )
        try:
            told, _ = process.communicate(timeout=kill)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            told, _ = process.communicate()
        return Ended(process.returncode, told)


def _state(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return _state(run / "checkpoints" / "last.ckpt")


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _draw(folder: Path, choose: random.Random) -> None:
    from PIL import Image

    for number in range(PICTURES):
        color = tuple(choose.randrange(256) for _ in range(3))
        Image.new("RGB", (40, 30), color).save(folder / f"{number:02d}.png")


def main(minutes: float, seed: int, only: list[str]) -> bool:
    until = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        chaos = Chaos(Path(folder), seed)
        actions: dict[str, Callable[[], tuple[int, list[str]]]] = {
            name: getattr(chaos, name) for name in only
        }
        tries, met = dict.fromkeys(only, 0), dict.fromkeys(only, 0)
        lost: dict[str, list[str]] = {name: [] for name in only}
        while time.monotonic() < until or not all(tries.values()):
            for name, action in actions.items():
                hit, problems = action()
                tries[name] += 1
                met[name] += hit
                lost[name] += problems
                print(f"{name}: {tries[name]} tries, {len(lost[name])} losses", file=sys.stderr, flush=True)
                if time.monotonic() >= until and all(tries.values()):
                    break
    print("\n| what | tries | of them cut off, or bits | lost |\n|---|---|---|---|")
    for name in only:
        print(f"| {name} | {tries[name]} | {met[name]} | {len(lost[name])} |")
    for name in only:
        for problem in lost[name]:
            print(f"{name}: {problem}")
    return not any(lost.values())


ALL = ["training", "sweep", "predict", "export", "compare", "disk", "bits"]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL)
    given = parser.parse_args()
    sys.exit(0 if main(given.minutes, given.seed, given.only) else 1)
