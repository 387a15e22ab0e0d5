"""A measurement in a process of its own, and a training of the engine with one callback more."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def figure(words: list[str], env: Mapping[str, str] | None = None) -> float:
    """The number that ``python WORDS`` prints last, with these variables added to its environment."""
    added = {**os.environ, **(env or {})}
    done = subprocess.run([sys.executable, *words], env=added, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout.splitlines()[-1]))


def train_with(callback: Any, config: Any) -> None:
    """Train as the engine does. A callback of the configuration would be part of what is measured."""
    from vision_apps.core import engine

    build_trainer = engine._trainer

    def with_callback(*arguments: Any) -> Any:
        trainer = build_trainer(*arguments)
        trainer.callbacks.append(callback)
        return trainer

    engine._trainer = with_callback
    engine.train(config)
