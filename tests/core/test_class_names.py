"""What is said of names of classes, and how loggers take them."""

import pytest

from vision_apps.core.class_names import class_name_problems, renumbering, scalar_names


@pytest.mark.parametrize(
    ("count", "names", "least", "most", "wanted"),
    [
        (3, 2, 2, None, "at least 2 classes"),
        (1, 1, 2, None, "at least 2 classes"),
        (0, 0, 1, None, "at least 1 class"),
        (255, 255, 2, 254, "2 to 254 classes"),
        (2, 3, 1, 5, "1 to 5 classes"),
    ],
)
def test_what_does_not_fit_is_told(count: int, names: int, least: int, most: int | None, wanted: str) -> None:
    assert class_name_problems(count, ["a"] * names, least, most) == [
        f"module.class_names: {names} names for num_classes={count}, expected one name for each of {wanted}; "
        "leave both out and the data set gives them"
    ]


@pytest.mark.parametrize(("count", "least", "most"), [(2, 2, None), (1, 1, None), (254, 2, 254)])
def test_what_fits_is_not(count: int, least: int, most: int | None) -> None:
    assert class_name_problems(count, ["a"] * count, least, most) == []


def test_names_are_known_however_accents_are_spelled() -> None:
    one, two = "cafe\u0301", "caf\u00e9"
    assert renumbering([one, "tea"], [two, "tea"]) is None
    assert renumbering(["tea", two], [one, "tea"]) == [1, 0]
    assert renumbering([two, one], [one, two]) == [1, 0], "of both, each is its own"
    assert renumbering([one, two], [one, two]) is None


def test_names_that_loggers_take() -> None:
    assert scalar_names(["sky", "tall tree", "road/path", "a"]) == ["sky", "tall_tree", "road_path", "a"]
    assert scalar_names(["a b", "a/b", "a_b", "--"]) == ["a_b", "a_b_2", "a_b_3", "class"]
