"""File names that are no text, in the command that reads a stranger's folder."""

import json
import os
from pathlib import Path

import pytest
import toy_run
from PIL import Image

from vision_apps.cli import main


@pytest.mark.usefixtures("toy")
def test_each_picture_has_its_row() -> None:
    toy_run.train(Path("run"), trainer__max_epochs=1)
    Path("photos").mkdir()
    for name in (b"a.png", b"\xff.png", b"z\nz.png", b"\x1b[31m.png"):
        Image.new("RGB", (8, 8)).save("new.png")
        os.rename("new.png", b"photos/" + name)
    assert main(["predict", "run", "photos"]) == 0
    rows = [json.loads(line) for line in Path("run/predictions/predictions.jsonl").read_text().splitlines()]
    names = {os.fsencode(row["file"]) for row in rows}
    assert names == {b"photos/a.png", b"photos/\xff.png", b"photos/z\nz.png", b"photos/\x1b[31m.png"}
    assert not any("error" in row for row in rows)
