"""The pictures of the compare page in docs/images, from a real page in a real browser.

    python docs/screenshots.py [RUN|SWEEP|FOLDER ...]

Without runs it trains six small ones on the embedded world first, some minutes on two cores. Needs Chromium
and its driver; nothing of the network is reached.
"""

import base64
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from browser import chromium  # noqa: E402 - the tests' browser

IMAGES = REPOSITORY / "docs" / "images"
SMALL = (
    "task=colorization logger=csv data.train_images=512 data.val_images=64 data.test_images=64 "
    "trainer.max_epochs=6 trainer.log_every_n_steps=1"
).split()
CONFIGURATIONS = (["model=unet"], ["model=unet", "optimizer.lr=3e-4"], ["model=unet_l2"])
SEEDS = (0, 1)
JUDGE = ["--by", "test/auc:max"]  # the two losses cannot be held against each other
MARGIN = 16  # px
SETTLED = 2.0  # seconds that a page needs to draw
PARTS = {"results": "table", "curves": "curves", "pictures": "pictures"}  # part of the page to file


def command(*words: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "vision_apps", *words], cwd=folder, check=True)


def trained(folder: Path) -> list[str]:
    for words in CONFIGURATIONS:
        for seed in SEEDS:
            command("train", *SMALL, *words, f"seed={seed}", folder=folder)
    return [str(folder / "runs")]


def photograph(browser: Chrome, part: str, file: Path, most: int = 900) -> None:
    """A section of the page, at most so many px of its height."""
    section = browser.find_element(By.CSS_SELECTOR, f"section[aria-labelledby={part}]")
    browser.execute_script("arguments[0].scrollIntoView()", section)  # pictures near it are decoded
    time.sleep(SETTLED)
    where = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", section)
    top = browser.execute_script("return scrollY") + where["y"] - MARGIN
    width, height = where["width"] + 2 * MARGIN, min(where["height"] + MARGIN, most)
    clip = {"x": where["x"] - MARGIN, "y": top, "width": width, "height": height, "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    file.write_bytes(base64.b64decode(shot["data"]))


def main(runs: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        words = [*([str(Path(run).absolute()) for run in runs] or trained(folder)), *JUDGE]
        command("compare", *words, "--out", str(folder / "compare"), folder=folder)
        page = (folder / "compare" / "index.html").as_uri()
        for dark in (False, True):
            (folder / str(dark)).mkdir()
            with chromium(folder / str(dark), size=(1180, 900), dark=dark) as browser:
                browser.get(page)
                if "train/loss" in browser.find_element(By.ID, "metric").text:
                    Select(browser.find_element(By.ID, "metric")).select_by_visible_text("train/loss")
                Select(browser.find_element(By.ID, "smoothing")).select_by_index(2)
                time.sleep(SETTLED)
                for part, name in PARTS.items():
                    if not dark:
                        photograph(browser, part, IMAGES / f"compare-{name}.png")
                if dark:
                    photograph(browser, "curves", IMAGES / "compare-dark.png")


if __name__ == "__main__":
    main(sys.argv[1:])
