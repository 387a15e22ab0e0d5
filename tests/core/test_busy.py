"""A busy machine: what is set before torch is loaded, and what is told."""

import pytest

from vision_apps.cli.busy import prepare


@pytest.mark.parametrize(
    ("load", "given", "expected"),
    [
        (2.0, {}, {}),
        (2.1, {}, {"OMP_WAIT_POLICY": "PASSIVE"}),
        (9.0, {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        (9.0, {"GOMP_SPINCOUNT": "0"}, {"GOMP_SPINCOUNT": "0"}),
    ],
)
def test_threads_sleep_where_more_runs_than_there_are_cores(
    load: float, given: dict[str, str], expected: dict[str, str]
) -> None:
    prepare(["train", "task=detection"], load, 2, given)
    assert given == expected


def test_what_is_told() -> None:
    told = prepare(["train"], 8.6, 2, {})
    assert told == (
        "busy      the load average is 9, and this process may use 2 cores: it takes several times as long "
        "as alone; what helps: OMP_NUM_THREADS=1 before the command, or waiting until others have ended"
    )
    assert "OMP_NUM_THREADS" not in prepare(["predict", "RUN"], 8.6, 2, {"OMP_NUM_THREADS": "1"})
    assert "1 core:" in prepare(["test", "RUN"], 8.6, 1, {})
    for words in (["runs"], ["train", "--help"], [], ["train", "--replay", "run"]):
        assert prepare(words, 8.6, 2, {}) == ""
    assert prepare(["train"], 4.0, 2, {}) == ""
