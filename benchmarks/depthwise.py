"""A training step of mobile networks on a CPU with bfloat16: depthwise convolutions in float32 or not.

    OMP_NUM_THREADS=1 python benchmarks/depthwise.py [--rounds 7] [--batch 16] [--size 192]

In one process the variants take turns with the same weights and pictures, after a round that is not counted;
every ratio is taken within a round. All are channels-last.

bf16     bfloat16 autocast
float32  no autocast
ours     bfloat16 autocast, depthwise convolutions in float32: what a run does
"""

import argparse
import contextlib
import copy
import statistics
import time

import timm
import torch

from vision_apps.core import hardware

NETWORKS = ("tf_efficientnet_lite0", "mobilenetv3_large_100", "resnet18")  # the last has none


def step(network: torch.nn.Module, pixels: torch.Tensor, bf16: bool) -> tuple[float, float]:
    """Seconds of a forward and a backward pass, and the loss."""
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext():
        loss = network(pixels).float().logsumexp(1).mean()
    loss.backward()
    return time.perf_counter() - began, loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=192)
    given = parser.parse_args()
    torch.manual_seed(0)
    pixels = torch.randn(given.batch, 3, given.size, given.size).contiguous(memory_format=torch.channels_last)
    print({**hardware.describe(), "torch": torch.__version__, **vars(given)})
    print(f"{'network':<24}{'variant':<10}{'ms':>8}{'to bf16':>10}   lowest to highest")
    for name in NETWORKS:
        plain = timm.create_model(name, num_classes=10).train().to(memory_format=torch.channels_last)
        variants = {variant: copy.deepcopy(plain) for variant in ("bf16", "float32", "ours")}
        hardware.depthwise_in_float32(variants["ours"])
        rounds = []
        for _ in range(given.rounds + 1):
            found = {which: step(network, pixels, which != "float32") for which, network in variants.items()}
            losses = [loss for _, loss in found.values()]
            if max(losses) - min(losses) > 0.02:
                raise SystemExit(f"{name}: the variants do not agree: {losses}")
            rounds.append({which: seconds for which, (seconds, _) in found.items()})
        for which in variants:
            ratios = [seconds["bf16"] / seconds[which] for seconds in rounds[1:]]
            took = 1000 * statistics.median(seconds[which] for seconds in rounds[1:])
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(
                f"{name:<24}{which:<10}{took:>8.0f}{statistics.median(ratios):>10.2f}   {spread}", flush=True
            )


if __name__ == "__main__":
    main()
