"""File names that are no text, in the command that reads a stranger's folder."""

import json
import os
from pathlib import Path

import pytest
import toy_run
from PIL import Image

from vision_apps.cli import main


@pytest.mark.usefixtures("toy")
def test_each_picture_has_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    toy_run.train(Path("run"), trainer__max_epochs=1)
    Path("photos").mkdir()
    for name in (b"a.png", b"\xff.png", b"z\nz.png", b"\x1b[31m.png"):
        Image.new("RGB", (8, 8)).save("new.png")
        os.rename("new.png", b"photos/" + name)
    Path("photos/\x1b[2Jbad\n.png").write_bytes(b"no picture")
    capsys.readouterr()
    assert main(["predict", "run", "photos"]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert r"failed  photos/\x1b[2Jbad\n.png: " in told
    rows = [json.loads(line) for line in Path("run/predictions/predictions.jsonl").read_text().splitlines()]
    names = {os.fsencode(row["file"]) for row in rows}
    assert names == {
        b"photos/a.png",
        b"photos/\xff.png",
        b"photos/z\nz.png",
        b"photos/\x1b[31m.png",
        b"photos/\x1b[2Jbad\n.png",
    }
    assert sum("error" in row for row in rows) == 1
