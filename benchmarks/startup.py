"""CPU seconds until the command line answers, against a Hydra application that does nothing.

    python benchmarks/startup.py [repeats]

Paired: the commands take turns, so that a busy machine slows all of them; the medians are of user + system
time.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BARE = """
import hydra
@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(config): pass
main()
"""
VISION_APPS = [sys.executable, "-m", "vision_apps", "train"]


def cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(repeats: int = 7) -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE, encoding="utf-8")
        (Path(folder) / "conf").mkdir()
        (Path(folder) / "conf" / "config.yaml").write_text("seed: 0\n", encoding="utf-8")
        commands = {
            "a bare Hydra application, --cfg job": [sys.executable, str(script), "--cfg", "job"],
            "train --cfg job": [*VISION_APPS, "--cfg", "job"],
            "train --help": [*VISION_APPS, "--help"],
            "a wrong option (trainer=gpuu)": [*VISION_APPS, "trainer=gpuu"],
            "a wrong key (optimizer.lrr=1)": [*VISION_APPS, "optimizer.lrr=1"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                times[name].append(cpu_seconds(command))
    bare = statistics.median(next(iter(times.values())))
    print(f"{'command':<38} {'CPU s':>6} {'over bare':>10}   (median of {repeats})")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:<38} {middle:6.2f} {middle - bare:+10.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
