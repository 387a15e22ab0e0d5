"""The picture of all applications in docs/images: what each answers of the same generated scene, and the way
that an agent walks.

    python docs/nine_applications.py [--runs FOLDER] [--scene NUMBER]

Of each application the newest finished run below FOLDER (``runs``) is asked; where there is none, one is
trained there as the application's page says: some half an hour on two cores for all. Nothing of the network
is reached.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from PIL import Image, ImageDraw, ImageFont

from vision_apps.core.run_list import runs
from vision_apps.data.scenes.captions import CaptionWorld
from vision_apps.data.scenes.render import render

REPOSITORY = Path(__file__).parents[1]
PICTURE = REPOSITORY / "docs" / "images" / "nine_applications.png"
SIDE = 64  # px of the scene
TILE, TITLE, GAP, ACROSS = (340, 260), 24, 10, 3  # px, and tiles side by side
SAID = {"vqa": ["--with", "question=what is the largest thing? how many things are there?"]}
ORDER = ["classification", "colorization", "localization", "detection", "segmentation"]  # the others follow


def applications() -> list[str]:
    """Those that have networks of their own."""
    tasks = {
        path.stem: yaml.safe_load(path.read_text()) for path in (REPOSITORY / "conf/task").glob("*.yaml")
    }
    own = sorted(name for name, task in tasks.items() if "models_of" not in task["task"])
    return sorted(own, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def command(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "vision_apps", *words], cwd=REPOSITORY, check=True)


def trained(task: str, root: Path) -> Path:
    """The newest finished run of an application."""
    for run in runs(root):
        if run.record.get("task") == task and run.status == "finished":
            return run.folder.path
    more = [f"module.detector={trained('detection', root)}"] if task == "scene_graphs" else []
    command("train", f"task={task}", "logger=csv", f"run.root={root}", *more)
    return trained(task, root)


def answered(run: Path, task: str, scene: Path, folder: Path) -> Image.Image:
    """What ``predict`` draws."""
    asked = [] if task == "navigation" else [str(scene)]
    command("predict", str(run), *asked, *SAID.get(task, []), "--out", str(folder))
    row = json.loads((folder / "predictions.jsonl").read_text().splitlines()[0])
    return Image.open(folder / row["picture"]).convert("RGB")


def tile(picture: Image.Image, title: str) -> Image.Image:
    """The picture in the middle of a white tile, below its title."""
    width, height = TILE
    factor = min(width / picture.width, height / picture.height)
    if factor > 1:
        factor = int(factor)  # pixels stay squares
    size = (round(factor * picture.width), round(factor * picture.height))
    found = Image.new("RGB", (width, height + TITLE), "white")
    taken = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.LANCZOS
    found.paste(picture.resize(size, taken), ((width - size[0]) // 2, TITLE + (height - size[1]) // 2))
    pen, font = ImageDraw.Draw(found), ImageFont.load_default(size=15)
    pen.text((width / 2, TITLE / 2), title.replace("_", " "), fill="black", font=font, anchor="mm")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "runs")
    parser.add_argument("--scene", type=int, default=0, help="of the test scenes of captioning")
    given = parser.parse_args()
    root = given.runs.absolute()
    tiles = []
    with tempfile.TemporaryDirectory() as place:
        scene = Path(place) / "scene.png"
        world = CaptionWorld(0, (1, 2), True)
        Image.fromarray(render(world.scene("test", given.scene), SIDE).image.transpose(1, 2, 0)).save(scene)
        for task in applications():
            picture = answered(trained(task, root), task, scene, Path(place) / task)
            tiles.append(tile(picture, task))
    down = -(-len(tiles) // ACROSS)
    width, height = tiles[0].width + GAP, tiles[0].height + GAP
    found = Image.new("RGB", (ACROSS * width + GAP, down * height + GAP), "white")
    for number, one in enumerate(tiles):
        found.paste(one, (GAP + number % ACROSS * width, GAP + number // ACROSS * height))
    found.save(PICTURE)
    print(PICTURE)


if __name__ == "__main__":
    main()
