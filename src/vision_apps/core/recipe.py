"""How long a run trains, how often it validates and tells, where the configuration leaves that to the data:
``auto``."""

from vision_apps.core.data import VisionData
from vision_apps.core.loader import training_batches
from vision_apps.core.plain import Config

EPOCHS = 10  # that `auto` trains at least
_LOGGED = 50  # steps between two lines of the log, at most
_POINTS = 30  # of a curve, where there are as many steps
_VALIDATIONS = 30  # at most, of a run whose length is auto: epochs of a few pictures are many


def settle(config: Config, data: VisionData, knows: bool, least_steps: int) -> Config:
    """Replace each ``auto`` of the trainer in ``config``; returns what was chosen, by dotted key.

    Steps, and not epochs, decide what a network has learned: a small data set is seen more often.

    Args:
        knows: the network is measured before the first step, too.
        least_steps: that are taken, however few samples there are.
    """
    trainer = config["trainer"]
    steps = steps_per_epoch(config, data)
    chosen: Config = {}
    every = 1  # epochs to a validation
    asked = trainer.get("max_steps", -1)
    if trainer.get("max_epochs") == "auto":
        epochs = -(-asked // steps) if asked > 0 else max(EPOCHS, -(-least_steps // steps))
        if trainer.get("check_val_every_n_epoch") == "auto":
            every = -(-epochs // _VALIDATIONS)
        # whose end are its steps goes on when more of them are given
        chosen["max_epochs"] = -1 if asked > 0 else epochs
    if every > 1:
        chosen["check_val_every_n_epoch"] = every
    elif trainer.get("check_val_every_n_epoch") == "auto":
        trainer["check_val_every_n_epoch"] = every  # as usual, and not worth a word
    if trainer.get("log_every_n_steps") == "auto":
        epochs = chosen.get("max_epochs", trainer.get("max_epochs"))
        total = steps * epochs if epochs and epochs > 0 else asked
        chosen["log_every_n_steps"] = min(_LOGGED, max(1, total // _POINTS)) if total > 0 else _LOGGED
    if trainer.get("num_sanity_val_steps") == "auto":
        trainer["num_sanity_val_steps"] = -1 if knows else 0  # told by a line of its own
    trainer |= chosen
    return {f"trainer.{name}": value for name, value in chosen.items()}


def steps_per_epoch(config: Config, data: VisionData) -> int:
    """Optimisation steps of one epoch, at least 1."""
    trainer, samples = config["trainer"], len(data.samples("train"))
    batches = training_batches(samples, min(data.batch_size, samples), data.remainder)
    limit = trainer.get("limit_train_batches")
    if isinstance(limit, int):
        batches = min(batches, limit)
    elif limit is not None:
        batches = int(batches * limit)
    return max(1, -(-batches // trainer.get("accumulate_grad_batches", 1)))
