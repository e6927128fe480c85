"""The parts of LocalServer that need no socket: routes and tokens."""

import pytest

from openai_async.testing.routes import routes
from openai_async.testing.tokens import image_tokens, tokenize

from ..spec.walk import declared


@pytest.mark.parametrize(
    "text", ["", "Hello  world", "naïve 日本語のとても長い文章です 👩‍👩‍👧", "a\n\n  b" * 9]
)
def test_tokens_put_together_are_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text
    assert all(len(token) <= 8 for token in tokenize(text))


@pytest.mark.parametrize(
    ("width", "height", "detail", "tokens"),
    [(4096, 8192, "low", 85), (1024, 1024, "high", 765), (2048, 4096, "high", 1105)],
)
def test_pictures_cost_what_openai_documents(
    width: int, height: int, detail: str, tokens: int
) -> None:
    assert image_tokens(width, height, detail) == tokens


def test_the_routes_are_the_endpoints_that_the_client_sends_to() -> None:
    endpoints = [found.endpoint for found in declared().values()]
    sent_to = {(one.method, f"/v1{one.path}".replace("}", ":.+}")) for one in endpoints}
    assert {(method, path) for method, path, _ in routes() if "/pictures/" not in path} == sent_to
