"""What words of any script are made of, for regular expressions."""

# Scripts without spaces: each sign is a word.
SIGN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_MARKS = (  # ASCII, Latin-1, Arabic, Devanagari, general, CJK, full width
    r"!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u060c\u061b\u061f\u0964\u0965"
    r"\u2010-\u205e\u3000-\u303f\uff00-\uff0f\uff1a-\uff20"
)
# Neither space nor punctuation. Not ``\w``, which leaves out the vowel signs of Devanagari and others.
LETTER = rf"[^\s{_MARKS}{SIGN}]"
