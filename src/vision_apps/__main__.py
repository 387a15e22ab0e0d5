"""``python -m vision_apps`` is ``vision-apps``."""

import sys
from collections.abc import Sequence

from vision_apps.cli import busy, main


def start(words: Sequence[str] | None = None) -> int:
    """`cli.main` as a process of its own; by default what was typed."""
    typed = sys.argv[1:] if words is None else words
    busy.look(typed)
    return main(typed)


if __name__ == "__main__":
    sys.exit(start())
