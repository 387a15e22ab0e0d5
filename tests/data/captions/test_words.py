"""Words as COCO's evaluation counts them, numbers that lead back to them, and text that keeps every word."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.data.captions.words import (
    END,
    PAST,
    SPECIAL,
    UNKNOWN,
    as_bytes,
    decoded,
    encoded,
    from_bytes,
    numbered,
    sentence,
    vocabulary_of,
    words_of,
)

WORD = st.text(st.characters(categories=("Ll", "Lo", "Mn", "Mc", "Nd")), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A man's dog, isn't it?", "a man 's dog is n't it"),
        (
            "It's by the 1,000 t-shirts (red) & cannot rain...",
            "it 's by the 1,000 t-shirts red & can not rain",
        ),
        ("The big bear scares Mike while they’re sitting", "the big bear scares mike while they 're sitting"),
        ('o\'clock -- 3.5 "m"', "o'clock 3.5 m"),
        ("a dog,cat and a sign:stop at 12:30", "a dog cat and a sign stop at 12:30"),
        ("It's 5 p.m. in the U.S., word_under_score", "it 's 5 p.m. in the u.s. word_under_score"),
        ("He's gonna eat 2.5. I wanna.", "he 's gon na eat 2.5 i wan na"),
        ("Кот сидит.", "кот сидит"),
        ("हिन्दी में चित्र।", "हिन्दी में चित्र"),
        ("一只猫。", "一 只 猫"),
        (" .!? ", ""),
    ],
)
def test_words(caption: str, words: str) -> None:
    assert " ".join(words_of(caption)) == words


@given(st.text(max_size=60))
def test_words_are_words_again(caption: str) -> None:
    words = words_of(caption)
    assert all(word and not any(sign.isspace() for sign in word) for word in words)
    assert [again for word in words for again in words_of(word)] == words


@given(st.text(st.sampled_from("abn't s.m,d1 "), max_size=40))
def test_a_sentence_has_the_words_that_it_is_made_of(caption: str) -> None:
    words = words_of(caption)
    assert words_of(sentence(words)) == words


def test_a_sentence_is_written_as_people_write() -> None:
    text = "there's a man's dog that isn't red and they're 'til gonna"
    assert sentence(words_of(text)) == "there's a man's dog that isn't red and they're til gon na"


def test_the_vocabulary_begins_with_what_is_no_word_and_leaves_rare_words_out() -> None:
    captions = [["a", "red", "cat"], ["a", "red", "dog"], ["a", "bird"]]
    assert vocabulary_of(captions) == [*SPECIAL, "a", "red", "bird", "cat", "dog"]
    assert vocabulary_of(captions, least_count=2) == [*SPECIAL, "a", "red"]
    assert vocabulary_of(reversed(captions)) == vocabulary_of(captions)


def test_numbers_end_and_what_is_cut_off_does_not() -> None:
    vocabulary = [*SPECIAL, "a", "cat"]
    found = encoded([["a", "cat"], ["a", "dog", "a", "cat"]], numbered(vocabulary), rows=3, most=3)
    assert found.tolist() == [[3, 4, END, PAST], [3, UNKNOWN, 3, PAST], [PAST] * 4]
    assert decoded(found[0].tolist(), vocabulary) == ["a", "cat"]
    assert decoded([3, 4, 3], vocabulary) == ["a", "cat", "a"]


@given(st.lists(st.lists(WORD, min_size=1, max_size=5), max_size=4))
def test_numbers_and_text_lead_back_to_the_words(captions: list[list[str]]) -> None:
    vocabulary = vocabulary_of(captions)
    found = encoded(captions, numbered(vocabulary), len(captions), 5)
    assert [decoded(row, vocabulary) for row in found.tolist()] == captions
    text = as_bytes(captions)
    assert text.dtype == torch.uint8
    assert from_bytes(text) == [" ".join(words) for words in captions]


def test_a_sign_that_ends_texts_is_no_word() -> None:
    assert words_of("a\0cat \0") == ["a", "cat"]
    assert words_of("\0") == []
    assert from_bytes(as_bytes([words_of("a cat\0")])) == ["a cat"]
