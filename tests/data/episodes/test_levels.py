"""Which levels can be walked, and why others cannot."""

import pytest

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.episodes import levels, reading


def test_every_level_is_walked_or_refused_with_a_sentence() -> None:
    known = levels.names()
    possible = [name for name in known if levels.refusal(name) is None]
    assert len(known) > 90 and {"GoToLocalS6N4", "GoToRedBallGrey", "GoToObjMaze", "GoToOpen"} <= {*possible}
    for name in possible:
        start = reading.beginning(levels.make(name), seed=0)
        assert start.mission.startswith("go to ") and start.targets


@pytest.mark.parametrize(
    ("level", "why"),
    [
        ("PutNextS5N2Carrying", "cannot solve it"),
        ("KeyInBox", "cannot solve it"),
        ("OpenDoorsOrderN2Debug", "cannot solve it"),
        ("GoTo", "picks objects up"),
        ("GoToSeq", "several, one after the other"),
        ("BossLevel", "true of what was done"),
        ("BabyAI-PickupLoc-v0", "true of what was done"),
        ("GoToLocall", "did you mean 'GoToLocal'"),
    ],
)
def test_what_cannot_be_walked_says_why_and_what_can(level: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        levels.checked(level)
    assert "data.level: " in str(caught.value) and "GoToLocalS6N4" in str(caught.value)


def test_an_instruction_that_is_no_place_is_refused() -> None:
    with pytest.raises(DataError, match=r"seed 0 of PickupDist asks .*; expected go to"):
        reading.beginning(levels.make("PickupDist"), seed=0)


def test_nothing_is_printed_where_layouts_are_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    environment = levels.make("GoToObjMazeS4")
    for seed in range(20):
        reading.beginning(environment, seed)
    assert capsys.readouterr().out == ""
