"""Text of anybody's files as text alone: for a terminal it moves no cursor, for a spreadsheet it computes
nothing."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# https://owasp.org/www-community/attacks/CSV_Injection, where spreadsheets take the wide forms, too
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def visible(text: object, kept: str = "\n\t") -> str:
    r"""``text`` with control characters (C0, C1) but those ``kept`` as escapes such as ``\x1b``. With
    ``kept=""`` it stays on its line: what is a name, a path or a cell."""
    return _CONTROL.sub(
        lambda found: found[0] if found[0] in kept else found[0].encode("unicode_escape").decode(), str(text)
    )


def guarded(text: object) -> str:
    """`visible`, and behind an apostrophe where a spreadsheet would compute it; a number is none of that."""
    shown = visible(text)
    return f"'{shown}" if shown.startswith(_FORMULA) and not _is_number(shown) else shown


def csv_text(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as CSV with the columns ``names``, titles and texts `guarded`, numbers as they are; what a row
    lacks is empty, what it has besides is left out."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(guarded, names))
    for row in rows:
        known = (row.get(name) for name in names)
        writer.writerow(value if isinstance(value, int | float | None) else guarded(value) for value in known)
    return file.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
