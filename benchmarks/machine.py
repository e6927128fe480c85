"""What the benchmarks ask of the machine: cores, memory, file descriptors, its name."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Container
from importlib import metadata
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_FILES = 10_000
_PACKAGES = (
    *("openai_async", "aiohttp", "attrs", "cattrs", "orjson", "msgspec", "uvloop"),
    *("openai", "httpx2", "httpx", "pydantic", "wreq", "pyreqwest"),
)

has_proc = _STATUS.exists() and _CLEAR.exists()


def pin(core: int) -> None:
    """Keep this process on one core, counted from the first (0) or the last (-1).

    Clients and server then never share one, where there are two.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) >= 2:
        os.sched_setaffinity(0, {cores[core]})


def allow_many_files() -> None:
    """5,000 streams need more descriptors than the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def cpu_seconds() -> float:
    """What this process has used so far, in user mode and in the kernel."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory() -> int:
    """Resident bytes now."""
    return _status("VmRSS")


def peak_memory() -> int:
    """The most resident bytes since `reset_peak`."""
    return _status("VmHWM")


def reset_peak() -> None:
    _CLEAR.write_text("5")  # see proc(5): 5 sets the high-water mark to what there is now


def _status(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    msg = f"{_STATUS} has no {name}"
    raise RuntimeError(msg)


def describe() -> str:
    """Processor, cores, system and Python, in one line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), cpu)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, {python}"


def versions(packages: Container[str]) -> dict[str, str]:
    """Those of these packages that matter for the figures, as far as they are installed."""
    found = {}
    for name in _PACKAGES:
        if name not in packages:
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
