"""Archives of arrays from strangers."""

import zipfile
from pathlib import Path

MOST, RATIO = 256 << 20, 200  # bytes that every archive may unpack to, and beyond them times its own size


def require_bounded(path: str | Path) -> None:
    """``ValueError`` where an archive is small and would unpack to gigabytes. What is none is passed over:
    its reader tells."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > max(MOST, RATIO * Path(path).stat().st_size):
        raise ValueError(
            f"would unpack to {total >> 20:,} MiB; expected at most {RATIO} times the file, or "
            f"{MOST >> 20} MiB"
        )
