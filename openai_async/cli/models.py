"""`openai-async models`: lists the models of the server."""

from __future__ import annotations

from datetime import UTC, datetime

from .. import AsyncClient
from .options import Connection, connect
from .output import Output

COLUMNS = ("id", "owned by", "created")


async def list_models(connection: Connection, output: Output) -> None:
    async with connect(connection) as client:
        await show_models(client, output)


async def show_models(client: AsyncClient, output: Output) -> None:
    models = await client.models.list()
    if output.as_json:
        output.json(models.to_json())
    rows = [(model.id, model.owned_by, date_of(model.created)) for model in models]
    output.table(COLUMNS, rows)


def date_of(created: float) -> str:
    """The date of a Unix time; "-" for 0 and for impossible ones."""
    try:
        return datetime.fromtimestamp(created, UTC).date().isoformat() if created else "-"
    except (OverflowError, OSError, ValueError):
        return "-"
