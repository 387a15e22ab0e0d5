"""The picture of all applications in docs/images: what each answers of the same generated scene, and the way
that an agent walks.

    python docs/nine_applications.py [--runs FOLDER] [--scene NUMBER]

Each application is trained as its page says, into a folder of its name below FOLDER
(``runs/nine_applications``), and scene graphs with a detector: some half an hour on two cores for all. What
is there and finished is not trained again. Nothing of the network is reached.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vision_apps.data.scenes.captions import CaptionWorld
from vision_apps.data.scenes.render import render

REPOSITORY = Path(__file__).parents[1]
PICTURE = REPOSITORY / "docs" / "images" / "nine_applications.png"
SIDE = 64  # px of the scene
TILE, TITLE, GAP, ACROSS = (340, 260), 24, 10, 3  # px, and tiles side by side
APPLICATIONS = (
    *("classification", "colorization", "localization", "detection", "segmentation"),
    *("captioning", "vqa", "scene_graphs", "navigation"),
)
SAID = {
    "vqa": ["--with", "question=what is the largest thing? how many things are there?"],
    "navigation": ["--with", "seed=12000008"],  # an episode in place of the scene
}


def command(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "vision_apps", *words], cwd=REPOSITORY, check=True)


def trained(name: str, root: Path, *words: str) -> Path:
    """The run of this name."""
    run = root / name
    if not (run / "metrics.json").is_file():
        command("train", *words, "logger=csv", f"run.dir={run}")
    return run


def of_application(task: str, root: Path) -> Path:
    words = [f"task={task}"]
    if task == "scene_graphs":
        finds = trained(
            "related", root, "task=detection", "data=detection_related", "model.backbone.fine=true"
        )
        words.append(f"data.detector={finds}")
    return trained(task, root, *words)


def answered(run: Path, task: str, scene: Path, folder: Path) -> Image.Image:
    """What ``predict`` draws."""
    asked = [] if task == "navigation" else [str(scene)]
    command("predict", str(run), *asked, *SAID.get(task, []), "--out", str(folder))
    row = json.loads((folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()[0])
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
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "runs" / "nine_applications")
    parser.add_argument("--scene", type=int, default=4, help="of the test scenes of captioning")
    given = parser.parse_args()
    tiles = []
    with tempfile.TemporaryDirectory() as place:
        scene = Path(place) / "scene.png"
        world = CaptionWorld(0, (1, 2), True)
        Image.fromarray(render(world.scene("test", given.scene), SIDE).image.transpose(1, 2, 0)).save(scene)
        for task in APPLICATIONS:
            run = of_application(task, given.runs.absolute())
            tiles.append(tile(answered(run, task, scene, Path(place) / task), task))
    down = -(-len(tiles) // ACROSS)
    width, height = tiles[0].width + GAP, tiles[0].height + GAP
    found = Image.new("RGB", (ACROSS * width + GAP, down * height + GAP), "white")
    for number, one in enumerate(tiles):
        found.paste(one, (GAP + number % ACROSS * width, GAP + number // ACROSS * height))
    found.save(PICTURE)
    print(PICTURE)


if __name__ == "__main__":
    main()
