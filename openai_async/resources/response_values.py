"""`response.parse(to=...)`: the body of a response as a value of any type."""

from __future__ import annotations

from typing import Any

from ..errors import invalid_answer
from ..http.request import Response
from ..structured.decoding import Decoder, MisfitError
from ..structured.kinds import name_of
from ..types.base import APIResponse
from ..wire.codec import parse
from ..wire.redaction import redacted


def value_of(response: Response, kind: Any) -> Any:
    """The body as a `kind`: for `str` its text, for any other type the value of its JSON.

    Raises:
        APIResponseValidationError: it is not JSON, or not of this type.
    """
    if kind is str:
        return response.text()
    if isinstance(kind, type) and issubclass(kind, APIResponse):
        return parse(kind, response.body, response.meta, response.secret)
    try:
        return Decoder[Any](kind, wrapped=False).decode(response.text(), response.secret)
    except MisfitError as misfit:
        msg = f"The answer does not match {name_of(kind)}: {misfit}."
        text = redacted(response.text(), response.secret)
        raise invalid_answer(msg, response.meta, text) from misfit
