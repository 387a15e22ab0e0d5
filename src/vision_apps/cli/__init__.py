"""The commands, one thin function each. Nothing heavy is imported before a command needs it."""

import sys
from collections.abc import Callable, Sequence

from vision_apps.cli import help
from vision_apps.cli.data import data
from vision_apps.cli.output import refuse
from vision_apps.cli.runs import predict, test
from vision_apps.cli.train import train
from vision_apps.core import listing
from vision_apps.core.errors import ConfigError, UserError
from vision_apps.core.suggest import nearest

COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "test": test,
    "predict": predict,
    "data": data,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 after an error that the user can mend, 130 when
    stopped."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        if not words or words[0] in ("--help", "-h"):
            print(help.overview(listing.conf_dirs()))
            return 0
        if words[0] not in COMMANDS:
            raise ConfigError(
                f"{words[0]}: no such command{nearest(words[0], COMMANDS)}; there are: {', '.join(COMMANDS)}"
            )
        COMMANDS[words[0]](words[1:])
    except UserError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0
