"""The Files and Uploads APIs: from requests to the stores, and back."""

from aiohttp import web

from . import checks
from .exchange import Exchange
from .files import PURPOSES, lifetime
from .forms import FormPart, form_fields
from .responses import json_response


async def create_file(exchange: Exchange) -> web.StreamResponse:
    fields, file = _form(exchange, "file")
    checks.required_string(fields, "purpose")
    purpose = checks.choice(fields, "purpose", PURPOSES) or ""
    stored = exchange.state.files.put(
        file.data,
        file.filename or "",
        purpose,
        content_type=file.content_type or "application/octet-stream",
        seconds=lifetime(fields),
    )
    return json_response(stored.fields)


async def list_files(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.files.list(exchange.request.query))


async def retrieve_file(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.files.get(_id(exchange, "file_id")).fields)


async def delete_file(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.files.delete(_id(exchange, "file_id")))


async def file_content(exchange: Exchange) -> web.StreamResponse:
    file = exchange.state.files.get(_id(exchange, "file_id"))
    return web.Response(body=file.data, content_type="application/octet-stream")


async def create_upload(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.uploads.create(exchange.json_object()))


async def add_part(exchange: Exchange) -> web.StreamResponse:
    _, part = _form(exchange, "data")
    return json_response(exchange.state.uploads.add_part(_id(exchange, "upload_id"), part.data))


async def complete_upload(exchange: Exchange) -> web.StreamResponse:
    state, upload_id = exchange.state, _id(exchange, "upload_id")
    return json_response(state.uploads.complete(upload_id, exchange.json_object(), state.files))


async def cancel_upload(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange.state.uploads.cancel(_id(exchange, "upload_id")))


def _id(exchange: Exchange, name: str) -> str:
    return exchange.request.match_info[name]


def _form(exchange: Exchange, name: str) -> tuple[dict[str, object], FormPart]:
    """The fields of a form, and its file called `name`."""
    parts = exchange.form()
    for part in parts:
        if part.name == name and part.filename is not None:
            return form_fields(parts), part
    raise checks.missing(name, "as a file")
