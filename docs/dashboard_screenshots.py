"""Draws docs/images/dashboard-*.png: two short runs in the dashboard, photographed in a headless Chromium.

python docs/dashboard_screenshots.py
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from browser import chromium  # noqa: E402 - the browser of the tests

SIZE = (1280, 860)
PORT = "7870"
SETTLE = 6  # s, until the page has drawn what it has loaded
SMALL = (
    "task=colorization logger=csv trainer=cpu trainer.max_epochs=6 trainer.log_every_n_steps=2 "
    "data.batch_size=32 data.train_images=256 data.val_images=32 data.test_images=32"
).split()
RUNS = {"unet": ["model=unet"], "unet-l2": ["model=unet_l2"]}
PAGES = {"curves": "", "pictures": "media"}


def main(folder: Path) -> None:
    command = [sys.executable, "-m", "vision_apps"]
    for name, words in RUNS.items():
        subprocess.run(
            [*command, "train", *SMALL, *words, f"run.dir=runs/colorization/{name}"], cwd=folder, check=True
        )
    dashboard = subprocess.Popen([*command, "dashboard", "--no-browser", "--port", PORT], cwd=folder)
    try:
        address = folder / "runs" / ".dashboard" / "trackio" / "address.txt"
        while not address.is_file():
            time.sleep(0.2)
        with chromium(folder, SIZE) as browser:
            for name, page in PAGES.items():
                time.sleep(SETTLE)
                browser.get(address.read_text(encoding="utf-8") + page)
                time.sleep(SETTLE)
                browser.save_screenshot(str(HERE / "images" / f"dashboard-{name}.png"))
    finally:
        dashboard.send_signal(signal.SIGINT)
        dashboard.wait()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
