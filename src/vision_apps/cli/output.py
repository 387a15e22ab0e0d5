"""What every command says in the same way."""

import sys

from vision_apps.core.errors import UserError
from vision_apps.core.neutral import visible


def announce() -> None:
    """Tell why nothing happens for the next seconds."""
    print("loading torch and lightning ...", flush=True)


def refuse(error: UserError) -> int:
    """Print an error that the user can mend, or that a run was stopped; returns the exit status."""
    print("error: " * (error.status == 2) + visible(error), file=sys.stderr, flush=True)
    return error.status
