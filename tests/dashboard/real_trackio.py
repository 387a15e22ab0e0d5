"""Mirrors run folders into the real trackio, twice, and prints what it keeps as JSON, a line each.

A process of its own, because trackio reads once where its data shall be.
"""

import json
from pathlib import Path

import small_runs

from vision_apps.dashboard.boards import Trackio
from vision_apps.dashboard.mirror import Mirror

ROOT, STORE = Path("runs"), Path("store")


def kept() -> str:
    from trackio.sqlite_storage import SQLiteStorage

    content = {}
    for record in SQLiteStorage.get_run_records("toy"):
        name, of_run = record["name"], {"run_id": record["id"]}
        content[name] = {
            "config": SQLiteStorage.get_run_config("toy", name, **of_run),
            "logs": SQLiteStorage.get_logs("toy", name, **of_run),
        }
    return json.dumps(content)


STORE.mkdir()
board = Trackio(STORE)
one = small_runs.make(ROOT / "toy" / "one", title="lr=0.1", group="0001-calm-heron")
other = small_runs.make(ROOT / "toy" / "other")
for run in (one, other):
    small_runs.train(run, range(2))
Mirror(ROOT, STORE / "journal.jsonl", board).update()
print(kept())
small_runs.train(one, range(2, 3))
other.path.rename("elsewhere")
Mirror(ROOT, STORE / "journal.jsonl", board).update()
print(kept())
