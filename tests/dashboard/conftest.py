"""The browser, the toy application and small run folders for the tests of the dashboard."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "core"), str(HERE)]  # `browser`, `toy_run`, `small_runs`
