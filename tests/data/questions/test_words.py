"""Words of questions and their numbers."""

import pytest
import torch

from vision_apps.data.questions import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What color is the disc?", ["what", "color", "is", "the", "disc"]),
        ("isn't it -- 3x3, e-mail?", ["isn't", "it", "3x3", "e", "mail"]),
        ("isn\N{RIGHT SINGLE QUOTATION MARK}t 'quoted'", ["isn't", "quoted"]),
        ("\u00c4PFEL", ["\u00e4pfel"]),
        ("?! ...", []),
        ("gro\u0308\u00dfe", ["gr\u00f6\u00dfe"]),  # one letter, however it was typed
        ("Какого цвета куб?", ["какого", "цвета", "куб"]),
        ("यह हिन्दी है।", ["यह", "हिन्दी", "है"]),
        ("ما لون المكعب؟", ["ما", "لون", "المكعب"]),
        ("是红色吗？", ["是", "红", "色", "吗"]),
    ],
)
def test_words_are_lower_case_without_signs(text: str, expected: list[str]) -> None:
    assert words.words_of(text) == expected


def test_the_commonest_words_come_first_and_rare_ones_are_unknown() -> None:
    vocabulary = words.vocabulary_of(["is it red", "is it", "is blue", "it"], least=2)
    assert vocabulary == ["", "<unknown>", "is", "it"]
    assert words.encoded("Is it blue?", words.numbered(vocabulary)) == [2, 3, words.UNKNOWN]
    assert words.vocabulary_of(["b a c", "c"]) == ["", "<unknown>", "c", "a", "b"]


def test_a_table_is_filled_up_and_cut() -> None:
    assert torch.equal(words.table([[3, 4], [5]]), torch.tensor([[3, 4], [5, 0]]))
    assert torch.equal(words.table([[3, 4, 5]], rows=2, length=2), torch.tensor([[3, 4], [0, 0]]))
    assert words.table([]).shape == (1, 1)


def test_what_is_spelled_is_what_was_encoded() -> None:
    vocabulary = words.vocabulary_of(["is the box red"])
    numbers = words.encoded("is the red box", words.numbered(vocabulary))
    assert words.spelled([*numbers, words.END, words.END], vocabulary) == "is the red box"
