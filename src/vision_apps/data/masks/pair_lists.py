"""Text files that say which mask belongs to which picture."""

from pathlib import Path, PurePosixPath

from vision_apps.core.errors import DataError
from vision_apps.data.text import numbered_lines


def listed_pairs(path: Path, root: Path, encoding: str | None = None) -> list[tuple[Path, Path]]:
    """The pairs of a list with a line ``image mask`` each.

    Lists travel with the prefix of the machine that they were written on: a path that is not there is looked
    for by its last two parts below ``root``, and below ``root`` first if it is absolute. Whether the files
    exist is the caller's to ask. `DataError`, which names the line, where one is no pair.
    """
    pairs = []
    for number, line in numbered_lines(path, encoding):
        readings = _readings(line)
        if not readings:
            raise DataError(f"{path}, line {number}: expected 'image mask', found {line!r}")
        found = [(_resolved(image, root), _resolved(mask, root)) for image, mask in readings]
        there = [pair for pair in found if pair[0].is_file() and pair[1].is_file()]
        if len(found) > 1 and len(there) != 1:  # names with spaces
            raise DataError(
                f"{path}, line {number}: expected 'image mask', found {line!r}; where names have spaces, "
                "put a tab between the two"
            )
        pairs.append((there or found)[0])
    return pairs


def _readings(line: str) -> list[tuple[str, str]]:
    """What a line may mean: two names with a tab, a comma or a space between them, of which names may have
    some as well."""
    for between in ("\t", ",", ";", None):
        words = [word.strip() for word in line.split(between) if word.strip()]
        if len(words) == 2:
            return [(words[0], words[1])]
    parts = line.split(" ")
    cuts = [(" ".join(parts[:cut]).strip(), " ".join(parts[cut:]).strip()) for cut in range(1, len(parts))]
    return [(image, mask) for image, mask in cuts if image and mask]


def _resolved(text: str, root: Path) -> Path:
    posix = PurePosixPath(text.replace("\\", "/"))
    below, itself = root.joinpath(*posix.parts[-2:]), root / posix
    first, second = (below, itself) if posix.is_absolute() else (itself, below)
    return second if second.is_file() and not first.is_file() else first
