"""Pillow, imported when a picture first needs it: the rest of the server works without it."""

import importlib

from .responses import RefusedError


def load_pillow() -> None:
    """Make sure that Pillow can be imported; say what to install if it cannot."""
    try:
        importlib.import_module("PIL.Image")
    except ImportError as error:
        msg = "Pictures need Pillow: pip install pillow"
        raise RefusedError(501, msg, type="server_error", code="pillow_missing") from error
