"""The commands, one thin function each. Nothing heavy is imported before a command needs it."""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import vision_apps
from vision_apps.cli import help
from vision_apps.cli.options import Answered
from vision_apps.cli.output import refuse
from vision_apps.core.config.options import conf_dirs
from vision_apps.core.config.suggest import instead_of
from vision_apps.core.errors import ConfigError, UserError

# Command, which is the name of its function, to the file of cli/ that has it.
COMMANDS = {
    "train": "train",
    "tune": "tune",
    "sweep": "sweep",
    "test": "runs",
    "predict": "runs",
    "choose": "choose",
    "export": "export",
    "serve": "serve",
    "runs": "compare",
    "compare": "compare",
    "dashboard": "dashboard",
    "sync": "dashboard",
    "data": "data",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 after an error that the user can mend, 130 when
    stopped."""
    words = sys.argv[1:] if argv is None else list(argv)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files that the terminal cannot show
    try:
        if words == ["--version"]:
            print(f"vision-apps {vision_apps.__version__}")
            return 0
        if not words or words[0] in ("--help", "-h", "help"):
            words = help.asked(words[1:], COMMANDS, conf_dirs())
        if not words:
            print(help.overview(conf_dirs()))
            return 0
        command, *rest = words
        if command not in COMMANDS:
            raise ConfigError(f"{command}: no such command{instead_of(command, COMMANDS)}")
        getattr(import_module(f"vision_apps.cli.{COMMANDS[command]}"), command)(rest)
    except Answered:
        return 0
    except UserError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0
