"""Lists in pages, as the API sends them: `limit`, `after` and `order` choose the items."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import checks
from .responses import invalid

_DEFAULT_LIMIT = 20


def page_of(
    items: Sequence[dict[str, Any]],
    query: Mapping[str, str],
    *,
    order: str = "asc",
    largest: int = 100,
    default: int = _DEFAULT_LIMIT,
) -> dict[str, Any]:
    """The page that the query of a request asks for.

    `items` begins with the oldest; `order` is the default order. `last_id` is an id or null.
    """
    limit = default
    if "limit" in query:
        limit = checks.integer({"limit": _number(query["limit"])}, "limit", 1, largest) or default
    if checks.choice({"order": order, **query}, "order", ("asc", "desc")) == "desc":
        items = items[::-1]
    start, after = 0, query.get("after")
    if after is not None:
        places = [place for place, item in enumerate(items, 1) if item["id"] == after]
        if not places:
            raise invalid(f"This list has no item with the id '{after}'.", "after")
        start = places[0]
    data = list(items[start : start + limit])
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": start + limit < len(items),
    }


def _number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text
