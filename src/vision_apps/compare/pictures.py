"""The runs' sheets of pictures, made small enough for a page."""

import base64
import io
from pathlib import Path

from PIL import Image

from vision_apps.compare.reading import Run

MOST = 40  # runs with pictures
_BYTES = 2_000_000  # of all pictures together, before base64 adds a third
_WIDTHS = (640, 480, 360, 240)  # px
_QUALITY = 78
_PIXELS = 100_000_000  # of a sheet as it lies there; a hundred times those that are drawn
_NAMES = ("test-sheet-best.png", "val-sheet-*.png")


def sheet(run: Run) -> Path | None:
    """The test's sheet, or the last one of validation."""
    images = run.folder.images
    tested, validated = (sorted(filter(_is_plain, images.glob(name))) for name in _NAMES)
    return next(iter(tested or validated[-1:]), None)


def _is_plain(path: Path) -> bool:
    """A file, and no link, which may lead to any other."""
    return path.is_file() and not path.is_symlink()


def encode(path: Path, count: int) -> tuple[str, int, int] | None:
    """A picture as the text of a ``data:`` address, its width and height in px; None where it cannot be read.
    The more pictures share the page, ``count``, the smaller is each."""
    most = _BYTES // max(count, 1)
    try:
        with Image.open(path) as file:
            if file.width * file.height > _PIXELS:
                return None
            picture = file.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError, SyntaxError):  # Pillow's word for a broken PNG
        return None
    for width in _WIDTHS:
        small = picture.copy()
        small.thumbnail((width, picture.height), Image.Resampling.LANCZOS)
        content = io.BytesIO()
        small.save(content, "WEBP", quality=_QUALITY, method=2)  # of 6: half the time, a tenth larger
        if content.tell() <= most:
            break
    text = base64.b64encode(content.getvalue()).decode()
    return f"data:image/webp;base64,{text}", small.width, small.height
