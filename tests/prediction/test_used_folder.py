"""A prediction into a folder that an earlier one has used: it says so, and rows and files tell one thing."""

import json
from pathlib import Path

import pytest
import torch
from asking import saved

from vision_apps.core.pictures import to_pil
from vision_apps.prediction.ours import NOTES
from vision_apps.prediction.outputs import ROWS
from vision_apps.prediction.predict import predict


def photos(*names: str) -> None:
    for name in names:
        to_pil(torch.zeros(3, 8, 8, dtype=torch.uint8)).save(name)


def words(question: str = "how bright?") -> dict[str, str]:
    return {"question": question}


@pytest.mark.usefixtures("asking")
def test_what_was_told_of_other_inputs_is_gone_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    place = saved("Question")
    photos("a.png", "b.png", "c.png")
    predict(place, ["a.png", "b.png"], "out", given=words())
    assert "earlier call" not in capsys.readouterr().out
    Path("out/mine.txt").write_text("not of this command")
    Path("out/b.png").write_bytes(Path("out/b.png").read_bytes() + b"changed")

    predict(place, ["c.png"], "out", given=words())
    said = capsys.readouterr().out
    told = f"note    {ROWS} of an earlier call was replaced, and what it wrote about other inputs is gone "
    assert f"{told}(1 files); --out FOLDER keeps both\n" in said
    assert {path.name for path in Path("out").iterdir()} == {"b.png", "c.png", "mine.txt", NOTES, ROWS}
    (row,) = map(json.loads, Path("out", ROWS).read_text().splitlines())
    assert row["file"] == "c.png"

    predict(place, ["c.png"], "out", given=words())
    assert (
        f"note    {ROWS} of an earlier call was replaced; --out FOLDER keeps both\n"
        in capsys.readouterr().out
    )


@pytest.mark.usefixtures("asking")
def test_a_call_that_fails_takes_nothing_away() -> None:
    place = saved("Question")
    photos("a.png")
    predict(place, ["a.png"], "out", given=words())
    Path("broken.png").write_bytes(b"none")
    with pytest.raises(Exception, match="none of the 1 inputs"):
        predict(place, ["broken.png"], "out", given=words())
    assert Path("out/a.png").is_file() and json.loads(Path("out", ROWS).read_text())["file"] == "a.png"
