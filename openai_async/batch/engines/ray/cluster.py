"""Ray itself: the cluster that is there, or a local one; started and stopped."""

from __future__ import annotations

import logging
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import openai_async

from ....errors import InvalidArgumentError, OpenAIError

# Bytes of shared memory of a local Ray: a few blocks of input, which is all that is kept there.
# Ray's own default is a third of the machine's memory.
STORE = 512 * 1024 * 1024
_QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}
# A mark on such a Ray, which ends with its run: another run on this machine must not join it.
MARK = "openai_async_run"


def require_ray() -> Any:
    """The module `ray`, with `ray.data`.

    Raises:
        InvalidArgumentError: it is not installed.
    """
    try:
        import_module("ray.data")
        return import_module("ray")
    except ImportError as error:
        msg = 'engine="ray" needs Ray: pip install "openai_async[ray]".'
        raise InvalidArgumentError(msg) from error


def connect() -> bool:
    """See that Ray runs in this process; True if it was not there and must be stopped. Blocking.

    A Ray that this process is connected to is used as it is. Otherwise the cluster that
    `RAY_ADDRESS` names, or that this machine is part of: this package is sent to its nodes, which
    have to have what it depends on. Otherwise a local one, with all CPUs.

    Raises:
        OpenAIError: there is a cluster, or none could be started, and Ray says why.
    """
    ray = require_ray()
    if ray.is_initialized():
        return False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        if not _join(ray):
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=STORE,
                resources={MARK: 1},
                **_QUIET,
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        msg = f"Ray cannot be started: {error}"
        raise OpenAIError(msg) from error
    return True


def _join(ray: Any) -> bool:
    """Connect to a cluster; False if there is none.

    Raises:
        OSError, RuntimeError, ValueError, RayError: there is one, and it cannot be joined.
    """
    package = str(Path(openai_async.__file__).parent)
    try:
        ray.init(address="auto", runtime_env={"py_modules": [package]}, **_QUIET)
    except ConnectionError:
        if os.environ.get("RAY_ADDRESS"):
            raise
        return False
    if MARK in ray.cluster_resources():
        ray.shutdown()
        return False
    return True


def disconnect() -> None:
    """Stop the local Ray, or leave the cluster. Blocking."""
    require_ray().shutdown()


def cpus() -> int:
    """How many CPUs the cluster has, 1 at least."""
    return max(1, int(require_ray().cluster_resources().get("CPU", 1)))
