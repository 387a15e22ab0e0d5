"""What the real trackio keeps of what it is given."""

import json
import sys
from pathlib import Path

import pytest
import toy_run

HERE = Path(__file__).parent


@pytest.mark.slow
def test_started_again_nothing_is_doubled_and_what_is_gone_is_forgotten() -> None:
    ended = toy_run.execute([sys.executable, str(HERE / "real_trackio.py")])
    assert ended.returncode == 0, ended.stderr
    # and nothing else: trackio's own notes are held back
    first, second = map(json.loads, ended.stdout.splitlines())
    assert set(first) == {"lr=0.1", "other"}
    assert first["lr=0.1"]["config"]["model"] == {"width": 4}
    assert first["lr=0.1"]["config"]["_Group"] == "0001-calm-heron"
    assert set(second) == {"lr=0.1"}
    losses = [log["val/loss"] for log in second["lr=0.1"]["logs"] if "val/loss" in log]
    assert losses == [1.0, 0.5, pytest.approx(1 / 3)]
    pictures = [log["val/sheet"] for log in second["lr=0.1"]["logs"] if "val/sheet" in log]
    assert [picture["caption"] for picture in pictures] == ["epoch 1", "epoch 2", "epoch 3"]
    assert all((Path("store/media") / picture["file_path"]).is_file() for picture in pictures)
