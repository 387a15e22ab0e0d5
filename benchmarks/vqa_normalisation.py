"""Whether answers are normalised as by the code of the VQA challenge: pairs that it wrote against ours.

    python benchmarks/vqa_normalisation.py pairs.json

The file has ``cases``, an object from each answer to what the code made of it (``processPunctuation``, then
``processDigitArticle``). Differences are printed; the exit status is 1 where there are any.
"""

import argparse
import json
import sys
from pathlib import Path

from vision_apps.data.questions.official import normalized


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    cases = json.loads(parser.parse_args().file.read_text(encoding="utf-8"))["cases"]
    wrong = {answer: theirs for answer, theirs in cases.items() if normalized(answer) != theirs}
    for answer, theirs in wrong.items():
        print(f"{answer!r}: {normalized(answer)!r}, expected {theirs!r}")
    print(f"{len(cases) - len(wrong)} of {len(cases)} answers are normalised as by the challenge's code")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
