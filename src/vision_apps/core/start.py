"""The moment from which on a run changes what is in its folder."""

import contextlib
from collections.abc import Callable, Iterator

import pytorch_lightning as pl

from vision_apps.core.run_folder import RunFolder


class Start(pl.Callback):
    """Does what it is given, or ``waits`` with it until everything is built and restored and the first step
    is due: whatever is refused before leaves the folder of a run that goes on as it was."""

    def __init__(self, waits: bool = False) -> None:
        self.waits = waits
        self.done = False  # the first step was due
        self._waiting: list[Callable[[], object]] = []

    def then(self, action: Callable[[], object]) -> None:
        if self.waits and not self.done:
            self._waiting.append(action)
        else:
            action()

    def on_train_start(self, *_: object) -> None:
        self.now()

    def now(self) -> None:
        """The first step is due, or there is none to take."""
        self.done = True
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()

    @contextlib.contextmanager
    def or_no_folder(self, folder: RunFolder) -> Iterator[None]:
        """A context that takes a new run's folder away again where the run ends before its first step."""
        try:
            yield
        except BaseException:
            if not self.done:
                folder.discard()
            raise

    @contextlib.contextmanager
    def or_as_before(self, folder: RunFolder) -> Iterator[None]:
        """A context that takes what is new in an older run's folder away again where the run ends before its
        first step."""
        before = set(folder.path.rglob("*"))
        try:
            yield
        except BaseException:
            if not self.done:
                for path in sorted(set(folder.path.rglob("*")) - before, reverse=True):
                    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            raise
