"""Images per second of torchvision's Faster R-CNN in our framework and in a loop as torchvision has it.

    python benchmarks/faster_rcnn_step.py [--rounds 5] [--batch 8] [--steps 8]

Each measurement is a process of its own; the variants take turns, the first steps are not counted, and the
ratio is taken within each round. Network (MobileNetV3 with a feature pyramid, from nothing), first weights,
pictures (the generated world, 96 px, no augmentation), batch, optimiser, float32 and threads are the same.

hand    a plain loop as in torchvision's reference: lists of pictures and of targets, its own transform
        (which normalises, and has nothing to resize), the sum of the losses, its background from 1
ours    the engine with the same settings: all callbacks, files and logging on
preset  the engine as `trainer=auto` sets it on this machine

tests/applications/detection/test_torchvision_models.py holds the losses of both against each other.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from typing import Any

from timing.workers import figure, train_with

VARIANTS = ("hand", "ours", "preset")
WARM = 3  # steps before the counted ones
SIZE = 96


def _config(variant: str, batch: int, steps: int, folder: str) -> Any:
    from vision_apps.core.config import compose

    plain = ["precision=32-true", "channels_last=false", "keep_memory=false"] if variant != "preset" else []
    return compose.compose(
        [
            "task=detection",
            "model=detection_faster_rcnn_torchvision",
            "data=detection_scenes",
            f"data.image_size={SIZE}",
            "data.augment=null",
            f"data.train_images={batch * (steps + WARM)}",
            "data.val_images=1",
            "data.test_images=1",
            f"data.batch_size={batch}",
            "optimizer=sgd",
            "optimizer.lr=1e-3",
            "scheduler=constant",
            "trainer.max_epochs=1",
            "logger=csv",
            "test=false",
            f"run.root={folder}",
            *plain,
        ]
    )


def _engine(variant: str, batch: int, steps: int) -> float:
    import pytorch_lightning as pl

    times = []

    class Clock(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        train_with(Clock(), _config(variant, batch, steps, folder))
    return batch * steps / (times[WARM + steps - 1] - times[WARM - 1])


def _hand(batch: int, steps: int) -> float:
    import torch
    from omegaconf import OmegaConf
    from torchvision.models.detection.transform import GeneralizedRCNNTransform

    from vision_apps.core import assembly
    from vision_apps.core.config.fine_tuning import without_rates
    from vision_apps.core.seeding import seed_everything

    config: Any = OmegaConf.to_container(_config("hand", batch, steps, "unused"), resolve=True)
    seed_everything(config["seed"])
    data = assembly.build_data(config)
    fields = data.load("train", ("images", "boxes", "box_labels")).fields
    model: Any = assembly.build_module(config, data.facts, trainable=False).network
    model = model.model.train()
    model.transform = GeneralizedRCNNTransform(SIZE, SIZE, data.facts["mean"], data.facts["std"])
    optimizer = torch.optim.SGD(
        model.parameters(),
        **{k: v for k, v in without_rates(config["optimizer"]).items() if not k.startswith("_")},
    )
    order = torch.randperm(len(fields["images"]))
    for step in range(WARM + steps):
        if step == WARM:
            started = time.perf_counter()
        rows = order[step * batch : (step + 1) * batch]
        images = [fields["images"][row].float() / 255 for row in rows]
        targets = [
            {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0] + 1}
            for boxes, labels in zip(fields["boxes"][rows], fields["box_labels"][rows], strict=True)
        ]
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return batch * steps / (time.perf_counter() - started)


def _measure(variant: str, batch: int, steps: int) -> float:
    return figure([__file__, "--worker", variant, "--batch", str(batch), "--steps", str(steps)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--worker", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    batch, steps = arguments.batch, arguments.steps
    if arguments.worker == "hand":
        print(json.dumps(_hand(batch, steps)))
        return
    if arguments.worker:
        print(json.dumps(_engine(arguments.worker, batch, steps)))
        return
    import torch

    threads = os.environ.get("OMP_NUM_THREADS", str(torch.get_num_threads()))
    print(f"{platform.processor() or platform.machine()}, {threads} threads, torch {torch.__version__}")
    print(
        f"batch {batch}, {SIZE} x {SIZE} px, {steps} steps in each of {arguments.rounds} rounds", flush=True
    )
    rounds = []
    for number in range(1, arguments.rounds + 1):
        rounds.append({v: _measure(v, batch, steps) for v in VARIANTS})
        rates = ", ".join(f"{name} {rate:.2f}" for name, rate in rounds[-1].items())
        print(f"round {number}: {rates} images/s", flush=True)
    print(f"{'':10}{'images/s':>10}{'ratio to hand: median':>24}{'smallest':>10}{'largest':>10}")
    for variant in VARIANTS:
        ratios = [r[variant] / r["hand"] for r in rounds]
        rate = statistics.median(r[variant] for r in rounds)
        print(
            f"{variant:10}{rate:10.2f}{statistics.median(ratios):24.3f}{min(ratios):10.3f}{max(ratios):10.3f}"
        )


if __name__ == "__main__":
    main()
