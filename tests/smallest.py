"""Commands at the smallest size: the words that make it, and trials of a sweep without own processes."""

import contextlib
from pathlib import Path

from vision_apps.cli import main

SMALLEST = [
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=1",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "data.limit_train=8",
    "data.limit_val=4",
    "data.limit_test=4",
    "data.batch_size=4",
    "logger=csv",
]
WORLD = ["data.train_images=8", "data.val_images=4", "data.test_images=4"]  # the embedded one, every default


class Within:
    """A trial of a sweep in this process, which has torch already: one of its own takes five times longer."""

    def __init__(self, command: list[str], output: Path, slots: int, gpus: list[str] | None) -> None:
        assert command[1:4] == ["-m", "vision_apps", "train"]
        with open(output, "a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            self.status = main(command[3:])
        self.output = output

    def ended(self) -> bool:
        return True

    def stop(self, now: bool = False) -> None: ...

    def error(self) -> str:
        return f"exit status {self.status}\n{self.output.read_text()}"
