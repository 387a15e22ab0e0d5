"""What a command does about a machine that others use, too, before torch is loaded and looks."""

import os
import sys
from collections.abc import MutableMapping, Sequence

_COMPUTE = ("train", "tune", "sweep", "test", "predict", "export", "choose", "serve")
_POLICY = "OMP_WAIT_POLICY"
_SAID = (_POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # each says how threads wait
_FEW = 2  # times the cores: from this load on it is told


def prepare(
    words: Sequence[str], load: float, cores: int, environment: MutableMapping[str, str] = os.environ
) -> str:
    """Where more runs than there are cores, let threads that wait for each other sleep and not spin, unless
    the environment says how they wait (`benchmarks/waiting.py`). What the person who computes then should
    know, or nothing."""
    if not words or words[0] not in _COMPUTE or "--help" in words or "-h" in words:
        return ""
    if load > cores and not any(name in environment for name in _SAID):
        environment[_POLICY] = "PASSIVE"
    if load <= _FEW * cores or "--replay" in words:  # of which another process has told
        return ""
    fewer = "" if environment.get("OMP_NUM_THREADS") == "1" else "OMP_NUM_THREADS=1 before the command, or "
    return (
        f"busy      the load average is {load:.0f}, and this process may use {cores} "
        f"core{'s' * (cores > 1)}: it takes several times as long as alone; what helps: {fewer}waiting until "
        "others have ended"
    )


def look(words: Sequence[str]) -> None:
    """`prepare` for this machine as it is now."""
    if hasattr(os, "getloadavg"):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if told := prepare(words, os.getloadavg()[0], cores):
            print(told, file=sys.stderr, flush=True)
