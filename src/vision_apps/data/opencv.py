"""OpenCV, which is an optional package."""

import os
from typing import Any


def load() -> Any:
    """The module ``cv2``; the environment stays as it is.

    Raises:
        ImportError: it is not installed.
    """
    before = os.environ.get("LD_LIBRARY_PATH")
    try:
        import cv2
    finally:  # importing it puts its own folder there, which would go on to every process started from here
        if before is None:
            os.environ.pop("LD_LIBRARY_PATH", None)
        else:
            os.environ["LD_LIBRARY_PATH"] = before
    return cv2
