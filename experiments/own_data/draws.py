"""Last layers of a classifier on frozen features, of many draws of few pictures; writes `ucm96-draws.md`.

    python experiments/own_data/draws.py [--root DIR]

Of one draw, sixty test pictures say little. Here the pictures to learn from of `ucm96` are all there is: some
are drawn and learned from, and all others of their classes are asked, none that the runs are tested on.
The penalty of the last layer was chosen by such draws.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import baselines
import numpy as np
import prepare
import torch

from vision_apps.networks.probing import probed

HERE = Path(__file__).parent
DRAWS = {5: 60, 20: 30, 100: 5}  # of so many pictures
HELD_OUT = 0.1  # as the runs hold some out to validate on, at least one
SIDE = 128  # px, at which the runs see these pictures


def drawn(labels: np.ndarray, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, the classes in turn as `prepare.few_photos` takes them, and rows to ask, which are
    all others of these classes."""
    rng = random.Random(seed)
    every = sorted(set(labels.tolist()))
    classes = rng.sample(every, prepare.classes_of(number, len(every)))
    groups = {name: np.flatnonzero(labels == name).tolist() for name in classes}
    rows = prepare.in_turn({name: rng.sample(of_class, len(of_class)) for name, of_class in groups.items()})
    return np.array(rows[:number]), np.array(rows[number:])


def accuracies(features: np.ndarray, labels: np.ndarray, number: int, seed: int) -> tuple[float, ...]:
    """Of the regression and of the fitted layer, both of all pictures that are drawn, and of the layer of
    those that are not held out."""
    known, asked = drawn(labels, number, seed)
    held = np.random.default_rng(seed).random(number) < HELD_OUT
    held[0] |= not held.any()
    truth = labels[asked]
    found = [baselines.logistic(features[known], labels[known].tolist(), features[asked])]
    found += [fitted(features[rows], labels[rows], features[asked]) for rows in (known, known[~held])]
    return tuple(float(np.mean(answer == truth)) for answer in found)


def fitted(known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Class of each row of ``asked`` [M, D], by what a run's last layer begins with."""
    names, numbers = np.unique(labels, return_inverse=True)
    weights = probed(torch.from_numpy(known), torch.from_numpy(numbers), len(names))
    return names[(torch.from_numpy(asked) @ weights.T).argmax(1).numpy()]


def table(features: np.ndarray, labels: np.ndarray, draws: dict[int, int]) -> str:
    columns = ["pictures", "draws", "*regression*", "last layer", "with a tenth held out", "draws it loses"]
    lines = [columns, ["---"] * len(columns)]
    for number, count in draws.items():
        found = np.array([accuracies(features, labels, number, seed) for seed in range(count)])
        loses = int((found[:, 2] < found[:, 0]).sum())
        lines.append([str(number), str(count), *(f"{value:.3f}" for value in found.mean(0)), str(loses)])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path("data/own_data"), help="where ucm96 is laid out")
    folder = parser.parse_args(words).root / "ucm96/train"
    files = sorted(folder.glob("*/*"))
    if not files:
        raise SystemExit(f"error: there is no {folder}; python experiments/own_data/run.py says how it comes")
    labels = np.array([file.parent.name for file in files])
    written = table(baselines.features(files, SIDE), labels, DRAWS)
    (HERE / "ucm96-draws.md").write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    main()
