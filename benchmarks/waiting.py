"""Training steps on a free and on a busy machine: do threads that wait for each other spin, or sleep?

    python benchmarks/waiting.py [--rounds 3] [--steps 20] [--busy 8] [--words "task=colorization"]

A process for each way trains the same network on the same batch with a thread for each core, and takes turns
with the others; every ratio is taken within a round, after one that is not counted. First beside what the
machine does anyway, then beside ``--busy`` endless loops.

spin   as torch's OpenMP (libgomp) does where nobody says anything
sleep  OMP_WAIT_POLICY=PASSIVE
one    one thread: nothing to wait for
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

WAYS = {
    "spin": {},
    "sleep": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one": {"OMP_NUM_THREADS": "1"},
}


def worker(words: list[str], steps: int) -> None:
    """Train for so many steps for each line that comes in; answers with seconds of the clock."""
    import torch
    from omegaconf import OmegaConf

    from vision_apps.core import assembly, losses
    from vision_apps.core.config import compose
    from vision_apps.core.loader import BatchLoader

    few = ["data.train_images=64", "data.val_images=8", "data.test_images=8"]
    config = OmegaConf.to_container(compose.compose([*words, *few]), resolve=True)
    torch.manual_seed(0)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts_of_run, trainable=True)
    batch = next(iter(BatchLoader(data.samples("train"), module.batch_type, batch_size=32)))
    if module.prepare_samples:
        module.prepare(batch)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    print(torch.get_num_threads(), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            losses.values(module.loss(module.training_outputs(batch), batch))["loss"].backward()
            optimizer.step()
        print(time.perf_counter() - began, flush=True)


class Way:
    """A process that trains when it is asked."""

    def __init__(self, words: list[str], steps: int, env: dict[str, str]) -> None:
        names = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT")
        plain = {name: value for name, value in os.environ.items() if name not in names}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", "--steps", str(steps), "--words", " ".join(words)],
            env=plain | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.threads = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process ended early; what it said stands above")
        return line

    def seconds(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._line())


def measured(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            seconds = way.seconds()
            if number:
                found[name].append(seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--busy", type=int, default=8)
    parser.add_argument("--words", default="task=colorization")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given.words.split(), given.steps)
        return
    ways = {name: Way(given.words.split(), given.steps, env) for name, env in WAYS.items()}
    loops: list[subprocess.Popen[bytes]] = []
    try:
        from vision_apps.core import hardware

        print({**hardware.describe(), **vars(given), "threads": {n: w.threads for n, w in ways.items()}})
        print(f"{'beside':<16}{'way':<8}{'s':>8}{'to spin':>9}   lowest to highest")
        for busy in (0, given.busy):
            load = f"load {os.getloadavg()[0]:.1f}" if not busy else f"{busy} loops more"
            loops += [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
            found = measured(ways, given.rounds)
            for name, seconds in found.items():
                ratios = [a / b for a, b in zip(found["spin"], seconds, strict=True)]
                spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                median = statistics.median(seconds)
                print(f"{load:<16}{name:<8}{median:>8.2f}{statistics.median(ratios):>9.2f}   {spread}")
    finally:
        for process in [*loops, *(way.process for way in ways.values())]:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
