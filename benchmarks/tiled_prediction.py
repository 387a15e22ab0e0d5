"""U-Net's answer to a picture too large for it, tile by tile: time and memory.

    python benchmarks/tiled_prediction.py [--rounds 3] [--size 4000] [--width 16]

Time: the whole prediction (tiles cut and normalised, network, softmax, blending, masks) against the network
alone on the same number of pixels, already normalised, in tiles of the same size that do not overlap. The two
take turns and the ratio is taken within each round, of wall time and of processor time: the second is that of
an idle machine also on a busy one. Goal: 1.3.

Memory: the peak of a process of its own for each size, less the answer and what it held before, the picture
included. Goal: it does not grow with the picture, beyond the passage between two rows of tiles
(overlap x width x classes x 4 bytes). The sizes are about 2000, 4000 and 6000, such that the tiles are of one
size; the U-Net is narrow, so that what does not belong to it is seen; every block of a megabyte is a mapping
of its own, because fragments of the heap move the peak by a hundred MiB to either side.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CLASSES = 11
MEMORY_SIZES, MEMORY_WIDTH = (1984, 3904, 5824), 8


class Times(NamedTuple):
    wall: float
    processor: float


def _module(width: int, tile: int, overlap: int) -> Any:
    import torch
    from omegaconf import OmegaConf

    from vision_apps.core import assembly
    from vision_apps.core.config.compose import compose

    torch.manual_seed(0)
    words = ["task=segmentation", f"model.width={width}", f"module.tile={tile}", f"module.overlap={overlap}"]
    config: Any = OmegaConf.to_container(compose(words), resolve=True)
    facts = {
        "num_classes": CLASSES,
        "class_names": [f"class {k}" for k in range(CLASSES)],
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
    }
    return assembly.build_module(config, facts, trainable=False).eval()


def _picture(size: int) -> Any:
    import torch

    return torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8)


def measure_time(module: Any, size: int, rounds: int) -> None:
    import torch

    from vision_apps.applications.segmentation.tiles import plan

    images = _picture(size)
    axis = plan(size, module.tile, module.overlap)
    tile = torch.randn(1, 3, axis.tile, axis.tile)
    alone_on = size**2 / axis.tile**2  # tiles that make up the picture without overlap
    whole_tiles = max(1, int(alone_on))

    def timed(work: Callable[[], Any]) -> Times:
        started = time.perf_counter(), time.process_time()
        work()
        return Times(time.perf_counter() - started[0], time.process_time() - started[1])

    def network() -> Times:
        found = timed(lambda: [module.network(tile) for _ in range(whole_tiles)])
        return Times(*(value * alone_on / whole_tiles for value in found))

    rows = []
    with torch.inference_mode():
        module.network(tile)  # the first call is slower
        for number in range(rounds):
            if number % 2:
                mine, alone = timed(lambda: module(images)), network()
            else:
                alone, mine = network(), timed(lambda: module(images))
            rows.append((alone, mine, Times(mine.wall / alone.wall, mine.processor / alone.processor)))
    seen = (len(axis.starts) * axis.tile / size) ** 2
    parameters = sum(p.numel() for p in module.network.parameters())
    print(
        f"{size} x {size} px, {CLASSES} classes, U-Net of {parameters:,} parameters, "
        f"{torch.get_num_threads()} threads\n{len(axis.starts)}^2 tiles of {axis.tile} px with an overlap of "
        f"{module.overlap}: {seen:.3f} times the pixels\n\n{'':<30} {'wall':>9} {'processor':>10}"
    )
    for column, name in enumerate(("network alone, s", "tiled prediction, s", "ratio (goal: 1.3)")):
        wall, processor = (statistics.median(row[column][clock] for row in rows) for clock in range(2))
        print(f"{name:<30} {wall:>9.3f} {processor:>10.3f}")


def _bytes(field: str) -> int:
    """VmRSS or VmHWM of this process."""
    line = next(
        line
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if line.startswith(field)
    )
    return int(line.split()[1]) * 1024


def memory_of(module: Any, size: int) -> int:
    """Bytes at the peak of the prediction beyond what was held before it and the answer."""
    import torch

    with torch.inference_mode():
        module(_picture(module.tile + 32))  # libraries, and the allocator's first blocks
        images = _picture(size)
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the high-water mark starts anew
        before = _bytes("VmRSS")
        answer = module(images).masks
        return _bytes("VmHWM") - before - answer.numel()


def measure_memory(words: list[str]) -> None:
    print(f"\n{'picture':<14} {'picture + answer, MiB':>22} {'peak beyond them, MiB':>22}")
    for size in MEMORY_SIZES:
        done = subprocess.run(
            [sys.executable, __file__, *words, "--memory-of", str(size)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)},
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"{f'{size} x {size}':<14} {4 * size**2 / 2**20:>22.1f} {found / 2**20:>22.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="of the times; 0 measures the memory alone")
    parser.add_argument("--size", type=int, default=4000)
    parser.add_argument("--width", type=int, default=16, help="of the U-Net")
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    module = _module(arguments.width, arguments.tile, arguments.overlap)
    if arguments.memory_of:
        print(json.dumps(memory_of(module, arguments.memory_of)))
        return
    if arguments.rounds:
        measure_time(module, arguments.size, arguments.rounds)
    options = {"width": MEMORY_WIDTH, "tile": arguments.tile, "overlap": arguments.overlap}
    measure_memory([word for name, value in options.items() for word in (f"--{name}", str(value))])


if __name__ == "__main__":
    main()
