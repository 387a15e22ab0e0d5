"""OpenCV, which is an optional package."""

import os
from types import ModuleType


def load() -> ModuleType:
    """The module ``cv2``, imported so that the environment variables stay as they are. `ImportError` where it
    is not installed."""
    before = os.environ.get("LD_LIBRARY_PATH")
    try:
        import cv2
    finally:  # importing it puts its own folder there, which would go on to every process started from here
        if before is None:
            os.environ.pop("LD_LIBRARY_PATH", None)
        else:
            os.environ["LD_LIBRARY_PATH"] = before
    return cv2
