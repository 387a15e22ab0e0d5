"""What all pages of the project look like."""

from pathlib import Path

_BASE = Path(__file__).with_suffix(".css")


def style(own: Path) -> str:
    """The style sheet of a page, of which the file ``own`` has what other pages do not."""
    return _BASE.read_text(encoding="utf-8") + own.read_text(encoding="utf-8")
