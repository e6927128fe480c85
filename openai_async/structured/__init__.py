"""Python types as JSON Schemas, and JSON as values of these types. No I/O.

    from openai_async.structured import Schema, make_converter, schema_of

`client.chat.completions.parse` is built on it. Use these names for types that have no schema of
their own, and to parse answers from elsewhere.
"""

from __future__ import annotations

from .answers import parsed
from .converter import make_converter
from .response_formats import ResponseFormat, response_format
from .schema import Schema, schema_of

__all__ = [
    "ResponseFormat",
    "Schema",
    "make_converter",
    "parsed",
    "response_format",
    "schema_of",
]
