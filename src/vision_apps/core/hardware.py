"""What this machine can do, and the fastest settings that do not change what is computed beyond rounding."""

import ctypes
import functools
import json
import os
import platform
import sys
from collections.abc import Callable
from typing import NamedTuple

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config

_KEEP_BYTES = 1 << 30  # freed, before glibc gives any back


class Settings(NamedTuple):
    """A run's settings without ``auto``."""

    precision: str  # as the Trainer takes it
    channels_last: bool
    keep_memory: bool
    reasons: tuple[str, ...]  # what was chosen, as key=value

    @property
    def chosen(self) -> Config:
        """As the configuration says them."""
        return {name: getattr(self, name) for name in ("precision", "channels_last", "keep_memory")}

    def with_reasons(self, chosen: Config) -> "Settings":
        """With more that was chosen, by dotted key."""
        told = (
            f"{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"
            for key, value in chosen.items()
        )
        return self._replace(reasons=(*self.reasons, *told))


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; without it bf16 autocast is slower than
    float32."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def require(config: Config | DictConfig) -> None:
    """Refuse what is not here, before anything is built: `ConfigError` where ``trainer.accelerator`` is a
    GPU, ``trainer.devices`` a list of them, or ``trainer.sync_batchnorm`` needs one, and torch sees none."""
    asked = config["trainer"].get("accelerator", "auto")
    if asked in ("gpu", "cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"trainer.accelerator: {asked}, but torch sees no GPU here; choose trainer=auto or trainer=cpu, "
            "or check the driver with nvidia-smi"
        )
    devices = config["trainer"].get("devices", "auto")
    if asked == "auto" and not isinstance(devices, int | str) and not torch.cuda.is_available():
        raise ConfigError(
            f"trainer.devices: {devices} names GPUs, but torch sees none here; choose a number of processes, "
            "as in trainer.devices=2"
        )
    if config["trainer"].get("sync_batchnorm") and (asked == "cpu" or not torch.cuda.is_available()):
        raise ConfigError(
            "trainer.sync_batchnorm: true, but torch joins the statistics of processes on GPUs only; leave "
            "it out on the CPU, where each process keeps its own"
        )


def resolve(config: Config) -> Settings:
    """Replace each ``auto`` among precision, channels_last and keep_memory; what the user set stays as it is.

    Measured on two cores of a Zen 5: bf16 with channels-last and kept memory trains a CNN of 98,602
    parameters 4.7 times and ResNet-18 2.8 times as fast as the defaults.
    """
    reasons = []
    accelerator = config["trainer"].get("accelerator", "auto")
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    fast = torch.cuda.is_bf16_supported() if on_gpu else cpu_has_bf16()
    precision, channels_last, keep_memory = (
        config[key] for key in ("precision", "channels_last", "keep_memory")
    )
    if precision == "auto":
        precision = "bf16-mixed" if fast else "32-true"
        reasons.append(f"precision={precision}")
    if channels_last == "auto":
        channels_last = fast
        reasons.append(f"channels_last={str(channels_last).lower()}")
    if keep_memory == "auto":
        keep_memory = not on_gpu and sys.platform == "linux"
        reasons.append(f"keep_memory={str(keep_memory).lower()}")
    return Settings(str(precision), bool(channels_last), bool(keep_memory), tuple(reasons))


def out_of_memory(error: Exception) -> bool:
    """Whether the device or the CPU had no memory left."""
    # neither torch's allocator of the CPU nor ONNX Runtime's has an exception of its own
    text = str(error)
    known = ("allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(part in text for part in known)


def depthwise_in_float32(network: nn.Module) -> None:
    """Let depthwise convolutions compute in float32 where the CPU computes the rest in bfloat16. Their
    backward pass is slow in bfloat16 and takes most of a mobile network's step
    (`benchmarks/depthwise.py`)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
            layer.forward = functools.partial(_in_float32, layer.forward)  # type: ignore[method-assign]


def _in_float32(forward: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    if not torch.is_autocast_enabled("cpu"):
        return forward(features)
    with torch.autocast("cpu", enabled=False):
        return forward(features.float())


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks instead of returning them to the kernel and faulting them in again at
    every step; call it before the first large tensor. Returns whether the C library took it."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, _KEEP_BYTES) and mallopt(top_pad, 64 << 20))


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, object]:
    """Processor, its cores that this process may use, GPUs and torch's threads, as plain data."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "cpu": model,
        "cpu_cores": cores(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
    }


def peak_memory(device: torch.device) -> int | None:
    """The most bytes that this process has held so far on ``device``; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # kB everywhere but there
