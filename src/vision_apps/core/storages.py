"""Which storage of a sweep's study may be opened: that in its folder, and what the person at the keyboard
has named."""

import os
import re
from pathlib import Path

from vision_apps.core import side_files
from vision_apps.core.errors import ConfigError

JOURNAL, SQLITE = "journal://", "sqlite:///"
NAMED = "VISION_APPS_STORAGE"  # one that lies elsewhere


def where(folder: Path) -> tuple[str, str]:
    """Storage and name of a sweep's study, as its ``study.json`` says. Of a file that lies in the folder it
    is that one, wherever it was when it was written down: the folder may have been moved or copied.

    Raises:
        OSError, ValueError, KeyError, TypeError: nothing was written down.
        ConfigError: it lies elsewhere and was not named. The folder may be anybody's, and a database that is
            opened is made or changed.
    """
    known = side_files.read_json(folder / "study.json")
    storage, name = str(known["storage"]), str(known["study"])
    if storage == os.environ.get(NAMED):
        return storage, name
    if scheme := next((start for start in (JOURNAL, SQLITE) if storage.startswith(start)), None):
        kept = Path(storage.removeprefix(scheme)).absolute()
        own = folder.absolute() / kept.name
        if not own.is_symlink() and (own.is_file() or own == kept):
            return f"{scheme}{own}", name
    told = shown(storage)
    raise ConfigError(
        f"storage: {folder / 'study.json'} names {told}, which lies outside of {folder}; if you trust it, "
        f"name it: sweep resume={folder} storage='{told}', compare {folder} --storage '{told}', or "
        f"{NAMED}='{told}' before another command"
    )


def shown(storage: str) -> str:
    """A storage's URL without a password, which may also stand in what follows the question mark."""
    without = re.sub(r"(://[^/@]*?):[^/]*@", r"\1:***@", storage)
    return re.sub(r"\?.*", "?...", without)
