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


def sheet(run: Run) -> Path | None:
    """The test's sheet, or the last one of validation."""
    tested = run.folder.images.glob("test-sheet-best.png")
    return next(tested, max(run.folder.images.glob("val-sheet-*.png"), default=None))


def encode(path: Path, count: int) -> tuple[str, int, int] | None:
    """A picture as the text of a ``data:`` address, its width and height in px; None where it cannot be read.
    The more pictures share the page, ``count``, the smaller is each."""
    most = _BYTES // max(count, 1)
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except (OSError, Image.DecompressionBombError, SyntaxError):  # Pillow's word for a broken PNG
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
