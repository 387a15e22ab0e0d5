"""The folder that knows everything about one run."""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import yaml

from vision_apps.core import plain_files, side_files
from vision_apps.core.command import command
from vision_apps.core.errors import CheckpointError, RunError
from vision_apps.core.plain import Config, Metrics, Record

_ADJECTIVES = (
    "amber azure bold brisk calm clear coral cosy crisp deep eager early fair fond fresh gentle glad "
    "golden grand green happy hazel honest ivory jade jolly keen kind light lively lucid mellow merry "
    "mild misty neat noble opal pale plain proud pure quick quiet rapid ruby sandy sharp shy silver sleek "
    "smooth snowy soft solar steady sunny swift tidy vivid warm wise young "
).split()
_NOUNS = (
    "acorn alder anchor arrow aspen badger beacon birch bison breeze brook canyon cedar cliff clover "
    "comet crane delta ember falcon fern finch fjord flint forest fox garnet glacier grove harbor hawk "
    "heron hill iris island juniper kite lagoon lark lily lynx maple marten meadow moss oak orbit otter "
    "owl pebble pine prairie quartz raven reef ridge river robin sparrow spruce stone summit tern thistle "
    "tide valley willow wren "
).split()

_LOCK = ".lock"
_RECORDS = {"run.json": Record, "metrics.json": Metrics}
_SECTIONS = (
    "run",
    "task",
    "model",
    "module",
    "data",
    "trainer",
    "optimizer",
    "scheduler",
    "callbacks",
    "logger",
)
_PATIENCE = 0.5  # s: somebody may be asking whether it is held


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock of this file; a lock ends with its process, however that
    ends. False where there is no such file."""
    if not path.is_file():
        return False
    try:
        import fcntl
    except ImportError:  # Windows
        try:
            with filelock.FileLock(path, timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:
            return False
    # a colleague's file may only be read, and FileLock opens it to write
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _name(number: int) -> str:
    """A name that is easy to say. It is a function of the number, so that two processes that want the same
    number want the same folder and only one of them gets it."""
    return f"{number:04d}-{_ADJECTIVES[number * 29 % len(_ADJECTIVES)]}-{_NOUNS[number * 31 % len(_NOUNS)]}"


def new_folder(parent: Path) -> Path:
    """Make ``<parent>/<number>-<words>``, which no other process gets."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        numbers = [int(m[1]) for m in (re.match(r"(\d+)-", entry) for entry in os.listdir(parent)) if m]
        folder = parent / _name(max(numbers, default=0) + 1)
        with contextlib.suppress(FileExistsError):  # another process was faster: take the next number
            folder.mkdir()
            return folder


def _named(config: dict[Any, Any]) -> bool:
    """Whether every key is text."""
    return all(isinstance(k, str) and (not isinstance(v, dict) or _named(v)) for k, v in config.items())


class RunFolder:
    """One run: ``config.yaml``, ``run.json``, ``environment.json``, ``metrics.csv``, ``metrics.json``,
    ``log.txt``, ``checkpoints/`` and ``images/``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._made: list[Path] = []  # folders above it that were not there before

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def images(self) -> Path:
        return self.path / "images"

    @property
    def record(self) -> Record:
        """``run.json``, without what is not as it should be; empty where it cannot be read."""
        record: Record = self._sound("run.json")[0]
        return record

    @property
    def metrics(self) -> Metrics:
        """``metrics.json``, likewise."""
        metrics: Metrics = self._sound("metrics.json")[0]
        return metrics

    @property
    def problems(self) -> list[str]:
        """What of both cannot be read or is not as it should be."""
        return [f"{name} {problem}" for name in _RECORDS for problem in self._sound(name)[1]]

    def _sound(self, name: str) -> tuple[Any, list[str]]:
        try:
            content = self.read_json(name)
        except OSError as error:
            return {}, [f"cannot be read: {error.strerror or error}"]
        except ValueError as error:
            return {}, [str(error)]
        if not isinstance(content, dict):
            return {}, ["holds no mapping"]
        good, problems = side_files.sound(content, _RECORDS[name])
        return good, [f"has {problem}" for problem in problems]

    @property
    def trusting(self) -> list[str]:
        """The word, if any, that every command about the run needs: packages are trusted by whoever types."""
        names: list[str] = []
        with contextlib.suppress(CheckpointError):
            names = self.read_config().get("allow_targets") or []
        return [f"allow_targets=[{','.join(names)}]"] if names else []

    def going_on(self, *changes: str) -> str:
        """The command that goes on with the run."""
        return command("train", f"resume={self.path}", *changes, *self.trusting)

    def note(self, **fields: object) -> None:
        """Change fields of ``run.json``; None takes one away."""
        fields = {**self.record, **fields}
        self.write_json("run.json", {name: value for name, value in fields.items() if value is not None})

    @property
    def status(self) -> str:
        """``finished``, ``running``, ``pruned`` (by a sweep), ``failed``, or ``stopped``, which can be
        resumed."""
        marked = self.record.get("status")
        if marked:
            return str(marked)
        if (self.path / "metrics.json").is_file():
            return "finished"
        return "running" if is_held(self.path / _LOCK) else "stopped"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A context in which no other process trains in this folder; `RunError` where one does."""
        try:
            held = filelock.FileLock(self.path / _LOCK).acquire(timeout=_PATIENCE)
        except filelock.Timeout:
            raise RunError(
                f"{self.path} is being trained by another process; wait for it, or stop it and resume then"
            ) from None
        with held:
            yield

    @classmethod
    def create(cls, root: str | Path, task: str, path: str | Path | None = None) -> "RunFolder":
        """A new folder ``<root>/<task>/<number>-<words>``, or exactly ``path``; `RunError` where ``path``
        exists already, or nothing can be written there."""
        place = Path(root) / task / "new" if path is None else Path(path)
        missing = [above for above in place.parents if not above.exists()]
        try:
            if path is not None:
                Path(path).mkdir(parents=True)
            folder = cls(new_folder(Path(root) / task) if path is None else path)
            folder._made = missing
            folder.checkpoints.mkdir()
            folder.images.mkdir()
            return folder
        except FileExistsError:
            raise RunError(
                f"run.dir: {path} exists already and a run never overwrites another; choose another folder, "
                f"or continue it: {command('train', f'resume={path}')}"
            ) from None
        except OSError as error:
            raise RunError(
                f"run.root: cannot make a run folder below {path or root}: {error.strerror or error}; "
                "choose a writable place, for instance run.root=/tmp/runs"
            ) from None

    def discard(self) -> None:
        """Take the folder away again, and those that were made for it."""
        shutil.rmtree(self.path, ignore_errors=True)
        for above in self._made:  # the nearest first
            with contextlib.suppress(OSError):  # others have made something there since
                above.rmdir()

    @classmethod
    def find(cls, place: str | Path) -> tuple["RunFolder", Path | None]:
        """The run's folder of a path to it or to one of its checkpoints, and the checkpoint where one was
        named. A checkpoint that lies in no run's ``checkpoints/`` gives the folder that it is in, which is no
        run's. ``last`` and ``best:METRIC`` are runs, too, see `run_names`. `CheckpointError` where there is
        neither."""
        from vision_apps.core import run_names  # which lists folders of this class

        path = run_names.named(str(place)) if run_names.is_name(place) else Path(place)
        if path.is_dir() and (path / "config.yaml").is_file():
            return cls(path), None
        if path.is_file():
            parent = path.parent if path.parent.name else path.absolute().parent
            in_run = parent.name == "checkpoints" and (parent.parent / "config.yaml").is_file()
            return cls(parent.parent if in_run else parent), path
        what = "has no config.yaml" if path.is_dir() else "does not exist"
        raise CheckpointError(
            f"{place} {what}: expected a run folder (runs/<task>/<number>-<words>), a checkpoint (.ckpt) in "
            "one, last, or best:METRIC"
        )

    def wait(self, ready: Callable[[Config], bool] = bool, seconds: float = 300.0) -> Config:
        """The configuration that the first process of the run writes here, once it is ``ready``; `RunError`
        where it is not within ``seconds``."""
        patience = time.monotonic() + seconds
        while not ((self.path / "config.yaml").is_file() and ready(config := self.read_config())):
            if time.monotonic() > patience:
                raise RunError(
                    f"run.dir: {self.path} was not made by the first process within {seconds:.0f} s"
                )
            time.sleep(0.1)
        return config

    def write_config(self, config: Config) -> None:
        self.write("config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def read_config(self) -> Config:
        """``config.yaml``; `CheckpointError` where it is missing or no configuration."""
        path = self.path / "config.yaml"
        try:
            config = side_files.parse_yaml(side_files.read_text(path))
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None
        except ValueError as error:
            raise CheckpointError(f"{path} {error}") from None
        if not isinstance(config, dict) or not _named(config):
            raise CheckpointError(f"{path} is not a configuration: expected a mapping of names")
        for name in _SECTIONS:
            if not isinstance(config.get(name), dict | None):
                raise CheckpointError(f"{path} is not a configuration: {name} is no mapping")
        return config

    def write_json(self, name: str, content: object) -> None:
        self.write(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Content of a JSON file, an empty mapping where there is none; `ValueError` if it was cut off or is
        none."""
        path = self.path / name
        return side_files.read_json(path) if os.path.lexists(path) else {}

    def mapping(self, name: str) -> Any:
        """Content of a JSON file; an empty mapping where it is missing, was cut off or holds none."""
        try:
            content = self.read_json(name)
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, name: str, text: str) -> None:
        """Write a small file as a whole or not at all; `RunError` where the file system refuses."""
        try:
            plain_files.write_whole(self.path / name, text)
        except OSError as error:
            raise RunError(
                f"{self.path / name}: cannot be written: {error.strerror or error}; make room, or choose "
                "another place, for instance run.root=/tmp/runs"
            ) from error
