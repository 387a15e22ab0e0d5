"""Images per second of our training against a loop written by hand: same network, data, optimiser and batch.

    python benchmarks/training_step.py [--rounds 5] [--network cnn resnet18]

Each measurement is a process of its own (the allocator's setting belongs to a process); the variants take
turns, the first steps are not counted, and every ratio is taken within a round.

hand    a plain PyTorch loop with PyTorch's defaults: float32, contiguous
kept    the same loop in a process whose C library keeps freed memory
ours    the engine with the same defaults, all callbacks, files and logging on, memory kept as well
preset  the engine as `trainer=auto` sets it on this machine

The engine is measured against the loop that keeps its memory too: without that, the CNN faults in about
200,000 pages at each step, and how long the kernel takes for them changes by a third from one process to the
next, with either loop.
"""

import argparse
import json
import statistics
import tempfile
import time
from typing import Any

from timing.workers import figure, train_with

SETTINGS = {  # network: (model of the configuration, batch, counted steps, steps before them)
    "cnn": ("classification_cnn", 512, 20, 5),
    "resnet18": ("classification_resnet18", 128, 6, 2),
}
AGAINST = {
    "hand": "hand",
    "kept": "hand",
    "ours": "kept",
    "preset": "hand",
}  # variant: what it is compared with
KEPT = {"MALLOC_TRIM_THRESHOLD_": str(16 << 30), "MALLOC_MMAP_THRESHOLD_": str(16 << 30)}  # mallopt(3)


def _config(network: str, variant: str, folder: str) -> Any:
    from vision_apps.core.config import compose

    model, batch, steps, warm = SETTINGS[network]
    plain = ["precision=32-true", "channels_last=false", "keep_memory=false"] if variant != "preset" else []
    return compose.compose(
        [
            "task=classification",
            f"model={model}",
            "data=classification_scenes",
            "data.image_size=32",
            "data.augment=null",
            f"data.train_images={batch * (steps + warm)}",
            "data.val_images=8",
            "data.test_images=8",
            f"data.batch_size={batch}",
            "optimizer=sgd",
            "scheduler=constant",
            "trainer.max_epochs=1",
            "logger=csv",
            "test=false",
            f"run.root={folder}",
            *plain,
        ]
    )


def _engine(network: str, variant: str) -> float:
    import pytorch_lightning as pl

    _, batch, steps, warm = SETTINGS[network]
    times = []

    class Clock(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        train_with(Clock(), _config(network, variant, folder))
    return batch * steps / (times[warm + steps - 1] - times[warm - 1])


def _hand(network: str) -> float:
    import torch
    from omegaconf import OmegaConf

    from vision_apps.core import assembly
    from vision_apps.core.config.fine_tuning import without_rates

    _, batch, steps, warm = SETTINGS[network]
    config: Any = OmegaConf.to_container(_config(network, "hand", "unused"), resolve=True)
    data = assembly.build_data(config)
    samples = data.load("train", ("images", "labels"))
    images, labels = samples.fields["images"], samples.fields["labels"]
    mean = torch.tensor(data.facts["mean"]).view(-1, 1, 1)
    std = torch.tensor(data.facts["std"]).view(-1, 1, 1)
    model = assembly.build_module(config, data.facts, trainable=False).network.train()
    optimizer = torch.optim.SGD(
        model.parameters(),
        **{k: v for k, v in without_rates(config["optimizer"]).items() if not k.startswith("_")},
    )
    order = torch.randperm(len(images))
    for step in range(warm + steps):
        if step == warm:
            started = time.perf_counter()
        rows = order[step * batch : (step + 1) * batch]
        inputs = (images[rows].float() / 255 - mean) / std
        loss = torch.nn.functional.cross_entropy(model(inputs), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return batch * steps / (time.perf_counter() - started)


def _measure(network: str, variant: str) -> float:
    memory = KEPT if variant in ("kept", "ours") else {}
    return figure([__file__, "--worker", network, variant], memory)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--worker", nargs=2, metavar=("NETWORK", "VARIANT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        network, variant = arguments.worker
        print(json.dumps(_hand(network) if variant in ("hand", "kept") else _engine(network, variant)))
        return
    print(f"{'network':10}{'variant':10}{'images/s':>10}{'ratio':>8}{'lowest to highest':>20}  against")
    for network in arguments.network:
        rounds = [{v: _measure(network, v) for v in AGAINST} for _ in range(arguments.rounds)]
        for variant, other in AGAINST.items():
            rate = statistics.median(r[variant] for r in rounds)
            ratios = sorted(r[variant] / r[other] for r in rounds)
            span = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
            print(
                f"{network:10}{variant:10}{rate:10,.0f}{statistics.median(ratios):8.3f}{span:>20}  {other}",
                flush=True,
            )


if __name__ == "__main__":
    main()
