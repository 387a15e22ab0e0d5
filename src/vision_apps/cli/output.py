"""What every command says in the same way."""

import sys

from vision_apps.core.errors import UserError


def announce() -> None:
    """Tell why nothing happens for the next seconds."""
    print("loading torch and lightning ...", flush=True)


def refuse(error: UserError) -> int:
    """Print an error that the user can mend; returns the exit status."""
    print(f"error: {error}", file=sys.stderr, flush=True)
    return 2
