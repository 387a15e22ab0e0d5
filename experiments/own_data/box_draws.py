"""What a localizer begins with, of many draws of few pictures; writes `boxes96-draws.md`.

    python experiments/own_data/box_draws.py [--root DIR]

Here the pictures to learn from of `boxes96` are all there is: some are drawn and learned from, and all others
are asked, none that the runs are tested on. How the linear layers are fitted was chosen by such draws.
"""

import argparse
import csv
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import baselines
import numpy as np
import prepare
import torch
from draws import HELD_OUT
from PIL import Image
from torch import Tensor

from vision_apps.applications.localization.lines import Lines
from vision_apps.applications.localization.vector import decode_box, encode
from vision_apps.core.pictures import from_pil
from vision_apps.data.resizing import resize_picture
from vision_apps.networks.backbones import Backbone, Timm
from vision_apps.networks.pixels import PixelNormalization

HERE = Path(__file__).parent
DRAWS = {5: 100, 20: 50, 100: 20}  # of so many pictures
SIZE = (96, 128)  # px, height and width, at which the runs see these pictures
_BATCH = 50  # pictures at a time through the network


class Pool(NamedTuple):
    """Pictures with one object each, and what the backbone says of them."""

    truth: baselines.Located
    means: Tensor  # of the coarsest map, [N, C]
    places: Tensor  # its numbers, [N, D]
    mirrored: Tensor  # the same of the mirror images


def pool(folder: Path, backbone: Backbone) -> Pool:
    """The training pictures of a folder."""
    with open(folder / "annotations/train.csv", encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.reader(lines) if float(row[3]) > float(row[1])]
    rows = [row for row in rows if float(row[4]) > float(row[2])]  # one of Caltech's has no height
    sizes, pictures = [], []
    for row in rows:
        with Image.open(folder / "images" / row[0]) as image:
            sizes.append(2 * image.size)
            pictures.append(resize_picture(from_pil(image.convert("RGB")), SIZE, "stretch")[0])
    boxes = np.array([row[1:5] for row in rows], float) / np.array(sizes)
    normalize, maps = PixelNormalization(backbone, [0.5] * 3, [0.5] * 3), []
    with torch.inference_mode():
        for part in torch.stack(pictures).split(_BATCH):
            pixels = normalize(part)
            maps.append([backbone.eval()(seen)[-1] for seen in (pixels, pixels.flip(-1))])
    seen, mirrored = (torch.cat(parts) for parts in zip(*maps, strict=True))
    truth = baselines.Located(boxes, np.array([row[5] for row in rows]))
    return Pool(truth, seen.mean((2, 3)), seen.flatten(1), mirrored.flatten(1))


def drawn(labels: np.ndarray, number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to learn from, the classes in turn as `prepare.few_csv` takes them; those that are left of them
    when some are held out, as the runs do to validate on, at least one; rows to ask, which are all others."""
    rng = random.Random(seed)
    groups = {name: np.flatnonzero(labels == name).tolist() for name in sorted(set(labels.tolist()))}
    rows = prepare.in_turn({name: rng.sample(of_class, len(of_class)) for name, of_class in groups.items()})
    held = np.random.default_rng(seed).random(number) < HELD_OUT
    held[0] |= not held.any()
    known = np.array(rows[:number])
    return known, known[~held], np.array(rows[number:])


def errors(known: Pool, number: int, seed: int) -> tuple[float, ...]:
    """Box MSE of the two baselines and of the fitted layers, all of all pictures that are drawn, and box MSE
    and class accuracy of the layers of those that are not held out."""
    every, kept, asked = drawn(known.truth.labels, number, seed)
    learned, test = (baselines.Located(*(part[rows] for part in known.truth)) for rows in (every, asked))
    blind, told = (found["box_mse"] for found in baselines.located_of(learned, test).values())
    (all_known, _), (own, accuracy) = (fitted(known, rows, asked) for rows in (every, kept))
    return blind, told, all_known, own, accuracy


def fitted(known: Pool, rows: np.ndarray, asked: np.ndarray) -> tuple[float, float]:
    """Box MSE and class accuracy of the rows ``asked``, of what a run's linear layers begin with."""
    names, numbers = np.unique(known.truth.labels, return_inverse=True)
    labels, boxes = torch.from_numpy(numbers), torch.from_numpy(known.truth.boxes).float()
    lines = Lines(known.means.shape[1], known.places.shape[1], len(names))
    vectors = encode(boxes[rows], labels[rows], len(names), 1, 1)
    lines.fit(known.means[rows], known.places[rows], known.mirrored[rows], vectors)
    with torch.inference_mode():
        scores = lines.classes(known.means[asked])[:, 1:]
        found = decode_box(lines.box(known.places[asked], scores).sigmoid(), 1, 1).clamp(0, 1)
    right = scores.argmax(1) == labels[asked]
    return float((found - boxes[asked]).square().mean()), float(right.float().mean())


def table(known: Pool, draws: dict[int, int]) -> str:
    columns = [
        "pictures",
        "draws",
        "*the commonest class and its mean box*",
        "*the mean box of the true class*",
    ]
    columns += ["linear layers", "with a tenth held out", "its class accuracy", "draws it loses"]
    lines = [columns, ["---"] * len(columns)]
    for number, count in draws.items():
        found = np.array([errors(known, number, seed) for seed in range(count)])
        *boxes, accuracy = found.mean(0)
        loses = int((found[:, 3] >= found[:, :2].min(1)).sum())
        cells = [str(number), str(count), *(f"{value:.2e}" for value in boxes), f"{accuracy:.3f}", str(loses)]
        lines.append(cells)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path("data/own_data"), help="where boxes96 is laid out")
    folder = parser.parse_args(words).root / "boxes96"
    if not folder.is_dir():
        raise SystemExit(f"error: there is no {folder}; python experiments/own_data/run.py says how it comes")
    written = table(pool(folder, Timm("tf_efficientnet_lite0", "pip", [4])), DRAWS)
    (HERE / "boxes96-draws.md").write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    main()
