"""Types of parameters that several APIs share, named as in `openai.types.shared_params`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from .chat_option_params import (
    FunctionDefinition,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatText,
)
from .official_chat_names import ChatCompletionReasoningEffort as ReasoningEffort

__all__ = [
    "FunctionDefinition",
    "FunctionParameters",
    "Metadata",
    "ReasoningEffort",
    "ResponseFormatJSONObject",
    "ResponseFormatJSONSchema",
    "ResponseFormatText",
]

FunctionParameters: TypeAlias = Mapping[str, object]
"""A JSON Schema."""
Metadata: TypeAlias = Mapping[str, str]
