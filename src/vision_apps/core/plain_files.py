"""Writing into a folder that may be a stranger's: as a whole, and through no link that leads out of it."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from vision_apps.core.errors import CheckpointError

_OF_WANDB = "wandb"  # which links its own logs, and writes each time into a folder that is new


def write_whole(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """A temporary name in the same folder, then the file's own: a reader sees the old file or the whole new
    one, and a link of that name is replaced, not followed. `OSError` where the file system refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:  # follows no link either
            file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def refuse_links(folder: Path, *names: str) -> None:
    """`CheckpointError` where something in a folder, or what has one of the names in it and below, is a link
    that leads out of it: whoever writes through it would write elsewhere."""
    home = os.path.realpath(folder)
    for path in _all(folder, names):
        target = os.path.realpath(path)
        if os.path.islink(path) and os.path.commonpath([home, target]) != home:
            raise CheckpointError(
                f"{path} is a link to {target}, and nothing is written through a link out of {folder}; take "
                "it away, or put a file or folder in its place"
            )


def _all(folder: Path, names: tuple[str, ...]) -> Iterator[str]:
    waiting = [os.path.join(folder, name) for name in names] or [str(folder)]
    yield from (path for path in waiting if names)
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # no folder, or not there yet
            continue
        yield from (entry.path for entry in entries)
        inside = (entry for entry in entries if entry.is_dir(follow_symlinks=False))
        waiting += [entry.path for entry in inside if entry.name != _OF_WANDB]
