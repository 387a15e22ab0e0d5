"""How fast ``predict`` is on small and on large pictures, and how much memory it takes for many.

    python benchmarks/prediction.py [--task colorization] [--rounds 5] [--small 256] [--large 64]

Network: pictures that are in memory, one at a time against batches whose size is searched for, the search
included. Whole: from files to files (read, answer, draw, compress, write), one at a time and nothing ahead
against what ``predict`` does (batches, and threads that read and draw ahead). The two sides take turns, each
round goes over all pictures, and the ratio is taken within each round, of pictures per second on the wall and
per second of processor time. Before it is timed, both sides are checked to give the same answers.

Memory: the peak of a process of its own that predicts on 1,000 and on 8,000 small files (VmHWM: ru_maxrss
would start at the peak of the process that started it). Goal: it does not grow but for the list of names.

The network is untrained: its speed is that of a trained one, but a detector's boxes are fewer.
"""

import argparse
import contextlib
import io
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

MEMORY_COUNTS = (1000, 8000)
MEMORY_BATCH = 32  # given: a search ends at 32 or 64, which differ by 80 MiB


def checkpoint(task: str, place: Path) -> str:
    import torch
    from omegaconf import OmegaConf

    from vision_apps.core import assembly, checkpoint_io
    from vision_apps.core.config.compose import compose

    torch.manual_seed(0)
    words = [f"task={task}", "data.train_images=8", "data.val_images=4", "data.test_images=4"]
    config: Any = OmegaConf.to_container(compose(words), resolve=True)
    facts = assembly.build_data(config).facts
    module = assembly.build_module(config, facts, trainable=False)
    checkpoint_io.save({"state_dict": module.state_dict(), "config": config, "facts": facts}, place)
    return str(place)


def pictures(folder: Path, count: int, width: int, height: int) -> str:
    """Smooth pictures with a little noise, as JPEG files."""
    import torch

    from vision_apps.core.pictures import to_pil

    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        coarse = torch.rand(1, 3, max(2, height // 16), max(2, width // 16), generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
        noise = torch.randn(3, height, width, generator=generator)
        image = (255 * smooth + 4 * noise).clamp(0, 255).to(torch.uint8)
        to_pil(image).save(folder / f"{number:05d}.jpg", quality=92)
    return str(folder)


def inline(jobs: Iterator[Callable[[], Any]], threads: int, pixels: Callable[[Any], int]) -> Iterator[Any]:
    """`ahead` without threads."""
    for job in jobs:
        if (result := job()) is None:
            return
        yield result


def network(module: Any, items: list[Any], batch: int | None) -> list[Any]:
    from vision_apps.prediction.batching import Answerer, answered

    return [answer for _, answer in answered(iter(items), Answerer(module, module.device, batch))]


def whole(module: Any, found: list[Any], batch: int | None, threads: bool) -> int | None:
    """Returns the batch size of the end."""
    from vision_apps.prediction import reading
    from vision_apps.prediction.ahead import ahead
    from vision_apps.prediction.batching import Answerer, answered
    from vision_apps.prediction.outputs import Outputs

    run: Any = ahead if threads else inline
    reading.ahead = run
    answerer = Answerer(module, module.device, batch)
    with tempfile.TemporaryDirectory() as out, Outputs(module.presentation, found, Path(out)) as outputs:
        jobs = (
            partial(outputs.make, *pair) for pair in answered(reading.read(found, module.encode), answerer)
        )
        for product in run(jobs, 2, lambda product: product.item.pixels):
            outputs.write(product)
    return next(iter(answerer.sizes.values())).size


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    started = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started[0], time.process_time() - started[1]


def compare(title: str, count: int, sides: dict[str, Callable[[], Any]], rounds: int) -> None:
    """Rows of pictures per second (median) of each side, and the ratios of the last to the first."""
    for work in sides.values():  # warm up
        work()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 else list(sides)[::-1]
        for name in order:
            taken[name].append(timed(sides[name]))
    first = next(iter(sides))
    for name in sides:
        rates = [statistics.median(count / pair[clock] for pair in taken[name]) for clock in range(2)]
        text = f"{title:<22} {name:<26} {rates[0]:>8.1f} {rates[1]:>8.1f}"
        if name != first:
            for clock in range(2):
                ratios = [a[clock] / b[clock] for a, b in zip(taken[first], taken[name], strict=True)]
                text += f"   {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(text, flush=True)


def measure_rates(place: str, folder: Path, counts: tuple[int, int], rounds: int) -> None:
    import torch

    from vision_apps.prediction import inputs, reading
    from vision_apps.prediction.predict import _ready
    from vision_apps.prediction.takes import Takes
    from vision_apps.trained import evaluate

    module = _ready(evaluate.load(place), []).module
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, {type(module.network).__name__}\n\n{'pictures':<22} {'':<26} "
        f"{'per s':>8} {'per cpu s':>8}   ratio on the wall   ratio of processor time"
    )
    for count, width, height in ((counts[0], 64, 64), (counts[1], 640, 480)):
        found = inputs.find([pictures(folder / f"{width}", count, width, height)], Takes())
        items = list(reading.read(found, module.encode))
        for one, other in zip(network(module, items, 1), network(module, items, None), strict=True):
            for field, same in zip(one, other, strict=True):
                if field is not None and field.is_floating_point():
                    torch.testing.assert_close(field, same, rtol=1e-3, atol=1e-2)
        title = f"{count} of {width} x {height}"
        sides = {
            "network, one at a time": partial(network, module, items, 1),
            "network, batch auto": partial(network, module, items, None),
        }
        compare(title, count, sides, rounds)
        sides = {
            "whole, one at a time": partial(whole, module, found, 1, False),
            "whole, batch auto": partial(whole, module, found, None, False),
            "whole, auto and threads": partial(whole, module, found, None, True),
        }
        compare(title, count, sides, rounds)
        print(f"{title:<22} batch size found: {whole(module, found, None, True)}", flush=True)


def measure_memory(place: str, folder: Path) -> None:
    print(f"\n{'pictures of 64 x 64':<22} {'peak of the process, MiB':>26}")
    for count in MEMORY_COUNTS:
        given = pictures(folder / f"memory-{count}", count, 64, 64)
        words = [sys.executable, __file__, "--memory-of", place, given, str(folder / f"out-{count}")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        print(f"{count:<22} {int(done.stdout.splitlines()[-1]) / 1024:>26.1f}", flush=True)


def memory_of(place: str, given: str, out: str) -> None:
    """Print the peak in kB."""
    from vision_apps.prediction.predict import predict

    with contextlib.redirect_stdout(io.StringIO()):
        predict(place, [given], out, batch=MEMORY_BATCH)
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="colorization")
    parser.add_argument("--rounds", type=int, default=5, help="of the rates; 0 measures the memory alone")
    parser.add_argument("--small", type=int, default=256, help="pictures of 64 x 64")
    parser.add_argument("--large", type=int, default=64, help="pictures of 640 x 480")
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        memory_of(*arguments.memory_of)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = checkpoint(arguments.task, folder / "untrained.ckpt")
        if arguments.rounds:
            measure_rates(place, folder, (arguments.small, arguments.large), arguments.rounds)
        measure_memory(place, folder)


if __name__ == "__main__":
    main()
