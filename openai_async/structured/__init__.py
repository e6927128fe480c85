"""Python types as JSON Schemas, and JSON as values of these types. No I/O.

    from openai_async.structured import Schema, make_converter, schema_of

`client.chat.completions.parse` is built on it; these names are for types that need a hint.
"""

from __future__ import annotations

from .converter import make_converter
from .schema import Schema, schema_of

__all__ = ["Schema", "make_converter", "schema_of"]
