"""Processes of Python that begin with torch and Lightning imported: that takes a core 7 s, and is most of
what a short process does.

A helper imports them once and forks for each command. What comes of it is a process like any other: a child
of the one that started it, with an environment, signals and an exit status of its own; what it starts begins
warm too. On Linux; elsewhere, and for other programs, a process starts as ever.
"""

import atexit
import ctypes
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
import traceback
from typing import Any, ClassVar, NoReturn

IMPORTED = ("vision_apps.core.engine", "vision_apps.cli", "timm", "optuna")
_PR_SET_CHILD_SUBREAPER = 36  # orphans below this process become its children
_MESSAGE = 1 << 18  # bytes
_Cold = subprocess.Popen


class Popen(subprocess.Popen[Any]):
    """As `subprocess.Popen`, but ``python FILE ...`` and ``python -m MODULE ...`` begin warm."""

    environment: ClassVar[dict[str, str]] = {}  # of the helper, whatever the test has set that comes first
    helper: int | None = None  # its process id
    _started: subprocess.Popen[bytes]
    _channel: socket.socket

    def _execute_child(self, args: Any, *given: Any) -> None:
        words = [] if isinstance(args, str | bytes) else [os.fspath(word) for word in args if word != "-u"]
        if sys.platform != "linux" or words[:1] != [sys.executable] or words[1] == "-c":
            super()._execute_child(args, *given)  # type: ignore[misc]
            return
        if Popen.helper is None:
            Popen._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command = [sys.executable, __file__, str(theirs.fileno())]
            Popen._started = _Cold(
                command, env=self.environment, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
            Popen.helper = self._started.pid
            theirs.close()
        folder, environment, pipes, new_session = given[4], given[5], given[9:15], given[-2]
        request = {
            "words": words[1:],
            "folder": os.path.abspath(folder or "."),
            "environment": dict(os.environ if environment is None else environment),
            "new_session": new_session,
        }
        files = [number if pipes[own] == -1 else pipes[own] for number, own in enumerate((0, 3, 5))]
        _adopt_orphans(True)
        socket.send_fds(self._channel, [json.dumps(request).encode()], files)
        self.pid = int(self._channel.recv(_MESSAGE))
        self._channel.recv(_MESSAGE)  # now it is a child of this process
        _adopt_orphans(False)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _adopt_orphans(on: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def _help(channel: socket.socket, installed: list[str]) -> None:
    """Fork for each request until the process that asks is gone."""
    while True:
        message, files, _, _ = socket.recv_fds(channel, _MESSAGE, 3)
        if not message:
            os._exit(0)
        between = os.fork()
        if not between:
            between = os.getpid()
            pid = os.fork()
            if pid:
                channel.send(str(pid).encode())
                os._exit(0)  # its child gets the nearest subreaper for a parent, which is the one that asked
            while os.getppid() == between:
                time.sleep(0.001)
            channel.close()
            _become(json.loads(message), files, installed)
        os.waitpid(between, 0)
        channel.send(b"begun")
        for file in files:
            os.close(file)


def _become(request: dict[str, Any], files: list[int], installed: list[str]) -> NoReturn:
    """The process that was asked for, until it ends."""
    Popen._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    Popen.helper = os.fork()  # now, while this is the only thread
    if not Popen.helper:
        for file in (*files, Popen._channel.detach()):
            os.close(file)
        _help(theirs, installed)
    theirs.close()
    subprocess.Popen = Popen  # type: ignore[misc]
    if request["new_session"]:
        os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    from lightning_fabric.utilities import rank_zero

    rank_zero.rank_zero_only.rank = rank_zero._get_rank() or 0  # Lightning looks when it is imported
    words = request["words"]
    first = os.getcwd() if words[0] == "-m" else os.path.dirname(os.path.abspath(words[0]))
    sys.path[:] = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *installed]
    status = 0
    try:
        if words[0] == "-m":
            sys.argv[:] = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv[:] = words
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except:  # noqa: E722 - as the interpreter does
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking apart all that was imported costs 2 s


if __name__ == "__main__":
    # timm imports it, and it makes a folder that its process removes
    sys.modules["wandb"] = None  # type: ignore[assignment]
    for name in IMPORTED:
        importlib.import_module(name)
    del sys.modules["wandb"]
    of_tests = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    asks = socket.socket(fileno=int(sys.argv[1]))
    _help(asks, [folder for folder in sys.path[1:] if folder not in of_tests])
