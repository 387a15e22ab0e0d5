"""How the first command's runs come to their figures: validation against step, beside the bar of each set.

    python experiments/own_data/curves.py [SET ...] [--runs runs/own_data] [--to curves.png]

Nothing is trained: the runs that `run.py` left below --runs are read, of all sets that have some. The bar is
one for the test pictures; the curve, of the validation pictures, says whether more steps would have helped.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import charts
from run import HERE, RUNS, SETS

from vision_apps.core import metrics_file


def curve(name: str, runs: Path) -> charts.Curve:
    """Of a set's first command, each seed; of two bars the last one, which is the harder."""
    metric, bar = list(SETS[name].bars.items())[-1]
    series = [metrics_file.series(path) for path in sorted((runs / name / "first").glob("*/metrics.csv"))]
    found = [list(zip(*run[f"val/{metric}"], strict=True)) for run in series if f"val/{metric}" in run]
    return charts.Curve(name, f"val/{metric}", found, bar)


def drawn(names: Sequence[str], runs: Path, to: Path) -> list[str]:
    """Draw the sets that have a run and a bar; returns their names."""
    every = [curve(name, runs) for name in names if SETS[name].bars]
    some = [found for found in every if found.runs]
    if not some:
        raise SystemExit(
            f"error: no run of {', '.join(names)} below {runs}; {HERE / 'README.md'} has the commands"
        )
    charts.curves(some, to)
    return [found.title for found in some]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--to", type=Path, default=HERE / "curves.png")
    words = parser.parse_args()
    if unknown := set(words.sets) - set(SETS):
        parser.error(f"no set {', '.join(sorted(unknown))}; expected some of {', '.join(SETS)}")
    found = drawn(words.sets or list(SETS), words.runs, words.to)
    print(f"written: {words.to} ({', '.join(found)})")


if __name__ == "__main__":
    main()
