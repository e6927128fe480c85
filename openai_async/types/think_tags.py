"""The option `think_tags`: whether a `<think>` block is split off a text."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ..errors import InvalidArgumentError
from .reasoning import ThinkTags

ThinkTagsOption: TypeAlias = bool | Literal["opened"]
"""How `<think>...</think>` is split off: `"opened"` if the prompt already has the `<think>`."""


def tags_for(option: ThinkTagsOption) -> ThinkTags:
    """The splitter for the text of a stream.

    Raises:
        InvalidArgumentError: there is no such option.
    """
    if option not in (True, "opened"):
        msg = f'think_tags is {option!r}: pass True, "opened" or False.'
        raise InvalidArgumentError(msg)
    return ThinkTags(opened=option == "opened")
