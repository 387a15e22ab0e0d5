"""``kill -9`` of a training process, as ``benchmarks/kill_and_resume.py`` does it more often."""

import runpy
from pathlib import Path

import pytest
import toy_run

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill_and_resume.py"


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
def test_killed_twice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in toy_run.environment().items():
        monkeypatch.setenv(name, value)
    script = runpy.run_path(str(SCRIPT))
    toy = [word for word in toy_run.OPTIONS if not word.startswith(("logger", "test", "trainer.max_epochs"))]
    words = ["--config-dir", str(toy_run.CONF), *toy, "trainer.max_epochs=15", *script["ALWAYS"]]
    equal = script["main"](2, words)
    said = capsys.readouterr().out
    assert equal, said
    assert "weights equal bit for bit" in said
    assert [line.split()[1] for line in said.splitlines() if " of 90" in line] == ["1", "2"]
