"""The command line that a person can type next, as this process was started."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def command(verb: str, *words: object) -> str:
    """``vision-apps VERB WORDS`` in the form that works here: through ``train.py`` in a clone, through the
    console script where it is on the path, and through this interpreter otherwise."""
    script = Path(sys.argv[0]).name
    if script == "train.py" and verb == "train":
        start = [_shown(sys.executable), _relative(sys.argv[0])]
    elif shutil.which("vision-apps"):
        start = ["vision-apps", verb]
    else:
        start = [_shown(sys.executable), "-m", "vision_apps", verb]
    return shlex.join([*start, *map(str, words)])


def _shown(executable: str) -> str:
    """``python`` where that is this interpreter, its path otherwise."""
    on_path = shutil.which("python")
    same = on_path and os.path.realpath(on_path) == os.path.realpath(executable)
    return "python" if same and sys.prefix == sys.base_prefix else _relative(executable)


def _relative(path: str) -> str:
    """Relative to the working directory where that is shorter and stays below it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
