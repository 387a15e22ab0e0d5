"""A loss that is not a number stops the run before it spoils anything."""

from pathlib import Path

import pytest
import torch
import toy_run

from vision_apps.core import engine
from vision_apps.core.errors import RunError

pytestmark = pytest.mark.usefixtures("toy")


@pytest.mark.parametrize("step", [0, 8])
def test_stops_with_the_batch_and_finite_weights(step: int) -> None:
    with pytest.raises(RunError) as caught:
        toy_run.train(Path("run"), module__poison=step)
    saved = Path(f"run/bad-batch-step-{step}.pt")
    assert str(caught.value) == (
        f"the loss is not finite at step {step}: loss=nan. The batch is saved in {saved}. "
        "Try a lower optimizer.lr, precision=32-true or trainer.gradient_clip_val=1"
    )
    batch = torch.load(saved, weights_only=True)
    assert {name: (values.shape, values.dtype) for name, values in batch.items()} == {
        "images": ((8, 3, 8, 8), torch.uint8),
        "labels": ((8,), torch.int64),
    }
    assert "the loss is not finite" in Path("run/log.txt").read_text()
    for path in Path("run/checkpoints").iterdir():
        weights = torch.load(path, weights_only=True)["state_dict"]
        assert all(values.isfinite().all() for values in weights.values())


class Lost:
    """The loss, which is none at the ninth training step."""

    def __init__(self) -> None:
        self.real = torch.nn.functional.cross_entropy
        self.steps = 0

    def __call__(self, outputs: torch.Tensor, *rest: object, **named: object) -> torch.Tensor:
        loss = self.real(outputs, *rest, **named)  # type: ignore[arg-type]
        self.steps += outputs.requires_grad
        return loss * torch.nan if self.steps == 9 else loss


def test_goes_on_from_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("torch.nn.functional.cross_entropy", Lost())
        with pytest.raises(RunError, match="not finite at step 8"):
            toy_run.train(Path("run"))
    assert toy_run.last(Path("run"))["global_step"] == 6
    engine.resume("run", [])
    toy_run.train(Path("whole"))
    toy_run.assert_same_training(Path("run"), Path("whole"))


@pytest.mark.filterwarnings("ignore:Encountered `nan` values")
def test_without_it_the_metrics_say_so() -> None:
    toy_run.train(Path("run"), module__poison=8, callbacks__finite=None, trainer__max_epochs=2)
    spoiled = {name for _, _, name, value in toy_run.rows(Path("run")) if value != value}
    assert spoiled == {"train/loss", "val/loss"}
