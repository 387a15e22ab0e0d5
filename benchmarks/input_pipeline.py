"""Images per second of the input pipeline at CIFAR size, against torchvision's per-sample PIL pipeline.

    python benchmarks/input_pipeline.py [--images 10240] [--rounds 7] [--batch 128]

Both deliver the same: batches of float32 [batch, 3, 32, 32], cropped at a random place after a padding of 4,
flipped with probability 1/2 and normalised, every image drawn once per pass in random order. The images are
generated. The variants take turns (A B C A B C ...), each pass over worker processes that are already
running; a ratio is taken within a round, so that what else the machine does touches both sides of it. One
thread per process.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from vision_apps.core.data import TensorSamples
from vision_apps.core.fields import Label, Pixels
from vision_apps.core.loader import BatchLoader
from vision_apps.data.augmentation.crops import Flip, RandomCrop
from vision_apps.data.labels.cifar import CIFAR10

MEAN, STD = CIFAR10.mean, CIFAR10.std
BASELINE = "PIL per sample, 2 workers"


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    labels: Annotated[Tensor, Label()]


class PilPerSample(Dataset):
    """What torchvision's own CIFAR10 does for each sample."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def per_sample(images: Tensor, labels: Tensor, batch: int, workers: int) -> Iterable:
    return DataLoader(
        PilPerSample(images, labels),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


class WholeBatches:
    """The loader of the project, then augmentation and normalisation of whole batches, as a run does it."""

    def __init__(self, images: Tensor, labels: Tensor, batch: int, mode: str) -> None:
        self.loader = BatchLoader(
            TensorSamples(images=images, labels=labels), Batch, batch_size=batch, shuffle=True
        )
        self.augment = (RandomCrop(padding=4, mode=mode), Flip())
        self.mean = torch.tensor(MEAN).view(3, 1, 1) * 255
        self.std = torch.tensor(STD).view(3, 1, 1) * 255
        self.epoch = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.epoch += 1
        self.loader.set_epoch(self.epoch)
        for batch in self.loader:
            for transform in self.augment:
                batch = transform(batch)
            yield (batch.images - self.mean).div_(self.std), batch.labels


def rate(batches: Iterable) -> float:
    """Images per second of one pass."""
    start, count = time.perf_counter(), 0
    for images, _ in batches:
        count += len(images)
    return count / (time.perf_counter() - start)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=10_240)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--batch", type=int, default=128)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (given.images, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(0, 10, (given.images,))
    make: dict[str, Callable[[], Iterable]] = {
        BASELINE: lambda: per_sample(images, labels, given.batch, 2),
        "PIL per sample, 0 workers": lambda: per_sample(images, labels, given.batch, 0),
        "whole batches, black border": lambda: WholeBatches(images, labels, given.batch, "constant"),
        "whole batches, mirrored border": lambda: WholeBatches(images, labels, given.batch, "reflect"),
    }
    variants = {name: build() for name, build in make.items()}
    for batches in variants.values():
        rate(batches)  # workers start, memory is touched
    rounds = [{name: rate(batches) for name, batches in variants.items()} for _ in range(given.rounds)]
    print(f"{'variant':32s}{'images/s':>12s}{'ratio':>8s}{'lowest':>8s}{'highest':>9s}")
    for name in variants:
        ratios = [figures[name] / figures[BASELINE] for figures in rounds]
        middle = statistics.median(figures[name] for figures in rounds)
        print(
            f"{name:32s}{middle:12,.0f}{statistics.median(ratios):8.1f}{min(ratios):8.1f}{max(ratios):9.1f}"
        )


if __name__ == "__main__":
    main()
