"""Write boxes of the pictures, for captioners that look at regions: ``boxes.npz`` in the folder of the data.

    python experiments/ucm_captions/boxes.py DATA

Nobody has drawn boxes in these pictures, so no detector can learn from them: a picture's boxes are the first
of selective search (Uijlings et al. 2013), with one grouping, that are neither specks nor almost the whole of
it. Needs ``pip install 'vision-apps[proposals]'``.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vision_apps.data.boxes.proposals import selective_search
from vision_apps.data.images import read_image

MOST = 20
SHARES = (0.01, 0.6)  # of the picture's area: the least and the most


def chosen(boxes: Tensor, height: int, width: int) -> Tensor:
    """The first `MOST` of boxes [n, 4] whose area is within `SHARES` of the picture's."""
    sides = boxes[:, 2:] - boxes[:, :2]
    share = sides.prod(1) / (height * width)
    return boxes[(share >= SHARES[0]) & (share <= SHARES[1])][:MOST]


def main() -> None:
    data = Path(sys.argv[1])
    found = {}
    for path in sorted((data / "imgs").glob("*.jpg")):
        image = read_image(str(path), max_pixels=50_000_000)
        found[f"{path.stem}_boxes"] = chosen(selective_search(image, "single"), *image.shape[-2:]).numpy()
    np.savez_compressed(data / "boxes.npz", **found)
    counts = torch.tensor([float(len(boxes)) for boxes in found.values()])
    print(f"written: {data / 'boxes.npz'}, {len(found)} pictures, {counts.mean():.1f} boxes each")


if __name__ == "__main__":
    main()
