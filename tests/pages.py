"""The documentation as data: the fenced blocks of its pages.

A block of language ``sh`` holds one command a line, and each of them is executed by tests/test_documents.py,
from a page's first to its last. ``python`` is executed likewise; a block with ``title="file"`` is written to
that file instead. What cannot be executed says why on the line before, as in ``<!-- not executed: needs a
cluster -->``. Other languages (``text``, ``yaml``) are shown, not executed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
SHOWN = ("text", "yaml", "json", "python", "bash")

_FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?$')
_REASON = re.compile(r"^<!-- not executed: (.+) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block, and where it begins."""

    place: str
    language: str
    title: str | None
    reason: str | None
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines without their comments; none where it is no list of commands."""
        lines = self.text.splitlines() if self.language == "sh" else []
        return [stripped for line in lines if (stripped := line.split(" #")[0].strip())]


def blocks(page: Path) -> list[Block]:
    found, lines = [], page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        if opening := _FENCE.match(lines[number]):
            end = lines.index("```", number + 1)
            reason = _REASON.match(lines[number - 1]) if number else None
            found.append(
                Block(
                    place=f"{page.relative_to(REPOSITORY)}:{number + 1}",
                    language=opening[1],
                    title=opening[2],
                    reason=reason and reason[1],
                    text="\n".join(lines[number + 1 : end]) + "\n",
                )
            )
            number = end
        else:
            assert not lines[number].lstrip().startswith("```"), f"{page}:{number + 1}: {lines[number]}"
        number += 1
    return found


def inline_commands(page: Path) -> list[str]:
    """Commands in backquotes, outside of blocks."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`((?:python [\w/]+\.py|vision-apps|make) [^`]+)`", text)
