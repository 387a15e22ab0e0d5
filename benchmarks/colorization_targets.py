"""CPU time of the training targets of one image: ours, and as the authors' code makes them.

    python benchmarks/colorization_targets.py

Both turn a 256 x 256 8-bit sRGB image into its lightness and into soft targets of 5 bins (and of 10) at 64 x
64: theirs with scikit-image and a ball tree of scikit-learn, one image at a time into a dense array; ours in
batches on tensors. Before any timing the results are compared. Rounds are interleaved, so that a busy machine
slows both; medians of process time of one thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage.color import rgb2lab
from sklearn.neighbors import NearestNeighbors

from vision_apps.applications.colorization.ab_bins import SoftColors, ab_bins, soft_encode
from vision_apps.applications.colorization.lab import rgb_to_ab, rgb_to_lightness

STRIDE = 4
SIGMA = 5


def as_the_authors(
    image: np.ndarray, tree: NearestNeighbors, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """L [H, W] and dense targets [h * w, 313] of an image [H, W, 3]."""
    lab = rgb2lab(image)
    ab = lab[::STRIDE, ::STRIDE, 1:].reshape(-1, 2)
    distance, index = tree.kneighbors(ab, n_neighbors=neighbours)
    weight = np.exp(-(distance**2) / (2 * SIGMA**2))
    weight /= weight.sum(1, keepdims=True)
    target = np.zeros((len(ab), 313))
    target[np.arange(len(ab))[:, None], index] = weight
    return lab[..., 0], target


def ours(images: torch.Tensor, neighbours: int) -> tuple[torch.Tensor, SoftColors]:
    return rgb_to_lightness(images), soft_encode(rgb_to_ab(images, STRIDE), neighbours)


def smooth_images(count: int, size: int = 256) -> torch.Tensor:
    """Photo-like colours: soft blobs with a little grain, so that neighbouring pixels are alike but not
    equal."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 9, 9, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    grain = 0.03 * torch.randn(smooth.shape, generator=generator)
    images = ((smooth + grain).clamp(0, 1) * 255).to(torch.uint8)
    # not one exact grey: four bins are then tied for the tenth place, and each search breaks the tie in its
    # own way
    grey = (images.amax(1) == images.amin(1))[:, None]
    return images ^ grey.to(torch.uint8) * torch.tensor([8, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)


def check(images: torch.Tensor, pictures: list[np.ndarray], tree: NearestNeighbors, neighbours: int) -> float:
    """The largest difference of a target; raises when it is not below 1e-5."""
    lightness, found = ours(images, neighbours)
    worst = 0.0
    for index, picture in enumerate(pictures):
        expected_lightness, expected = as_the_authors(picture, tree, neighbours)
        dense = torch.zeros(len(expected), 313)
        flat = (part[index].flatten(1).T for part in found)
        dense.scatter_(1, *flat)
        worst = max(worst, float(np.abs(dense.numpy() - expected).max()))
        assert np.abs(lightness[index, 0].numpy() - expected_lightness).max() < 1e-3
    assert worst < 1e-5, f"targets differ by {worst:.1e}"
    return worst


def cpu_milliseconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = smooth_images(arguments.batch)
    pictures = [image.permute(1, 2, 0).numpy() for image in images]
    tree = NearestNeighbors(algorithm="ball_tree").fit(ab_bins().double().numpy())
    print(f"{'neighbours':>10} {'authors, ms':>12} {'ours, ms':>9} {'ratio':>6} {'largest difference':>19}")
    for neighbours in (5, 10):
        difference = check(images, pictures, tree, neighbours)
        theirs, mine = [], []
        for _ in range(arguments.rounds):
            theirs.append(cpu_milliseconds(lambda k=neighbours: as_the_authors(pictures[0], tree, k)))
            mine.append(cpu_milliseconds(lambda k=neighbours: ours(images, k)) / len(images))
        reference, found = statistics.median(theirs), statistics.median(mine)
        print(
            f"{neighbours:>10} {reference:>12.2f} {found:>9.2f} {reference / found:>6.1f} {difference:>19.1e}"
        )


if __name__ == "__main__":
    main()
