"""The nearest name to one that does not exist."""

import difflib
from collections.abc import Collection, Iterable


def nearest(name: str, names: Iterable[str], alike: float = 0.6) -> str:
    """The end of an error: ``; did you mean 'x'?``, or nothing when no name is at least so much ``alike``
    (difflib's ratio, 0 to 1)."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=alike)
    return f"; did you mean {close[0]!r}?" if close else ""


def instead_of(name: str, names: Collection[str]) -> str:
    """The end of an error: the nearest name, and all that there are."""
    return f"{nearest(name, names)}; there are: {', '.join(names) or 'none'}"
