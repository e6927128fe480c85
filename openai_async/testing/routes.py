"""Which handler answers which endpoint; methods and paths are those the client sends to."""

import re
from collections.abc import Iterator
from typing import Any, get_args

from aiohttp import web

from ..resources import (
    batches,
    chat,
    embeddings,
    files,
    images,
    models,
    moderations,
    stored_chats,
    uploads,
)
from ..resources.endpoint import Endpoint
from ..types.batches import BatchEndpoint
from . import batches as batch_handlers
from . import file_handlers
from .chat import create_chat_completion
from .edits import edit_images, vary_image
from .embeddings import create_embeddings
from .exchange import Exchange, Handler
from .images import generate_images
from .moderations import create_moderation
from .picture_store import BASE_PATH, PICTURES_PATH
from .responses import RefusedError, json_response


async def _list_models(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.models.list())


async def _retrieve_model(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.models.listed(exchange.request.match_info["model"]))


async def _delete_model(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.models.delete(exchange.request.match_info["model"]))


async def _list_chats(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.chats.list(exchange.request.query))


async def _retrieve_chat(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.chats.get(exchange.request.match_info["completion_id"]))


async def _update_chat(exchange: Exchange) -> web.StreamResponse:
    completion_id = exchange.request.match_info["completion_id"]
    return json_response(exchange.state.chats.update(completion_id, exchange.json_object()))


async def _delete_chat(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.chats.delete(exchange.request.match_info["completion_id"]))


async def _list_chat_messages(exchange: Exchange) -> web.StreamResponse:
    request = exchange.request
    messages = exchange.state.chats.messages(request.match_info["completion_id"], request.query)
    return json_response(messages)


async def _create_batch(exchange: Exchange) -> web.StreamResponse:
    return await batch_handlers.create_batch(exchange, BATCH_HANDLERS)


async def _get_picture(exchange: Exchange) -> web.StreamResponse:
    found = exchange.state.pictures.get(exchange.request.match_info["name"])
    if found is None:
        raise RefusedError(404, "This file has expired or never existed.", code="file_not_found")
    data, content_type = found
    return web.Response(body=data, content_type=content_type)


HANDLERS: tuple[tuple[Endpoint[Any], Handler], ...] = (
    (chat.CREATE, create_chat_completion),
    (embeddings.CREATE, create_embeddings),
    (stored_chats.LIST, _list_chats),
    (stored_chats.LIST_MESSAGES, _list_chat_messages),
    (stored_chats.RETRIEVE, _retrieve_chat),
    (stored_chats.UPDATE, _update_chat),
    (stored_chats.DELETE, _delete_chat),
    (batches.CREATE, _create_batch),
    (batches.RETRIEVE, batch_handlers.retrieve_batch),
    (batches.LIST, batch_handlers.list_batches),
    (batches.CANCEL, batch_handlers.cancel_batch),
    (images.GENERATE, generate_images),
    (images.EDIT, edit_images),
    (images.CREATE_VARIATION, vary_image),
    (files.CREATE, file_handlers.create_file),
    (files.LIST, file_handlers.list_files),
    (files.CONTENT, file_handlers.file_content),
    (files.RETRIEVE, file_handlers.retrieve_file),
    (files.DELETE, file_handlers.delete_file),
    (uploads.CREATE, file_handlers.create_upload),
    (uploads.CREATE_PART, file_handlers.add_part),
    (uploads.COMPLETE, file_handlers.complete_upload),
    (uploads.CANCEL, file_handlers.cancel_upload),
    (models.LIST, _list_models),
    (models.RETRIEVE, _retrieve_model),
    (models.DELETE, _delete_model),
    (moderations.CREATE, create_moderation),
)

# By the endpoint of a batch. Image edits are missing: they are forms, which a line cannot hold.
BATCH_HANDLERS: dict[str, Handler] = {
    BASE_PATH + endpoint.path: handler
    for endpoint, handler in HANDLERS
    if BASE_PATH + endpoint.path in get_args(BatchEndpoint)
    and endpoint.method == "POST"
    and endpoint.path != "/images/edits"
}


def routes() -> Iterator[tuple[str, str, Handler]]:
    """Method, path and handler of everything the server answers."""
    for endpoint, handler in HANDLERS:
        # Ids may contain slashes, sent as they are or as %2F: both name the same model.
        path = BASE_PATH + re.sub(r"\{(\w+)\}", r"{\1:.+}", endpoint.path)
        yield endpoint.method, path, handler if endpoint is chat.CREATE else _without_chat(handler)
    yield "GET", PICTURES_PATH + "{name}", _get_picture


def _without_chat(handler: Handler) -> Handler:
    """The handler of an endpoint that a scripted chat `Reply` cannot answer."""

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if exchange.reply is not None:  # a mistake in the test: say so
            where = f"{exchange.record.method} {exchange.record.path}"
            msg = f"The script's next step is a chat Reply, but this is {where}: use Reply(json=)."
            raise RefusedError(400, msg, code="script_mismatch")
        return await handler(exchange)

    return handle
