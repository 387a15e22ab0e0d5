"""``kill -9`` of a training process, as ``benchmarks/kill_and_resume.py`` does it more often."""

import sys
from pathlib import Path

import pytest
import toy_run

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill_and_resume.py"


@pytest.mark.slow
def test_killed_twice() -> None:
    toy = [word for word in toy_run.OPTIONS if not word.startswith(("logger", "test", "trainer.max_epochs"))]
    words = ["2", "--config-dir", str(toy_run.CONF), *toy, "trainer.max_epochs=30"]
    done = toy_run.execute([sys.executable, str(SCRIPT), *words])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weights equal bit for bit" in done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines() if " of 180" in line] == ["1", "2"]
