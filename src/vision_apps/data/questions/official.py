"""The accuracy of the VQA challenge (Antol et al. 2015, section 3), to the letter of its code.

That code (``vqaEval.py`` of the data set's authors) has habits that its description does not mention. The
published figures have them too, so they are kept: `normalized` and `accuracy` say which.
"""

import re
from collections.abc import Sequence

ENOUGH = 3  # humans that gave an answer make it fully right

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_PERIOD = re.compile(r"(?!<=\d)\.(?!\d)")
_MOST_PERIODS = int(re.UNICODE)
_DIGITS = {"none": "0"} | {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine ten".split())
}
_ARTICLES = ("a", "an", "the")
# a word that lacks one of its apostrophes gets it; the code lists some in capitals, which are never met
_WITH_APOSTROPHE = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't "
    "haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've "
    "might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've "
    "shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll "
    "someone's something'd something'd've something'll that's there'd there'd've there're there's they'd "
    "they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've "
    "when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't "
    "would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"
).split()
_CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in _WITH_APOSTROPHE
    for place, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": "somebodyd"}


def normalized(answer: str) -> str:
    """Punctuation out, lower case, number words as digits, no articles, apostrophes put back.

    As the code has it: a sign is replaced by a space, unless it has a space beside it anywhere in the answer
    or the answer has a comma between digits: then it goes without one. A period goes where no digit follows,
    also behind a digit (the expression meant to spare those has a slip), and only the first 32 do (a flag
    stands where the number of replacements is expected).
    """
    text = answer
    for sign in _PUNCTUATION:
        beside = f"{sign} " in answer or f" {sign}" in answer
        text = text.replace(sign, "" if beside or _COMMA_IN_NUMBER.search(answer) else " ")
    text = _PERIOD.sub("", text, count=_MOST_PERIODS)
    words = (_DIGITS.get(word, word) for word in text.lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def stripped(answer: str) -> str:
    """What is done to every answer before all else."""
    return answer.replace("\n", " ").replace("\t", " ").strip()


def comparable(answers: Sequence[str]) -> tuple[bool, list[str]]:
    """The human answers to one question as an answer is compared with them, and whether that has to be
    `normalized` too.

    As the code has it: answers that all are equal are taken as they were typed, and so is what is compared
    with them.
    """
    typed = [stripped(answer) for answer in answers]
    if len(set(typed)) <= 1:
        return False, typed
    return True, list(map(normalized, typed))


def score(agreeing: int, humans: int) -> float:
    """The accuracy of an answer that so many of the humans gave: over all choices that leave one of them out,
    the mean of min(1, agreeing / 3). Of ten humans 0 to 4 and more give 0, 0.3, 0.6, 0.9 and 1."""
    others = (humans - agreeing) * min(1, agreeing / ENOUGH)
    own = agreeing * min(1, (agreeing - 1) / ENOUGH)
    return (others + own) / humans


def accuracy(answer: str, answers: Sequence[str]) -> float:
    """How right an answer is, 0..1, by what humans answered to the same question."""
    normalize, known = comparable(answers)
    given = normalized(stripped(answer)) if normalize else stripped(answer)
    return score(known.count(given), len(known))
