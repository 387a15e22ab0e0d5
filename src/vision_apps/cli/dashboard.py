"""Looking at runs: ``vision-apps dashboard``, and ``vision-apps sync`` for those that W&B shall have."""

from collections.abc import Sequence
from pathlib import Path

from vision_apps.cli import options
from vision_apps.core.errors import ConfigError

_RUNS = "runs"
_LAST_PORT = 65535

_DASHBOARD = """\
vision-apps dashboard [FOLDER] [--tensorboard] [--port N] [--no-browser]

  FOLDER         where the runs are, by default runs; all are shown, and followed while they train
  --tensorboard  in TensorBoard; by default in trackio
  --port         by default the first free one from 7860, or from 6006 for TensorBoard
  --no-browser   only print the address

The page is served to this machine alone, with no account and no network, and ends with Ctrl-C. From
another machine: ssh -L 7860:127.0.0.1:7860 NAME"""

_SYNC = """\
vision-apps sync [RUN|FOLDER ...] [--dry-run]

  RUN, FOLDER  a run folder or a folder with runs, by default runs
  --dry-run    only list what would be uploaded

Uploads to W&B the runs that were trained offline and are not there yet."""


_OPTIONS = {
    "--tensorboard": None,
    "--port": f"a number from 1 to {_LAST_PORT}, as in --port 7860",
    "--no-browser": None,
}


def dashboard(argv: Sequence[str]) -> None:
    given = options.parse(argv, _DASHBOARD, _OPTIONS)
    port = given.number("--port", int, most=_LAST_PORT)
    if len(given.words) > 1:
        raise ConfigError(f"{given.words[1]}: the dashboard shows one folder, here {given.words[0]}")
    if not given.words:
        Path(_RUNS).mkdir(exist_ok=True)  # the first run may be trained later
    print("starting ...", flush=True)
    from vision_apps.dashboard.serve import serve

    kind = "tensorboard" if "--tensorboard" in given else "trackio"
    serve(Path((given.words or [_RUNS])[0]), kind, port, "--no-browser" not in given)


def sync(argv: Sequence[str]) -> None:
    given = options.parse(argv, _SYNC, {"--dry-run": None})
    from vision_apps.dashboard.upload import upload

    upload([Path(place) for place in given.words or [_RUNS]], "--dry-run" in given)
