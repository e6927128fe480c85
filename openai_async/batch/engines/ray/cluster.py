"""Connecting to a Ray cluster, or starting and stopping a local one."""

from __future__ import annotations

import logging
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import openai_async

from ....errors import InvalidArgumentError, OpenAIError

# Bytes of a local Ray's object store, which holds nothing but a few blocks of input. Ray's default
# is a third of the machine's memory.
OBJECT_STORE = 512 * 1024 * 1024
_QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}
# A resource that marks a local Ray: it ends with its run, so no other run may join it.
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
    """Connect this process to Ray; True if `disconnect` is to be called later. Blocking.

    An existing connection is used as it is. Otherwise this joins the cluster that `RAY_ADDRESS`
    names, or that this machine is part of, and sends it this package; the dependencies have to be
    installed there. Without a cluster it starts a local Ray, with all CPUs.

    Raises:
        OpenAIError: the cluster cannot be joined, or no local Ray started; it says why.
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
                object_store_memory=OBJECT_STORE,
                resources={MARK: 1},
                **_QUIET,
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        msg = f"Ray cannot be started: {error}"
        raise OpenAIError(msg) from error
    return True


def _join(ray: Any) -> bool:
    """Join a cluster; False if there is none.

    Raises:
        OSError, RuntimeError, ValueError, RayError: there is one that cannot be joined.
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
    """How many CPUs the cluster has, at least 1."""
    return max(1, int(require_ray().cluster_resources().get("CPU", 1)))
