"""What holds around every test: its own empty folder to work in, the same seed, and nothing left behind.

A test that changes the environment, leaves a thread or process, or writes into the repository fails at
teardown. The guards ask for no fixture that tests use (``monkeypatch``): they have to be taken down after it.
"""

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).parents[1]
PATIENCE = 600  # s; only what is stuck takes so long, also on a busy machine

# One fake home per session, made before anything reads it; the workers of pytest-xdist inherit it. No
# account, netrc or user configuration of the machine can reach a test or a process that a test starts.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["HOME"] = tempfile.mkdtemp(prefix="vision-apps-home-")
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    os.environ["WANDB_SILENT"] = "true"
    os.environ["WANDB__SERVICE_WAIT"] = "600"  # s for its process to start; 30 are few on a busy machine
    for name in (
        "WANDB_API_KEY",
        "WANDB_MODE",
        "NETRC",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
    ):
        os.environ.pop(name, None)

# A shell that starts the tests in its background has Ctrl-C ignored; the processes of tests would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, no clock on a shared machine, and no folder of remembered failures. The
# fixtures below are set up once per test and not once per example, which none of them needs.
hypothesis.settings.register_profile(
    "house",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("house")

# Variables that a library sets for its own children: they are restored in silence.
SET_BY_LIBRARIES = ("PYTEST_", "PYTORCH_", "PL_", "WANDB_", "KMP_", "TORCHINDUCTOR_", "TRITON_", "CUDA_")
# Helpers that a library keeps until the interpreter exits.
KEPT_BY_LIBRARIES = ("wandb-core", "resource_tracker", "forkserver")


def pytest_unconfigure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def environment_restored() -> Iterator[None]:
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    os.environ.clear()
    os.environ.update(before)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    left = sorted(name for name in changed if not name.startswith(SET_BY_LIBRARIES))
    assert not left, f"the test left these environment variables changed: {', '.join(left)}"


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    threads, children = set(threading.enumerate()), child_processes()
    yield
    patience = time.monotonic() + PATIENCE  # loader workers and writers need a moment to end
    while left := running_since(threads, children):
        assert time.monotonic() < patience, f"the test left these running: {', '.join(left)}"
        time.sleep(0.02)


def running_since(threads: set[threading.Thread], children: dict[int, str]) -> list[str]:
    started = [thread.name for thread in set(threading.enumerate()) - threads if not thread.daemon]
    return started + [command for pid, command in child_processes().items() if pid not in children]


def child_processes() -> dict[int, str]:
    """Process id and command of our children, from /proc; elsewhere only those of multiprocessing."""
    known = {child.pid or 0: child.name for child in multiprocessing.active_children()}
    for listing in Path("/proc/self/task").glob("*/children"):
        for pid in map(int, listing.read_text().split()):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
            except OSError:  # it ended meanwhile
                continue
            if command and not any(kept in command for kept in KEPT_BY_LIBRARIES):  # a zombie has no command
                known[pid] = command
    return known


@pytest.fixture(autouse=True, scope="session")
def away_from_the_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fixtures of a module work here, before ``own_folder`` is made."""
    with contextlib.chdir(tmp_path_factory.mktemp("session")):
        yield


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path) -> Iterator[None]:
    """The working directory is empty and the test's own, and the repository's folders stay as they were."""
    before = folders_of_the_repository()
    with contextlib.chdir(tmp_path):
        yield
    made = folders_of_the_repository() - before
    assert not made, f"the test wrote into the repository: {', '.join(sorted(made))}"


def folders_of_the_repository() -> set[str]:
    return {
        entry.name for entry in os.scandir(REPOSITORY) if entry.is_dir() and not entry.name.startswith(".")
    }


@pytest.fixture(autouse=True)
def torch_restored() -> Iterator[None]:
    """A test brings default dtype, threads and gradient mode back itself; what a Trainer sets is put back."""
    strict = global_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    precision = torch.get_float32_matmul_precision()
    yield
    if torch.are_deterministic_algorithms_enabled() != deterministic:  # setting it imports the compiler: 3 s
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
    torch.set_float32_matmul_precision(precision)
    left = global_state()
    torch.set_default_dtype(strict["default dtype"])
    torch.set_num_threads(strict["threads"])
    torch.set_grad_enabled(strict["gradient mode"])
    assert left == strict, f"the test left torch changed: {left}, expected {strict}"


def global_state() -> dict:
    return {
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "gradient mode": torch.is_grad_enabled(),
    }


@pytest.fixture(autouse=True)
def same_seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
