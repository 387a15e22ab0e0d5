"""The dashboard from its start to Ctrl-C."""

import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

import filelock

from vision_apps.core.errors import ConfigError, RunError, some
from vision_apps.core.neutral import visible
from vision_apps.dashboard.boards import TensorBoard, Trackio
from vision_apps.dashboard.mirror import Board, Mirror

BOARDS: dict[str, Callable[[Path], Board]] = {"trackio": Trackio, "tensorboard": TensorBoard}
_PAUSE_SECONDS = 1.0
_IDLE_SHARE = 9  # a thousand runs take longer to look through: rest nine times as long as that took


def serve(root: Path, kind: str, port: int | None, browse: bool) -> None:
    """Show the runs below ``root`` and follow them until Ctrl-C. What the dashboard keeps is in
    ``root/.dashboard/<kind>``; it may be deleted when none is served, and is made again. `ConfigError` where
    there is no such folder or the dashboard is not installed, `RunError` where the port is in use or another
    process serves this folder."""
    if not root.is_dir():
        raise ConfigError(
            f"{root}: no such folder; name the folder with the runs, as in: vision-apps dashboard runs"
        )
    store = root / ".dashboard" / kind
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{store}: the dashboard cannot keep its data there: {error.strerror}") from None
    address = store / "address.txt"
    try:
        held = filelock.FileLock(store / ".lock").acquire(timeout=0)
    except filelock.Timeout:
        known = address.read_text(encoding="utf-8") if address.is_file() else "another port"
        raise RunError(f"{root} is served already, at {known}; open that, or end it first") from None
    with held:
        board = BOARDS[kind](store)
        url = board.open(port)
        try:  # Ctrl-C may follow the address at once
            address.write_text(url, encoding="utf-8")
            print(f"dashboard {url}\nruns      below {root}, as they are trained", flush=True)
            print("end it with Ctrl-C", flush=True)
            if browse:
                webbrowser.open(url)
            mirror = Mirror(root, store / "journal.jsonl", board)
            while True:
                started = time.monotonic()
                if new := mirror.update():
                    print(f"shown     {visible(some(new, 3), kept='')}", flush=True)
                time.sleep(max(_PAUSE_SECONDS, _IDLE_SHARE * (time.monotonic() - started)))
        except KeyboardInterrupt:
            print("\ndashboard ended")
        finally:
            board.close()
            address.unlink(missing_ok=True)
