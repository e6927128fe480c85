"""The web pages that an answer cites, where OpenAI's search models, OpenRouter and Perplexity put
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def sources_in(chunk: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The URL and the title ("" if there is none) of each page in a chunk: Perplexity sends all of
    them with every chunk.
    """
    for page in _objects(chunk.get("search_results")):
        yield from _source(page)
    for url in _list(chunk.get("citations")):
        yield from _source({"url": url})


def sources_of(annotations: Any) -> Iterator[tuple[str, str]]:
    """The same for the annotations of a message."""
    for annotation in _objects(annotations):
        if type(citation := annotation.get("url_citation")) is dict:
            yield from _source(citation)


def _source(page: dict[str, Any]) -> Iterator[tuple[str, str]]:
    url, title = page.get("url"), page.get("title")
    # A page makes links of them, and must not be given `javascript:`.
    if isinstance(url, str) and url.lower().startswith(("https://", "http://")):
        yield url, title if isinstance(title, str) else ""


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in _list(values) if type(value) is dict]


def _list(values: Any) -> list[Any]:
    return values if type(values) is list else []
