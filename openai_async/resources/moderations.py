"""`client.moderations`: https://platform.openai.com/docs/api-reference/moderations"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from ..errors import invalid_answer
from ..types.moderations import ModerationCreateParams, ModerationCreateResponse
from .base_client import Resource
from .endpoint import Endpoint
from .inputs import check_text, checked_list
from .params import sent_value
from .response_methods import Kind, Raw, Responses, Streaming, method

CREATE = Endpoint(
    "create", "POST", "/moderations", ModerationCreateParams, ModerationCreateResponse
)


class Moderations(Resource):
    """Finds harmful texts and pictures."""

    async def create(self, **params: Unpack[ModerationCreateParams]) -> ModerationCreateResponse:
        """Whether texts or pictures are harmful, and in what way.

        A list of texts has one result per text. A list of parts, such as `image_part(...)` for a
        picture, is one input and has one result.

        Raises:
            InvalidArgumentError: `input` is empty, or neither texts nor parts.
            TypeError: a parameter is missing or unknown.
            APIResponseValidationError: a result is missing.
            APIError: see `openai_async.errors`.

        Example::

            response = await client.moderations.create(input="I will hurt you.")
            if response.results[0].flagged:
                ...
        """
        CREATE.check(params)
        count = _count_results(sent_value(params, "input"))
        answer = await self._client._call(CREATE, params)
        known = [item for item in answer.results if (item._raw or {}).get("flagged") is not None]
        if len(known) != count:
            wanted = "1 was" if count == 1 else f"{count} were"
            msg = f"The answer has {len(known)} results where {wanted} expected."
            raise invalid_answer(msg, answer.meta)
        return answer

    @property
    def with_raw_response(self) -> ModerationResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return ModerationResponses(self, Raw)

    @property
    def with_streaming_response(self) -> ModerationResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return ModerationResponses(self, Streaming)


class ModerationResponses(Responses[Kind]):
    create = method(Moderations.create)


def _count_results(value: Any) -> int:
    """How many results a checked input should have."""
    if isinstance(value, str):
        check_text(value)
        return 1
    items = checked_list(value, _is_part, "a part like those of image_part(...)")
    return len(items) if isinstance(items[0], str) else 1


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) and "type" in value
