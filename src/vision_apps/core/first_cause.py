"""Why a run of several processes failed: one of them has the reason, the others lose their connection to
it."""

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from lightning_fabric.strategies.launchers.subprocess_script import _ChildProcessObserver

from vision_apps.core import ranks
from vision_apps.core.checkpoint import Interrupted, Pruned
from vision_apps.core.errors import RunError, UserError
from vision_apps.core.neutral import visible
from vision_apps.core.run_folder import RunFolder

_NAME = "error-rank-{}.txt"
_PATIENCE = 2.0  # s, until the process that failed has written why: before that it cannot have ended
_LAST_WORDS = 30.0  # s, in which the first process sees by itself that another one has ended


@contextlib.contextmanager
def told(folder: RunFolder, rank: int) -> Iterator[None]:
    """A process that fails writes why into the folder; the first one raises the earliest of these instead of
    what it saw itself, a connection that was closed."""
    if rank:
        with _writes(folder.path / _NAME.format(rank)):
            yield
        return
    before = _written(folder)
    with _time_to_say_why(folder, before):
        try:
            yield
        except (Interrupted, Pruned, UserError):
            raise
        except Exception as error:
            reason = _earliest(folder, before, _PATIENCE) if ranks.world() > 1 else None
            if reason is None:
                raise
            raise RunError(reason) from error


@contextlib.contextmanager
def _writes(path: Path) -> Iterator[None]:
    try:
        yield
    except (Interrupted, Pruned):  # all processes stop
        raise
    except UserError as error:
        path.write_text(str(error), encoding="utf-8", errors="backslashreplace")
        raise
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        path.write_text(
            f"{type(error).__name__}: {error}\n\n{trace}", encoding="utf-8", errors="backslashreplace"
        )
        raise


@contextlib.contextmanager
def _time_to_say_why(folder: RunFolder, before: dict[Path, int]) -> Iterator[None]:
    """Within five seconds after one of the processes that it started has ended badly, Lightning kills the
    first one as well, which may be about to tell the reason, or to save after Ctrl-C. Here it is killed when
    it does not end by itself, as it cannot while it waits in a collective on GPUs, and the reason is noted
    before."""
    ended = threading.Event()

    def terminate_all(observer: _ChildProcessObserver) -> None:
        for process in observer._child_processes:
            process.kill()
        if ended.wait(_LAST_WORDS):
            return
        reason = _earliest(folder, before, 0) or "one of the processes of the run was killed"
        folder.note(status="failed", error=f"RunError: {reason}")
        print(f"error: {visible(reason)}", file=sys.stderr, flush=True)
        os.kill(observer._main_pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    original = _ChildProcessObserver._terminate_all
    _ChildProcessObserver._terminate_all = terminate_all  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        ended.set()
        _ChildProcessObserver._terminate_all = original  # type: ignore[method-assign]
        for thread in threading.enumerate():
            if isinstance(thread, _ChildProcessObserver):
                thread._terminate_all = lambda: None  # type: ignore[method-assign] # nothing is left to do


def _earliest(folder: RunFolder, before: dict[Path, int], patience: float) -> str | None:
    """What the process said that failed first since; none where nothing is said in time."""
    until = time.monotonic() + patience
    while not (new := _written(folder).items() - before.items()):
        if time.monotonic() >= until:
            return None
        time.sleep(0.05)
    path = min(new, key=lambda written: written[1])[0]
    reason, _, trace = path.read_text(encoding="utf-8").partition("\n\n")
    return f"process {path.stem.split('-')[-1]}: {reason}" + (
        f"; its traceback is in {path}" if trace else ""
    )


def _written(folder: RunFolder) -> dict[Path, int]:
    """When each process wrote, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in folder.path.glob(_NAME.format("*"))}
