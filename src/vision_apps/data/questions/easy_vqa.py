"""easy-VQA (Zhou 2019): questions about one coloured shape in a picture of 64 px."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.questions.data import Asked, QuestionData

_SPLITS: tuple[Split, ...] = ("train", "test")


class EasyVqa(QuestionData):
    """4,000 pictures with 38,575 questions to train on and 1,000 with 9,673 to test with; the answer to each
    is one of 13. Validation is drawn from the training pictures."""

    title = "easy-VQA"
    layout = "root/train/ and root/test/, each with questions.json and images/0.png, 1.png, ..."
    remedy = (
        "Say where it is: data.root=/path/to/it    It is the folder easy_vqa/data of the Python package "
        "easy-vqa (22 MB)"
    )

    def read(self) -> dict[Split, list[Asked]]:
        found: dict[Split, list[Asked]] = {}
        for split in _SPLITS:
            path = self.root / split / "questions.json"
            if not path.is_file():
                raise self.problem(f"there is no {split}/questions.json")
            try:
                rows = json.loads(path.read_text(encoding="utf-8"))
                found[split] = [
                    Asked(
                        str(path.parent / "images" / f"{int(number)}.png"),
                        *(str(question), (str(answer),)),
                        *("", f"{path}, question {place}"),
                    )
                    for place, (question, answer, number) in enumerate(rows, 1)
                ]
            except (OSError, ValueError, TypeError) as error:
                raise DataError(
                    f'{path}: expected a list of rows ["what color is it?", "red", 0]: {error}'
                ) from error
        return found

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, count: int = 20) -> dict[str, object]:
        """Small pictures of one colour with a square in them, and questions about both."""
        rng = np.random.default_rng(0)
        for split, pictures in (("train", count), ("test", count // 2)):
            (root / split / "images").mkdir(parents=True)
            rows: list[list[object]] = []
            for number in range(pictures):
                pixels = rng.integers(200, 255, (size, size, 3), dtype=np.uint8)
                channel, half = number % 3, size // 2
                pixels[size // 4 : size // 4 + half, size // 4 : size // 4 + half] = 30
                pixels[size // 4 : size // 4 + half, size // 4 : size // 4 + half, channel] = 220
                Image.fromarray(pixels).save(root / split / "images" / f"{number}.png")
                color = ("red", "green", "blue")[channel]
                rows.append(["what color is the shape?", color, number])
                rows.append(["is there a red shape?", "yes" if color == "red" else "no", number])
            (root / split / "questions.json").write_text(json.dumps(rows), encoding="utf-8")
        return {"root": str(root), "image_size": size}
