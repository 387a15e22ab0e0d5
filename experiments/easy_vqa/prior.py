"""Answer each test question with the commonest answer that the very same words have in training.

    python experiments/easy_vqa/prior.py DATA

DATA is easy-VQA's folder with ``train/questions.json`` and ``test/questions.json``. Prints the accuracy, of
all questions and of each type, as the run names them: by their first two words.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path


def prior(train: list[list[str]], test: list[list[str]]) -> dict[str, float]:
    """Rows of question, answer and picture -> the share of the test questions that are answered right, by
    type and ``all``; a question that was never asked gets the commonest answer of all."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for question, answer, _ in train:
        counts[question][answer] += 1
        counts[""][answer] += 1
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for question, answer, _ in test:
        known = counts[question if question in counts else ""]
        said = min(known, key=lambda one: (-known[one], one))
        for name in ("all", " ".join(question.lower().split()[:2])):
            right[name].append(said == answer)
    return {name: sum(own) / len(own) for name, own in sorted(right.items())}


if __name__ == "__main__":
    rows = [
        json.loads((Path(sys.argv[1]) / split / "questions.json").read_text(encoding="utf-8"))
        for split in ("train", "test")
    ]
    for name, share in prior(*rows).items():
        print(f"{name}: {share:.4f}")
