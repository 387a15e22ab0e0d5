"""The parts of the training loss between two lines of the log."""

from collections.abc import Mapping
from typing import TypedDict

from torch import Tensor


class State(TypedDict):
    parts: dict[str, Tensor]
    steps: int


class RunningLosses:
    """Sums on the device: a log in each step costs more than a small network's step."""

    def __init__(self) -> None:
        self.latest: dict[str, Tensor] = {}  # of the last step, detached
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def add(self, parts: Mapping[str, Tensor]) -> None:
        """Scalars by name."""
        self.latest = {name: value.detach() for name, value in parts.items()}
        for name, value in self.latest.items():
            held = self._sums.get(name)
            self._sums[name] = value if held is None else held.to(value.device) + value
        self._steps += 1

    def means(self) -> dict[str, Tensor]:
        return {name: value / self._steps for name, value in self._sums.items()}

    def restart(self) -> None:
        self._sums, self._steps = {}, 0

    def state_dict(self) -> State:
        return {"parts": self._sums, "steps": self._steps}

    def load_state_dict(self, state: State) -> None:
        self._sums, self._steps = state["parts"], state["steps"]
