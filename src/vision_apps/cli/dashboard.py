"""Looking at runs: ``vision-apps dashboard``, and ``vision-apps sync`` for those that W&B shall have."""

from collections.abc import Sequence
from pathlib import Path

from vision_apps.core.errors import ConfigError
from vision_apps.core.suggest import nearest

_RUNS = "runs"
_PORTS = range(1, 65536)

_DASHBOARD = """\
vision-apps dashboard [FOLDER] [--tensorboard] [--port N] [--no-browser]

  FOLDER         where the runs are, by default runs; all are shown, and followed while they train
  --tensorboard  in TensorBoard instead of trackio
  --port         by default the first free one from 7860, or from 6006 for TensorBoard
  --no-browser   only print the address

The page is served to this machine alone, with no account and no network, and ends with Ctrl-C. From
another machine: ssh -L 7860:127.0.0.1:7860 THIS_MACHINE"""

_SYNC = """\
vision-apps sync [RUN|FOLDER ...] [--dry-run]

  RUN, FOLDER  a run folder or a folder with runs, by default runs
  --dry-run    only list what would be uploaded

Uploads to W&B the runs that were trained offline and are not there yet."""


def dashboard(argv: Sequence[str]) -> None:
    places: list[str] = []
    kind, port, browse = "trackio", None, True
    left = list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--help", "-h"):
            print(_DASHBOARD)
            return
        if word == "--tensorboard":
            kind = "tensorboard"
        elif word == "--no-browser":
            browse = False
        elif name == "--port":
            port = _port(value if equals else left.pop(0) if left else "")
        elif word.startswith("-"):
            raise _unknown(name, ("--tensorboard", "--port", "--no-browser", "--help"))
        else:
            places.append(word)
    if len(places) > 1:
        raise ConfigError(f"{places[1]}: the dashboard shows one folder, here {places[0]}")
    if not places:
        Path(_RUNS).mkdir(exist_ok=True)  # the first run may be trained later
    print("starting ...", flush=True)
    from vision_apps.dashboard.serve import serve

    serve(Path(places[0] if places else _RUNS), kind, port, browse)


def sync(argv: Sequence[str]) -> None:
    dry_run = False
    places: list[str] = []
    for word in argv:
        if word in ("--help", "-h"):
            print(_SYNC)
            return
        if word == "--dry-run":
            dry_run = True
        elif word.startswith("-"):
            raise _unknown(word, ("--dry-run", "--help"))
        else:
            places.append(word)
    from vision_apps.dashboard.upload import upload

    upload([Path(place) for place in places or [_RUNS]], dry_run)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) not in _PORTS:
        raise ConfigError(f"--port: expected a number from 1 to 65535, as in --port 7860, not {text!r}")
    return int(text)


def _unknown(name: str, known: Sequence[str]) -> ConfigError:
    return ConfigError(f"{name}: no such option{nearest(name, known)}; see --help")
