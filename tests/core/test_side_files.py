"""The small files of a run's folder, whatever stands in them."""

import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import toy_run
import yaml

from vision_apps.core import checkpoint_io, engine, metrics_file, resume, side_files
from vision_apps.core.errors import CheckpointError
from vision_apps.core.run_folder import RunFolder

RUN = Path("run")


def bomb(levels: int, merged: bool = False) -> str:
    """Each line nine times the line before."""
    lines = ["l0: &l0 {a: 1}" if merged else "l0: &l0 [a]"]
    for level in range(1, levels):
        before = ", ".join([f"*l{level - 1}"] * 9)
        lines.append(
            f"l{level}: &l{level} {{<<: [{before}]}}" if merged else f"l{level}: &l{level} [{before}]"
        )
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text", [bomb(9), bomb(9, merged=True), "a: &a [*a]", "[" * 200_000, "a: " + "{b: " * 150]
)
@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader, yaml.BaseLoader])
def test_yaml_that_stands_for_more_than_it_is(text: str, loader: Any) -> None:
    began = time.monotonic()
    with pytest.raises(
        ValueError, match=r"^(its aliases stand for more than 100,000 values|is nested|is no YAML)"
    ):
        side_files.parse_yaml(text, loader)
    assert time.monotonic() - began < 5


def test_aliases_as_people_use_them() -> None:
    text = "base: &base {lr: 1, steps: [1, 2]}\nown: {<<: *base, lr: 2}\nsame: *base"
    assert side_files.parse_yaml(text) == yaml.safe_load(text)
    assert side_files.parse_yaml("") is None


def test_what_is_no_file_is_not_waited_for() -> None:
    folder = RunFolder.create("runs", "toy")
    for name in ("config.yaml", "run.json", "metrics.json"):
        os.mkfifo(folder.path / name)
    with pytest.raises(CheckpointError, match=r"config\.yaml is no plain file$"):
        folder.read_config()
    assert folder.record == folder.metrics == {}
    assert folder.problems == ["run.json is no plain file", "metrics.json is no plain file"]


def test_numbers_that_no_arithmetic_takes() -> None:
    Path("n.json").write_text(f"[{'9' * 5000}, 12, -3]")
    assert side_files.read_json(Path("n.json")) == [float("inf"), 12, -3]


def test_types_that_are_none_of_a_record() -> None:
    folder = RunFolder.create("runs", "toy")
    folder.write_json(
        "run.json", {"id": 3, "started": "2026-03", "seed": 1, "resumed": [{"step": "a"}], "own": []}
    )
    folder.write_json("metrics.json", {"best": {"value": [], "epoch": 1}, "final": {"a": "b"}, "seconds": 1})
    assert folder.record == {"seed": 1, "own": []}
    assert folder.metrics == {"best": {"epoch": 1}, "seconds": 1}
    assert folder.problems == [
        "run.json has id: '3', expected str",
        "run.json has resumed: \"[{'step': 'a'}]\", expected list of Resumed",
        "run.json has started: '2026-03', expected a time as 2026-03-01T12:00:00+00:00",
        "metrics.json has best.value: '[]', expected float or null",
        "metrics.json has final: \"{'a': 'b'}\", expected dict of float",
    ]


@pytest.fixture
def trained(toy: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    toy_run.train(RUN, trainer__max_epochs=2)
    return RUN


def flips(path: Path, count: int, chance: random.Random) -> Any:
    whole = path.read_bytes()
    for bit in chance.sample(range(8 * len(whole)), count):
        noisy = bytearray(whole)
        noisy[bit // 8] ^= 1 << bit % 8
        path.write_bytes(noisy)
        yield bit
    path.write_bytes(whole)


def test_five_hundred_flips_of_side_files(trained: Path) -> None:
    """Another configuration is told or that of the checkpoint is taken; of the others what is not as it
    should be is left out and named."""
    folder, chance = RunFolder(trained), random.Random(0)
    checkpoint = checkpoint_io.load(trained / "checkpoints/last.ckpt")
    rows = toy_run.rows(trained)
    for _ in flips(trained / "config.yaml", 150, chance):
        config, told = resume.configuration(folder, checkpoint)
        assert told or {**config, "run": 0} == {**checkpoint["config"], "run": 0}
    for _ in flips(trained / "metrics.csv", 150, chance):
        assert len(set(toy_run.rows(trained)) & set(rows)) >= len(rows) - 2
    for name, known in (("run.json", folder.record), ("metrics.json", folder.metrics)):
        for _ in flips(trained / name, 75, chance):
            now = folder.record if name == "run.json" else folder.metrics
            assert folder.problems or now.keys() - known.keys() or now.keys() == known.keys()
    before = folder.mapping("data.json")
    for _ in flips(trained / "data.json", 50, chance):
        assert folder.mapping("data.json") in ({}, before) or folder.mapping("data.json") != before


@pytest.mark.parametrize(
    "noise", [b"\xff\xfe\x00", b"[1, 2", b"", b"[" * 100_000], ids=["bytes", "cut", "empty", "deep"]
)
def test_a_run_goes_on_beside_damaged_files(
    noise: bytes, trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("config.yaml", "run.json", "data.json"):
        (trained / name).write_bytes(noise)
    with open(trained / "metrics.csv", "ab") as file:
        file.write(b'\xff"\x00,\n12,1,val/loss,0.12')
    engine.resume("run", ["trainer.max_epochs=3"])
    assert toy_run.last(trained)["epoch"] == 2
    assert "going on with the configuration in the checkpoint" in caplog.text
    assert "run.json" in caplog.text
    assert "data.json cannot be read" in caplog.text
    assert "metrics.csv: 2 lines cannot be read and are left out" in caplog.text
    assert RunFolder(trained).read_config()["trainer"]["max_epochs"] == 3


def test_of_a_last_line_without_end_nothing_is_kept() -> None:
    Path("metrics.csv").write_text("step,epoch,name,value\n0,0,a,0.1\n1,0,a,0.12")
    assert metrics_file.read(Path("metrics.csv")) == [(0, 0, "a", 0.1)]


def test_a_changed_setting_is_told(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = RunFolder(trained).read_config()
    config["optimizer"]["lr"] = 0.25
    RunFolder(trained).write_config(config)
    engine.resume("run", ["trainer.max_epochs=3"])
    assert "config.yaml says optimizer.lr 0.25, the checkpoint was written with 0.001" in caplog.text
    shutil.rmtree(trained)
