"""The browser and the run folders for the tests of `vision-apps compare`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]  # `browser`, `made_runs`
