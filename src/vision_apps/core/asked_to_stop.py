"""The signals that ask a process to stop: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed."""

import contextlib
import os
import signal
import stat
from collections.abc import Callable
from types import FrameType

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
_ASK = [signal.SIGINT, signal.SIGTERM, *([] if _HANGUP is None else [_HANGUP])]


class Asked:
    """The first signal is kept in ``number`` and told; another one raises ``KeyboardInterrupt``. A hangup may
    come twice, from the kernel and from the shell, and asks once; where ``nohup`` has it ignored it stays so.

    Args:
        told: what is written when the first one comes.
    """

    def __init__(self, told: str) -> None:
        self.told = f"\n{told}\n".encode()
        self.number: int | None = None
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def listen(self) -> None:
        """To be called by the main thread, and by nothing that listens already."""
        for number in _ASK:
            if number != _HANGUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._count)

    def give_back(self) -> None:
        """Whoever listened before does again."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _count(self, number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            _leave_terminal()
        if self.number is not None and number != _HANGUP:
            raise KeyboardInterrupt
        if self.number is None:
            self.number = number
            with contextlib.suppress(OSError):
                os.write(2, self.told)


def _leave_terminal() -> None:
    """What is printed goes nowhere where it went to a terminal, which is gone: to write there is an error."""
    with open(os.devnull, "r+b") as nowhere:
        for number in (0, 1, 2):
            with contextlib.suppress(OSError):  # closed already
                if stat.S_ISCHR(os.fstat(number).st_mode):
                    os.dup2(nowhere.fileno(), number)
