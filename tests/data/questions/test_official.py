"""The challenge's accuracy: answers as its code writes them, and shares of people that agree."""

from itertools import combinations

import pytest

from vision_apps.data.questions.official import accuracy, comparable, normalized, score


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes.", "yes"),
        ("A cat", "cat"),
        ("the", ""),
        ("three dogs", "3 dogs"),
        ("None", "0"),
        ("12,500", "12500"),  # a comma between digits takes every sign along without a space
        ("12,500 a-b", "12500 ab"),
        ("red,green", "red green"),
        ("red, green", "red green"),
        ("semi-truck", "semi truck"),
        ("semi - truck", "semi truck"),
        ("semi-big -truck", "semibig truck"),  # one of its kind with a space beside it, before or behind
        ("semi-big- truck", "semibig truck"),
        ("2.5", "2.5"),
        ("2.", "2"),  # meant to stay, as a period behind a digit
        (".5", ".5"),
        ("p.m.", "pm"),
        ("couldnt", "couldn't"),
        ("couldn'tve", "couldn't've"),
        ("yalld've", "yalld've"),
        ("y'alld've", "y'all'd've"),
        ("ow's'at", "'ow's'at"),
        ("twas", "'twas"),
        ("Im", "im"),  # its list has it in capitals, which are gone by then
        ("somebody'd", "somebodyd"),
        ("lets", "lets"),
        ("what?!", "what"),
        ("50%", "50%"),
        ("  two   words ", "2 words"),
    ],
)
def test_answers_are_written_as_by_the_challenge(answer: str, expected: str) -> None:
    assert normalized(answer) == expected


def test_only_the_first_32_periods_go() -> None:
    assert normalized("." * 40 + "a b") == "." * 8 + "a b"


def test_people_that_agree() -> None:
    assert [score(count, 10) for count in range(6)] == pytest.approx([0, 0.3, 0.6, 0.9, 1, 1])


@pytest.mark.parametrize("humans", [2, 5, 10])
def test_the_score_is_the_mean_over_all_that_leave_one_out(humans: int) -> None:
    for agreeing in range(humans + 1):
        said = [True] * agreeing + [False] * (humans - agreeing)
        without = [min(1, sum(rest) / 3) for rest in combinations(said, humans - 1)]
        assert score(agreeing, humans) == pytest.approx(sum(without) / len(without))


def test_answers_that_all_are_equal_are_taken_as_typed() -> None:
    assert comparable(["Two"] * 10) == (False, ["Two"] * 10)
    assert comparable([" Two\n", "\tTwo"]) == (False, ["Two"] * 2), "but for blanks at the ends"
    assert accuracy("Two", ["Two"] * 10) == 1
    assert accuracy("2", ["Two"] * 10) == 0  # the habit that its description does not mention
    assert accuracy("2", ["Two"] * 9 + ["the two\n"]) == 1
    assert accuracy("two", ["Two"] * 3 + ["one"] * 7) == pytest.approx(0.9)
