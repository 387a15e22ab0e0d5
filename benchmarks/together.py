"""How much faster questions are answered by picture, and pictures are captioned in a batch, than one by one.

    python benchmarks/together.py [--rounds 5] [--pictures 64] [--threads 1] [--words 'task=vqa model=...']

Questions: those about a picture together, which is looked at once, against as many pictures with a question
each, in batches as large and one at a time; in evaluation and in training (loss and gradients). Goal: 3 times
the questions per second.

Captions: a search of five beams for all pictures together against one picture after the other, with the
backbone and without. Goal: 10 times the pictures per second; on one processor core a batch saves what each
step costs beside its arithmetic, and no more. The search of the small networks reaches it. Their backbone's
arithmetic takes as long in a batch and is a third of the whole there, a pretrained one's nearly all:
README.md has the least that remains.

Networks of random weights on the generated world. Ways take turns and a ratio is taken within a round; of
processor time, which other work on the machine hardly moves, with that of wall time beside it.
"""

import argparse
import platform
import statistics
import time
import timeit
from collections.abc import Callable, Sequence
from typing import Any

import torch
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from timing.turns import Turns
from vision_apps.core.hardware import keep_freed_memory

QUESTIONS = 8  # of a picture
VQA = (
    "task=vqa",
    "task=vqa model=pretrained model.backbone.weights=null data.image_size=192",
    "task=vqa model=mcan_tiny",
)
CAPTIONING = (
    "task=captioning",
    "task=captioning model=transformer",
    "task=captioning model=pretrained model.backbone.weights=null data.image_size=192",
)


def assembled(words: Sequence[str], pictures: int) -> tuple[Any, Any]:
    """A module of random weights and a batch of test pictures."""
    from vision_apps.core import assembly
    from vision_apps.core.config.compose import compose
    from vision_apps.core.loader import BatchLoader

    torch.manual_seed(0)
    few = ["data.train_images=8", "data.val_images=4", f"data.test_images={pictures}"]
    config: Any = OmegaConf.to_container(compose([*words, *few]), resolve=True)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts, trainable=False).eval()
    if config["channels_last"] is True:
        module.network.to(memory_format=torch.channels_last)
    data.batch_type = module.batch_type
    return module, next(iter(BatchLoader(data.samples("test"), data.batch_type, batch_size=pictures)))


def questions(words: Sequence[str], pictures: int, rounds: int) -> None:
    """Print a line for evaluation and one for training."""
    from vision_apps.core.fields import one_by_one, replaced
    from vision_apps.core.losses import values

    module, batch = assembled([*words, f"data.questions={QUESTIONS}"], pictures)
    asked = (batch.questions != 0).any(-1)
    single = replaced(batch, lambda field: field)._replace(
        images=batch.images.repeat_interleave(asked.sum(1), 0),
        questions=batch.questions[asked][:, None],
        answers=batch.answers[asked][:, None],
        question_types=batch.question_types[asked][:, None],
        **dict.fromkeys(("other_images", "other_answers")),
    )
    batch = batch._replace(other_images=None, other_answers=None)
    alone, count = one_by_one(single), int(asked.sum())

    def answer(*batches: Any) -> list[Any]:
        with torch.inference_mode():
            return [module(module.inputs(one)).probabilities for one in batches]

    def learn(*batches: Any) -> float:
        module.zero_grad()
        total = 0.0
        for one in batches:
            loss = values(module.loss(module.training_outputs(one), one))["loss"]
            loss.backward()
            total += float(loss.detach())
        return total

    (together,), (each,) = answer(batch), answer(single)
    torch.testing.assert_close(together[asked], each[:, 0], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(torch.cat(answer(*alone)), each, atol=1e-4, rtol=1e-3)
    table("answered", count, Turns({
        "together": lambda: answer(batch), "a picture each": lambda: answer(single),
        "one by one": lambda: answer(*alone),
    }, rounds))  # fmt: skip
    module.train()
    table("learned", count, Turns({
        "together": lambda: learn(batch), "a picture each": lambda: learn(single),
        "one by one": lambda: learn(*alone),
    }, rounds))  # fmt: skip


def captions(words: Sequence[str], pictures: int, rounds: int) -> None:
    """Print a line for the whole and one for the search alone."""
    from vision_apps.core.fields import one_by_one

    module, batch = assembled([*words, "module.beam_width=5", "module.best=5"], pictures)
    inputs = module.inputs(batch)
    alone = one_by_one(inputs)

    def whole(*batches: Any) -> Any:
        with torch.inference_mode():
            return torch.cat([module(one).words for one in batches])

    with torch.inference_mode():
        seen = [module._seen(one) for one in (inputs, *alone)]

    def search(*kept: Any) -> None:
        with torch.inference_mode():
            for one in kept:
                module._searched(one)

    same = (whole(inputs)[:, 0] == whole(*alone)[:, 0]).all(-1).float().mean()
    print(f"  {float(same):.0%} of the best captions are the same to the word")
    table("captioned", pictures, Turns({
        "together": lambda: whole(inputs), "one by one": lambda: whole(*alone),
    }, rounds))  # fmt: skip
    table("searched alone", pictures, Turns({
        "together": lambda: search(seen[0]), "one by one": lambda: search(*seen[1:]),
    }, rounds))  # fmt: skip
    with torch.no_grad():
        least("the backbone", lambda: module._seen(inputs), pictures)
        least("the search", lambda: module._searched(seen[0]), pictures)


def least(what: str, run: Callable[[], object], pictures: int) -> None:
    """Print how long the products of matrices and convolutions of a picture would take at the speed of one
    large product: what no batch can save."""
    with FlopCounterMode(display=False) as counter:
        run()
    work = counter.get_total_flops() / pictures
    matrix = torch.rand(1024, 1024)
    seconds = min(timeit.repeat(lambda: matrix @ matrix, number=1, repeat=20, timer=time.process_time))
    speed = 2 * 1024**3 / seconds
    print(
        f"    {what} of a picture: {work / 1e6:.0f} million operations, {1e3 * work / speed:.2f} ms at least"
    )


def table(done: str, count: int, turns: Turns) -> None:
    speeds = {name: count / statistics.median(seconds) for name, seconds in turns.processor.items()}
    print(f"  {done}, per processor second: " + ", ".join(f"{k} {v:.1f}" for k, v in speeds.items()))
    for name in [name for name in speeds if name != "together"]:
        wall = turns.ratio(name, "together", processor=False)
        print(f"    together against {name}: {turns.ratio(name, 'together')} times; by the clock {wall}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--pictures", type=int, default=64, help="to caption; an eighth of them are asked about"
    )
    parser.add_argument("--threads", type=int, default=1, help="of which one by one makes less use")
    parser.add_argument("--words", action="append", help="one configuration in place of those measured here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()  # as predict has it

    machine = platform.processor() or platform.machine()
    print(f"{machine}, {given.threads} thread(s), torch {torch.__version__}")
    for line in given.words or (*VQA, *CAPTIONING):
        print(line, flush=True)
        if "task=vqa" in line.split():
            questions(line.split(), max(1, given.pictures // QUESTIONS), given.rounds)
        else:
            captions(line.split(), given.pictures, given.rounds)


if __name__ == "__main__":
    main()
