"""``--out``: the comparison as files."""

from pathlib import Path

from vision_apps.compare import page, tables
from vision_apps.compare.comparison import Comparison
from vision_apps.core.errors import ConfigError
from vision_apps.core.plain_files import write_whole

_PAGE = "index.html"


def write(comparison: Comparison, out: str) -> Path:
    """Write ``table.csv``, ``table.md``, ``runs.csv`` and ``index.html``; returns the path of the last.
    `ConfigError` where the folder cannot be written, or holds such files of someone else."""
    folder = Path(out)
    files = {
        "table.csv": tables.csv_of_rows(comparison),
        "table.md": tables.markdown(comparison),
        "runs.csv": tables.csv_of_runs(comparison),
    }
    _require_ours(folder, [*files, _PAGE])
    files = {_PAGE: page.page(comparison), **files}  # first, for by it the others are known as ours
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            for unfinished in folder.glob(f".{name}.*"):  # of a process that was killed while it wrote
                unfinished.unlink()
            write_whole(folder / name, content)
    except OSError as error:
        raise ConfigError(
            f"--out {out}: {error.strerror or error}; choose a folder that can be written"
        ) from None
    return folder / _PAGE


def _require_ours(folder: Path, names: list[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder}: is a file; expected a folder, as in --out comparison")
    for name in names:
        if (folder / name).is_symlink():
            raise ConfigError(f"--out {folder}: its {name} is a link, which is not written through")
    there = [name for name in names if (folder / name).exists()]
    index = folder / _PAGE
    if there and not (
        index.is_file() and page.MARK in index.read_text(encoding="utf-8", errors="replace")[:2000]
    ):
        raise ConfigError(
            f"--out {folder}: has a {there[0]} that was not written by this command; choose another folder"
        )
