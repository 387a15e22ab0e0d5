"""Peak memory of head and loss in a training step, against what the step needs without any logits.

    python benchmarks/colorization_memory.py

The floor is the network's forward and backward pass with the mean of its features as the loss: no head, no
logits, no targets. Ours adds the head of 313 classes with the soft-target loss in chunks; the dense way
materialises logits and targets. Tensor memory is counted exactly, by following every storage from birth to
death.
"""

import argparse
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vision_apps.applications.colorization.ab_bins import soft_encode
from vision_apps.applications.colorization.lab import rgb_to_ab, rgb_to_lightness
from vision_apps.applications.colorization.losses import soft_cross_entropy
from vision_apps.applications.colorization.zhang16 import Zhang16


class PeakMemory(TorchDispatchMode):
    """Bytes of the storages that live at once and were made inside the context."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self.peak = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._follow(leaf.untyped_storage())
        return result

    def _follow(self, storage: Any) -> None:
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self.held -= size


def without_logits(network: Zhang16, images: Tensor) -> Tensor:
    return network(rgb_to_lightness(images)).features.float().mean()


def in_chunks(network: Zhang16, images: Tensor) -> Tensor:
    features = network(rgb_to_lightness(images)).features
    target = soft_encode(rgb_to_ab(images, network.stride))
    entropy = soft_cross_entropy(features, network.head.weight, network.head.bias, target)
    return entropy.weighted / entropy.pixels


def dense(network: Zhang16, images: Tensor) -> Tensor:
    logits = network.head(network(rgb_to_lightness(images)).features).float()
    target = soft_encode(rgb_to_ab(images, network.stride))
    return F.cross_entropy(logits, torch.zeros_like(logits).scatter_(1, target.indices, target.weights))


def peak(loss: Callable[[Zhang16, Tensor], Tensor], network: Zhang16, images: Tensor) -> int:
    network.zero_grad(set_to_none=True)
    memory = PeakMemory()
    with memory:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss(network, images)
        value.backward()
    return memory.peak


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=float, default=1.0, help="of the network; 1 is the paper's")
    parser.add_argument(
        "--size", type=int, default=176, help="of the images, px; 176 in the paper's training"
    )
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    network = Zhang16(width=arguments.width).to(memory_format=torch.channels_last)
    images = torch.randint(0, 256, (arguments.batch, 3, arguments.size, arguments.size), dtype=torch.uint8)
    in_chunks(network, images[:1])  # makes the tables, which are no part of a step
    floor = peak(without_logits, network, images)
    print(f"{arguments.batch} images of {arguments.size} px, width {arguments.width:g}, bf16 autocast")
    print(f"{'':<28} {'peak, MiB':>10} {'to the floor':>13}")
    for name, loss in (
        ("no head, no loss (floor)", without_logits),
        ("ours", in_chunks),
        ("dense logits", dense),
    ):
        found = peak(loss, network, images)
        print(f"{name:<28} {found / 2**20:>10.1f} {found / floor:>13.3f}")


if __name__ == "__main__":
    main()
