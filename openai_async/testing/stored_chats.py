"""The chat completions that were requested with `"store": true`, and their messages."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import attrs

from . import checks
from .listing import page_of
from .responses import RefusedError, invalid

# A test needs a few; a server that runs for days must not keep them all.
_CAPACITY = 10_000


@attrs.frozen
class _Chat:
    completion: dict[str, Any]
    messages: list[dict[str, Any]]


class ChatStore:
    """The latest stored completions by id; storing a new one may drop the oldest."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._chats: OrderedDict[str, _Chat] = OrderedDict()

    def put(self, completion: dict[str, Any], request: Mapping[str, Any]) -> None:
        """Store a completion with the request that led to it."""
        completion_id = completion["id"]
        metadata = checked_metadata(request)
        messages = [
            _message(f"{completion_id}-{place}", message)
            for place, message in enumerate(request.get("messages") or ())
            if isinstance(message, dict)
        ]
        self._chats[completion_id] = _Chat({**completion, "metadata": metadata}, messages)
        while len(self._chats) > self._capacity:
            self._chats.popitem(last=False)

    def get(self, completion_id: str) -> dict[str, Any]:
        return self._chat(completion_id).completion

    def update(self, completion_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        completion = self.get(completion_id)
        if "metadata" not in body:
            raise checks.missing("metadata")
        completion["metadata"] = checked_metadata(body)
        return completion

    def delete(self, completion_id: str) -> dict[str, Any]:
        self._chat(completion_id)
        del self._chats[completion_id]
        return {"object": "chat.completion.deleted", "id": completion_id, "deleted": True}

    def list(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The completions with the model and the metadata (`metadata[key]=value`) of a query."""
        wanted = {
            name.removeprefix("metadata[").removesuffix("]"): value
            for name, value in query.items()
            if name.startswith("metadata[")
        }
        model = query.get("model")
        found = [
            chat.completion
            for chat in self._chats.values()
            if model in (None, chat.completion["model"])
            and wanted.items() <= (chat.completion["metadata"] or {}).items()
        ]
        return page_of(found, query)

    def messages(self, completion_id: str, query: Mapping[str, str]) -> dict[str, Any]:
        return page_of(self._chat(completion_id).messages, query)

    def _chat(self, completion_id: str) -> _Chat:
        try:
            return self._chats[completion_id]
        except KeyError:
            msg = f"Chat completion '{completion_id}' not found: was it created with store=True?"
            raise RefusedError(404, msg, param="completion_id", code="not_found") from None


def checked_metadata(body: Mapping[str, Any]) -> dict[str, str] | None:
    """The metadata, within the API's limits: 16 keys of 64 characters, with values of 512."""
    metadata = body.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        msg = "Invalid type for 'metadata': expected an object."
        raise invalid(msg, "metadata", "invalid_type")
    if len(metadata) > 16:
        msg = f"Invalid 'metadata': at most 16 keys, got {len(metadata)}."
        raise invalid(msg, "metadata", "object_above_max_properties")
    for key, value in metadata.items():
        name = f"metadata.{key}"
        if not isinstance(value, str):
            raise invalid(f"Invalid type for '{name}': expected a string.", name, "invalid_type")
        if len(key) > 64 or len(value) > 512:
            msg = f"Invalid '{name}': keys may have at most 64 characters, and values 512."
            raise invalid(msg, name, "string_above_max_length")
    return metadata


def _message(message_id: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as the API lists it: text in `content`, the parts of a list in `content_parts`."""
    content, parts = message.get("content"), None
    if isinstance(content, list):
        parts = [one for one in content if isinstance(one, dict)]
        texts = [one["text"] for one in parts if isinstance(one.get("text"), str)]
        content = "\n".join(texts) or None
    return {**message, "id": message_id, "content": content, "content_parts": parts}
