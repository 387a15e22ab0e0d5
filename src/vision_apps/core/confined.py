"""What is built of a stranger's file is kept from the disk, the network and other processes."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Names of Python's audit events (PEP 578) or what they start with; `open` is looked at by itself.
_REFUSED = {
    "write files": (
        *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
        *("os.chmod", "os.chown", "os.utime", "os.setxattr", "shutil.", "tempfile.", "sqlite3."),
    ),
    "use the network": ("socket.", "urllib.", "http.", "ftplib.", "smtplib."),
    "start other code": (
        *("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty."),
        *("_thread.start_new_thread", "ctypes.dlopen", "pickle.find_class"),
    ),
}
_SHOWN = 200  # characters of what was asked for
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_thread = threading.local()
_installed = threading.Event()


class ConfinedError(PermissionError):  # what a library takes for an error of the system it passes on
    """Something was tried that may not be."""


@contextmanager
def confined(really: bool = True) -> Iterator[None]:
    """In here this thread cannot write a file, reach the network, or start a process or, from Python 3.12 on,
    a thread: `ConfinedError` says what was tried. What is imported may be read.

    It stops builders of networks that do more than their name says, whatever they are asked with; it does
    not hold code that is written to get out. Of what a person has allowed by name (``really=False`` within)
    the person answers for what it does.
    """
    if not _installed.is_set():  # cannot be taken away again
        sys.addaudithook(_look)
        _installed.set()
    before = getattr(_thread, "confined", False)
    _thread.confined = really
    try:
        yield
    finally:
        _thread.confined = before


def _look(event: str, arguments: tuple[object, ...]) -> None:
    if not getattr(_thread, "confined", False):
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITES:
            raise ConfinedError(f"to write files: {str(path)[:_SHOWN]}")
        return
    for what, starts in _REFUSED.items():
        if event.startswith(starts):
            shown = ", ".join(str(value)[:_SHOWN] for value in arguments[:2])
            raise ConfinedError(f"to {what}: {event}({shown})")
