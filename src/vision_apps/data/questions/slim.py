"""Large JSON files of which little is needed: what stands beside each question is dropped while reading."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vision_apps.core.errors import DataError


def read(path: Path, kept: Callable[[dict[str, Any]], object], expected: str) -> Any:
    """The file's content with each of its objects replaced by what ``kept`` makes of it, the inner ones
    first. `DataError`, which says what is ``expected``, where it cannot be read or ``kept`` raises
    ``ValueError``, ``TypeError``, ``KeyError`` or ``AttributeError``."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file, object_hook=kept)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: expected {expected}: {error}") from error
