"""Images per second of our training against a loop written by hand: same network, data, optimiser and batch.

    python benchmarks/training_step.py [--rounds 5] [--network cnn resnet18]

Each measurement is a process of its own (the allocator's setting belongs to a process); the variants take
turns, the first steps are not counted, and the ratio is taken within each round.

hand    a plain PyTorch loop with PyTorch's defaults: float32, contiguous
ours    the engine with the same defaults: float32, contiguous, memory not kept, all callbacks, files and
logging on
preset  the engine as `trainer=auto` sets it on this machine
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

SETTINGS = {  # network: (model of the configuration, batch, counted steps, steps before them)
    "cnn": ("classification_cnn", 512, 20, 5),
    "resnet18": ("classification_resnet18", 128, 6, 2),
}
VARIANTS = ("hand", "ours", "preset")


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

    from vision_apps.core import engine

    _, batch, steps, warm = SETTINGS[network]
    times = []

    class Clock(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            times.append(time.perf_counter())

    build_trainer = engine._trainer

    def with_clock(*arguments: Any) -> pl.Trainer:
        trainer = build_trainer(*arguments)
        trainer.callbacks.append(Clock())
        return trainer

    engine._trainer = with_clock
    with tempfile.TemporaryDirectory() as folder:
        engine.train(_config(network, variant, folder))
    return batch * steps / (times[warm + steps - 1] - times[warm - 1])


def _hand(network: str) -> float:
    import torch
    from omegaconf import OmegaConf

    from vision_apps.core import assembly

    _, batch, steps, warm = SETTINGS[network]
    config: Any = OmegaConf.to_container(_config(network, "hand", "unused"), resolve=True)
    data = assembly.build_data(config)
    samples = data.load("train", ("images", "labels"))
    images, labels = samples.fields["images"], samples.fields["labels"]
    mean = torch.tensor(data.facts["mean"]).view(-1, 1, 1)
    std = torch.tensor(data.facts["std"]).view(-1, 1, 1)
    model = assembly.build_module(config, data.facts, trainable=False).network.train()
    optimizer = torch.optim.SGD(
        model.parameters(), **{k: v for k, v in config["optimizer"].items() if not k.startswith("_")}
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
    done = subprocess.run(
        [sys.executable, __file__, "--worker", network, variant], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout.splitlines()[-1]))


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
        print(json.dumps(_hand(network) if variant == "hand" else _engine(network, variant)))
        return
    print(f"{'network':10}{'variant':10}{'images/s':>12}{'ratio to hand (median of rounds)':>36}")
    for network in arguments.network:
        rounds = [{v: _measure(network, v) for v in VARIANTS} for _ in range(arguments.rounds)]
        for variant in VARIANTS:
            rate = statistics.median(r[variant] for r in rounds)
            ratio = statistics.median(r[variant] / r["hand"] for r in rounds)
            print(f"{network:10}{variant:10}{rate:12,.0f}{ratio:36.3f}", flush=True)


if __name__ == "__main__":
    main()
