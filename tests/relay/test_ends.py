"""Where an answer ends, however its bytes are cut into pieces."""

import pytest

from openai_async.relay.ends import EndOfStream

from ..raw_server import DONE, chunk, sse
from ..streaming.events import USAGE

EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}


def fed(path: str, body: bytes, size: int) -> EndOfStream:
    end = EndOfStream.of(path, EVENTS)
    assert end is not None
    for place in range(0, len(body), size):
        end.feed(body[place : place + size])
    return end


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 1000])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", DONE),  # at the very beginning
        ("/v1/chat/completions", sse(chunk("Hi")) + DONE),
        ("/v1/chat/completions", sse(chunk("Hi")) + sse(chunk(finish="stop"))),
        ("/v1/chat/completions", sse(chunk(finish="stop")) + sse(USAGE)),
        ("/v1/chat/completions", sse({"error": {"message": "busy"}})),
        ("/v1/responses", sse({"type": "response.completed"})),
        ("/v1/responses", sse({"type": "error", "code": "busy", "message": "Try later"})),
        ("/v1/messages", sse({"type": "message_stop"})),
    ],
)
def test_an_end_is_found_in_pieces_of_any_size(path: str, body: bytes, size: int) -> None:
    assert fed(path, body, size).complete
    assert fed(path, body, size).done is body.endswith(DONE)


@pytest.mark.parametrize("size", [1, 1000])
def test_an_answer_without_its_end_is_not_complete(size: int) -> None:
    assert not fed("/v1/chat/completions", sse(chunk("Hi")), size).complete


def test_an_answer_whose_end_is_not_known_is_not_checked() -> None:
    assert EndOfStream.of("/v1/images/generations", EVENTS) is None
    assert EndOfStream.of("/v1/chat/completions", {"Content-Type": "application/json"}) is None
