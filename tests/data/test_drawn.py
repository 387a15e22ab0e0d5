"""What ``data check`` draws of a sample."""

from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from PIL import Image

from vision_apps.cli import main
from vision_apps.data.drawn import drawn

FACTS = {"class_names": ["cat", "dog"], "palette": [[0, 0, 0], [255, 0, 0]]}


def test_a_plain_picture_is_enlarged_by_a_whole_factor() -> None:
    image = torch.randint(0, 256, (3, 50, 80), dtype=torch.uint8)
    picture = drawn({"images": image, "labels": torch.tensor(1)}, FACTS)
    assert picture.shape == (3, 200, 320)
    assert torch.equal(picture[:, ::4, ::4], image)


def test_boxes_are_outlined_where_they_are() -> None:
    sample = {
        "images": torch.zeros(3, 200, 200, dtype=torch.uint8),
        "boxes": torch.tensor([[20.0, 40, 120, 160], [0, 0, 0, 0]]),
        "box_labels": torch.tensor([1, -1]),
        "ignored": torch.tensor([False, False]),
    }
    lime = (drawn(sample, FACTS) == torch.tensor([0, 255, 0]).view(3, 1, 1)).all(0)
    assert lime[40, 25:115].all() and lime[45:155, 20].all()
    inside = lime[70:150, 40:110]
    assert not inside.any()
    sample["ignored"] = torch.tensor([True, False])
    assert (drawn(sample, FACTS)[:, 160, 70] == 128).all()


def test_a_sample_without_objects_stays() -> None:
    image = torch.randint(0, 256, (3, 160, 160), dtype=torch.uint8)
    sample = {"images": image, "boxes": torch.zeros(2, 4), "box_labels": torch.full((2,), -1)}
    assert torch.equal(drawn(sample, FACTS), image)


def test_masks_are_laid_over_and_what_is_ignored_stays() -> None:
    mask = torch.full((200, 200), 255, dtype=torch.uint8)
    mask[:100] = 1
    image = torch.full((3, 200, 200), 100, dtype=torch.uint8)
    picture = drawn({"images": image, "masks": mask}, FACTS)
    assert torch.equal(picture[:, 100:], image[:, 100:])
    red = torch.tensor([0.4 * 100 + 0.6 * 255, 40, 40])
    assert (picture[:, :100].float() - red.view(3, 1, 1)).abs().max() <= 1


def test_the_classes_of_a_picture_stand_below_it() -> None:
    image = torch.randint(0, 256, (3, 160, 200), dtype=torch.uint8)

    def line(*multi_hot: int) -> torch.Tensor:
        picture = drawn({"images": image, "multi_hot": torch.tensor(multi_hot, dtype=torch.uint8)}, FACTS)
        assert torch.equal(picture[:, :160], image)
        return picture[:, 160:]

    cat, dog, both, none = line(1, 0), line(0, 1), line(1, 1), line(0, 0)
    assert not torch.equal(cat, dog) and not torch.equal(cat, none)
    assert (both[:, :, :15] == cat[:, :, :15]).all(), "the first one comes first"
    assert (both < 128).sum() > (cat < 128).sum()


def words_below(
    picture: torch.Tensor, sample: dict[str, torch.Tensor], facts: dict[str, object]
) -> torch.Tensor:
    """The rows below the enlarged picture."""
    found = drawn(sample, facts)
    factor = found.shape[2] // picture.shape[2]
    assert torch.equal(found[:, : factor * picture.shape[1] : factor, ::factor], picture)
    return found[:, factor * picture.shape[1] :]


def test_captions_stand_below_as_the_network_learns_them() -> None:
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    facts = {"vocabulary": ["", "<end>", "<unknown>", "red", "box"]}

    def below(*captions: list[int]) -> torch.Tensor:
        return words_below(image, {"images": image, "captions": torch.tensor(captions)}, facts)

    two = below([3, 4, 1], [4, 1, 0], [0, 0, 0])
    assert two.shape[1] == 3 * 18, "as high as three captions are"
    assert not torch.equal(two[:, :18], two[:, 18:36]) and (two[:, 36:] == 255).all()
    assert not torch.equal(two, below([3, 2, 1], [4, 1, 0], [0, 0, 0])), "an unknown word is seen as one"
    assert torch.equal(below(*[[3, 1]] * 9), below(*[[3, 1]] * 9)) and below(*[[3, 1]] * 9).shape[1] == 4 * 18
    assert not torch.equal(below(*[[3, 1]] * 9)[:, 54:], below(*[[3, 1]] * 8)[:, 54:]), "how many more"


def test_questions_stand_below_with_their_answers() -> None:
    image = torch.randint(0, 256, (3, 160, 160), dtype=torch.uint8)
    facts = {"vocabulary": ["", "<unknown>", "red"], "answer_names": ["yes", "no"]}

    def below(answers: list[int]) -> torch.Tensor:
        words = torch.tensor([[2, 1], [2, 0], [0, 0]])
        sample = {"images": image, "questions": words, "answers": torch.tensor([*answers, -1])}
        return words_below(image, sample, facts)

    lines = [below(answers) for answers in ([0, 0], [0, 1], [0, -1])]
    assert all(torch.equal(line[:, :18], lines[0][:, :18]) for line in lines)
    assert len({line[:, 18:36].numpy().tobytes() for line in lines}) == 3
    assert all((line[:, 36:] == 255).all() for line in lines)


def test_relations_stand_below_with_the_numbers_of_their_boxes() -> None:
    image = torch.randint(0, 256, (3, 320, 320), dtype=torch.uint8)
    facts = {"class_names": ["disc", "star"], "predicate_names": ["left of", "above"]}
    boxes = torch.tensor([[10.0, 10, 60, 60], [100, 10, 160, 60], [0, 0, 0, 0]])

    def told(*rows: tuple[int, int, int]) -> torch.Tensor:
        relations = torch.tensor([*rows, *[(-1, -1, -1)] * (3 - len(rows))])
        sample = {"images": image, "boxes": boxes, "box_labels": torch.tensor([0, 0, -1])}
        return drawn({**sample, "relations": relations}, facts)

    one, back, none = told((0, 1, 0)), told((1, 0, 0)), told()
    assert one.shape[1] == 320 + 3 * 18, "as high as three relations are"
    assert torch.equal(one[:, :320], back[:, :320]) and not torch.equal(one[:, 320:], back[:, 320:])
    assert (none[:, 320:] == 255).all() and (one[:, 338:] == 255).all()


def test_of_a_long_vocabulary_the_check_prints_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"w{number}" for number in range(20)]
    rows = ["image,caption,split"]
    for number, split in enumerate(["train"] * 8 + ["val", "test"]):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{' '.join(f'{word}x{number}' for word in words)},{split}")
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    asked = ["task=captioning", "data=csv", f"data.root={tmp_path}", "data.workers=0"]
    assert main(["data", "check", *asked, f"out={tmp_path / 'drawn'}"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("vocabulary: "))
    assert line.startswith("vocabulary: ['', '<end>', '<unknown>', 'w0x0'") and line.endswith("] and 63 more")
