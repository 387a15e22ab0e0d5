"""The list of answers: what people said, agreed with as the challenge's code finds it."""

import random

import pytest

from vision_apps.data.questions.answers import AnswerList, plain
from vision_apps.data.questions.official import accuracy, score


def test_the_true_answer_is_the_commonest_one() -> None:
    assert plain(["Dark Red "]) == "dark red"
    assert plain(["Two", "2", "three"]) == "2"
    assert plain(["a", "b"]) == ""  # an article alone is nothing to the challenge


def test_the_list_has_the_commonest_answers() -> None:
    answers = [["yes"], ["no"], ["yes"], ["red"], ["no"], ["yes"], [""]]
    assert AnswerList.of(answers, most=9, least=1).names == ["yes", "no", "red"]
    assert AnswerList.of(answers, most=9, least=2).names == ["yes", "no"]
    assert AnswerList.of(answers, most=1, least=1).names == ["yes"]
    assert AnswerList(["yes", "no"]).number(["No"]) == 1
    assert AnswerList(["yes", "no"]).number(["red"]) == -1


def test_people_who_all_say_the_same_are_taken_at_their_word() -> None:
    """As the challenge's code has it: only where they differ are their answers written its way."""
    assert AnswerList(["two"]).of_people(["two"] * 3) == [0, 0, 0]
    assert AnswerList(["two"]).of_people(["Two", "2", "a two", "three"]) == [0, 0, 0, -1]
    assert AnswerList(["2"]).of_people(["two"] * 3) == [-1, -1, -1]


def test_of_equals_the_first_counts() -> None:
    assert plain(["red", "blue", "blue", "red"]) == "red"
    assert AnswerList(["no", "yes", "no"]).number(["no"]) == 0
    assert AnswerList(["2", "two"]).of_people(["two", "three"]) == [0, -1]
    assert AnswerList.of([["b"], ["a"], ["c"], ["c"]], most=2, least=1).names == ["c", "a"]


@pytest.mark.parametrize("seed", range(20))
def test_numbers_agree_with_the_challenges_code(seed: int) -> None:
    """What an answer scores by numbers is what the official accuracy gives its text."""
    rng = random.Random(seed)
    said = ["two", "2", "Two.", "the cat", "cat", "t-shirt", "t shirt", "dont", "no"]
    answers = [rng.choice(said[: rng.randint(1, len(said))]) for _ in range(10)]
    known = AnswerList(["2", "cat", "t shirt", "don't", "two"])
    numbers = known.of_people(answers)
    for number, name in enumerate(known.names[:4]):
        assert score(numbers.count(number), 10) == pytest.approx(accuracy(name, answers)), (name, answers)
