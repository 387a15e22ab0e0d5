"""Which files of a folder this command has written, so that it never overwrites another."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from vision_apps.core.errors import RunError

NOTES = ".predictions"

State = tuple[int, int]  # bytes and time of change, ns: other ones after anybody has written the file


class Ours:
    """A folder in which files are written as a whole or not at all, and noted as ours before they get their
    name. What was changed since is not ours any more. `OSError` where the folder cannot be read or written.
    """

    def __init__(self, folder: Path, notes: str = NOTES) -> None:
        self.folder = folder
        self._states: dict[str, set[State]] = {}
        self._written: set[str] = set()  # by this object
        self._place = folder / notes
        if self._place.is_file():
            for line in self._place.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, TypeError):  # cut off, or not ours
                    name, size, changed = json.loads(line)
                    self._states.setdefault(name, set()).add((size, changed))
        self._notes: TextIO | None = None

    def may_write(self, name: str) -> bool:
        """Whether there is no such file, or one that we wrote."""
        path = self.folder / name
        try:
            found = path.lstat()
        except FileNotFoundError:
            return True
        except NotADirectoryError:
            return False
        return (found.st_size, found.st_mtime_ns) in self._states.get(name, ()) and path.is_file()

    def free(self, name: str) -> str:
        """The name, with a number where a file that is not ours has it."""
        path, number = Path(name), 1
        while not self.may_write(name):
            number += 1
            name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        return name

    def write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.unlink(missing_ok=True)
            with open(temporary, "xb") as file:  # which follows no link
                file.write(content)
            self.rename(temporary, name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        """Take away what we wrote under this name, which may be written, if anything."""
        (self.folder / name).unlink(missing_ok=True)

    def earlier(self) -> list[str]:
        """What others of this class wrote here before, this one did not, and nobody changed since."""
        return [
            name
            for name in self._states
            if name not in self._written and (self.folder / name).is_file() and self.may_write(name)
        ]

    def rename(self, written: Path, name: str) -> None:
        """Give a complete file its name."""
        self.note(written, name)
        os.replace(written, self.folder / name)

    def note(self, written: Path, name: str) -> None:
        """What is written is ours, under this name."""
        found = written.stat()
        state = (found.st_size, found.st_mtime_ns)
        self._written.add(name)
        self._states.setdefault(name, set()).add(state)
        if self._notes is None:
            self._notes = open(self._place, "a", encoding="utf-8")  # noqa: SIM115 - closed by close
        self._notes.write(json.dumps([name, *state]) + "\n")
        self._notes.flush()

    def close(self) -> None:
        if self._notes is not None:
            self._notes.close()


@contextlib.contextmanager
def told(target: Path) -> Iterator[None]:
    """A context in which a write that fails is a `RunError`."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{target}: cannot be written: {error.strerror or error}; what was answered before is kept. Make "
            "room, or choose another folder, as in --out predictions"
        ) from error
