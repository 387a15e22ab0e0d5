"""A process that was started by another and must not outlive it."""

import os
import signal
import threading
import time

VARIABLE = "VISION_APPS_PARENT"
_EVERY = 1.0  # s


def end_with_parent() -> None:
    """When the process that started this one (and named itself in `VARIABLE`) is gone, however it ended, ask
    this one to stop, which saves what it has. The processes that this one starts are its own matter."""
    parent = os.environ.pop(VARIABLE, None)
    if parent is not None:
        threading.Thread(target=_watch, args=(int(parent),), daemon=True, name="parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
