"""What the person at the keyboard trusts, where no configuration is composed."""

from collections.abc import Sequence

from vision_apps.core.config import overrides, targets

_KEY = "allow_targets="
CONFIGURED = "a configuration file"  # asks for what only the person at the keyboard may allow


def allow_targets(words: Sequence[str]) -> list[str]:
    """Take ``allow_targets=[...]`` out of the words, and heed it: see `targets.allow`."""
    for word in [word for word in words if word.startswith(_KEY)][-1:]:
        text = overrides.unquoted(word.removeprefix(_KEY))
        named = overrides.value(_KEY + text) if text not in ("null", "") else []
        targets.allow(list(map(str, named)) if isinstance(named, list) else [str(named)])
    return [word for word in words if not word.startswith(_KEY)]
