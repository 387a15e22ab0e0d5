"""Our BLEU, ROUGE-L and CIDEr-D against published figures of the same sentences.

    python benchmarks/caption_metrics.py [FOLDER]

FOLDER has ``references.json`` and ``candidates.json``, each an object from a picture's number to a list of
captions, words with a space between two; a candidate is the first of its list. They are held against
`DEMO`, the figures of coco-caption's demonstration (1,000 pictures of COCO), or, where FOLDER has one,
against ``expected.json``, an object from a name to its figure. Without FOLDER the two sentences are scored
whose CIDEr-D the README of aac-metrics publishes. Ends with status 1 where a figure differs by more than
1e-6.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

from vision_apps.applications.captioning.metrics import Said, evaluate

TOLERANCE = 1e-6
# n-grams that are right and that were said, as coco-caption prints them; the candidates have more words than
# the nearest references, so that BLEU is the geometric mean of the shares
SHARES = [5732 / 9893, 2510 / 8893, 1043 / 7893, 423 / 6893]
DEMO = {
    **{f"bleu{n}": math.prod(SHARES[:n]) ** (1 / n) for n in range(1, 5)},
    "rouge_l": 0.39625269,
    "cider": 0.59979052,
}
TWO = [
    Said(
        ["a man is speaking"],
        True,
        [
            "a man speaks",
            "someone speaks",
            "a man is speaking while a bird is chirping in the background",
        ],
    ),
    Said(["rain falls"], True, ["rain is falling hard on a surface"]),
]
OF_TWO = {"cider": 0.961355}


def read(folder: Path) -> tuple[list[Said], dict[str, float]]:
    """The sentences of a folder, and the figures that they should have."""
    references, candidates = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("references", "candidates")
    )
    expected = folder / "expected.json"
    published = json.loads(expected.read_text(encoding="utf-8")) if expected.is_file() else DEMO
    return [Said([candidates[key][0]], True, own) for key, own in references.items()], published


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    folder: Path | None = parser.parse_args().folder
    said, published = read(folder) if folder else (TWO, OF_TWO)
    start = time.perf_counter()
    figures = evaluate(said)
    print(f"{len(said)} pictures, {time.perf_counter() - start:.1f} s")
    for name, value in published.items():
        print(f"{name:8} {figures[name]:.8f}   published {value:.8f}")
    return int(any(abs(figures[name] - value) > TOLERANCE for name, value in published.items()))


if __name__ == "__main__":
    sys.exit(main())
