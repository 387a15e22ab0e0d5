"""Sweep three losses of colorization over three seeds, compare them, and keep the table and the figure here.

    python experiments/colorization_loss/run.py [key=value ...]

The arguments go to every run (``data.root=...``). A sweep that was interrupted goes on where it stopped. The
figures are of the page that ``vision-apps compare`` writes, photographed in Chromium.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "docs"), str(HERE.parents[1] / "tests")]

from screenshots import photograph  # noqa: E402

from browser import chromium  # noqa: E402 - the tests' browser

SWEEP = Path("runs/sweeps/colorization_loss")
METRICS = ("test/auc", "test/auc_rebalanced", "test/psnr", "test/colorfulness")


def command(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "vision_apps", *map(str, words)], check=True)


def main() -> None:
    begun = (SWEEP / "sweep.json").is_file()
    new = ["sweep=colorization_loss", f"dir={SWEEP}", *sys.argv[1:]]
    command("sweep", *([f"resume={SWEEP}"] if begun else new))
    shown = [word for metric in METRICS for word in ("--metric", metric)]
    page = SWEEP / "compare"
    command("compare", SWEEP, "--by", "test/auc_rebalanced:max", *shown, "--out", page)
    shutil.copy(page / "table.md", HERE / "table.md")
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder), size=(1400, 900)) as browser:
        browser.get((page / "index.html").absolute().as_uri())
        for part in ("curves", "pictures"):  # the first pictures are one run of each loss
            photograph(browser, part, HERE / f"{part}.png")
    print(f"written: table.md, curves.png and pictures.png in {HERE}")


if __name__ == "__main__":
    main()
