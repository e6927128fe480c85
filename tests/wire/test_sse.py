"""The event-stream rules of the WHATWG HTML standard, section 9.2.6, each as a case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async.wire.sse import MAX_STRAY, ServerSentEvent, SSEDecoder, SSEError


def decode(data: bytes) -> list[tuple[str, bytes]]:
    return [(event.event, event.data) for event in SSEDecoder().feed(data)]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        pytest.param(b"data: a\n\n", [b"a"], id="one event"),
        pytest.param(b"data:a\n\n", [b"a"], id="the space after the colon is optional"),
        pytest.param(b"data:  a\n\n", [b" a"], id="only one space is removed"),
        pytest.param(b"data: a\r\n\r\n", [b"a"], id="CRLF"),
        pytest.param(b"data: a\r\r", [b"a"], id="CR"),
        pytest.param(b"data: a\r\n\rdata: b\n\r\n", [b"a", b"b"], id="mixed line endings"),
        pytest.param(b"data: a\ndata: b\n\n", [b"a\nb"], id="data lines are joined with LF"),
        pytest.param(b"data\n\n", [b""], id="a field name alone has an empty value"),
        pytest.param(b"data\ndata\n\n", [b"\n"], id="two empty data lines"),
        pytest.param(b": hi\n\ndata: a\n\n", [b"a"], id="a comment makes no event"),
        pytest.param(b"data: a\n: hi\n\n", [b"a"], id="a comment inside an event"),
        pytest.param(b"event: x\n\ndata: a\n\n", [b"a"], id="an event without data is none"),
        pytest.param(b"other: a\nDATA: b\ndata: c\n\n", [b"c"], id="unknown fields are ignored"),
        pytest.param(b" data: a\ndata: b\n\n", [b"b"], id="a leading space is another name"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [b"a"], id="one BOM is stripped"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\ndata: b\n\n", [b"b"], id="only one BOM"),
        pytest.param(b"\n\n\ndata: a\n\n\n\n", [b"a"], id="blank lines in a row"),
        pytest.param(b"data: a:b: c\n\n", [b"a:b: c"], id="the first colon splits"),
        pytest.param(b"data: a\n", [], id="no blank line, no event yet"),
        pytest.param(
            "data: é\u2028\x0b\n\n".encode(), ["é\u2028\x0b".encode()], id="only CR and LF"
        ),
    ],
)
def test_data(data: bytes, events: list[bytes]) -> None:
    assert [event for _, event in decode(data)] == events


def test_the_event_type_is_of_one_event() -> None:
    assert decode(b"event: error\ndata: a\n\ndata: b\n\n") == [("error", b"a"), ("message", b"b")]


def test_the_last_event_type_counts() -> None:
    assert decode(b"event: x\nevent: y\ndata: a\n\n") == [("y", b"a")]


def test_the_id_stays_for_later_events() -> None:
    events = SSEDecoder().feed(b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n")
    assert [event.id for event in events] == ["1", "1", ""]


def test_an_id_with_a_null_is_ignored() -> None:
    events = SSEDecoder().feed(b"id: 1\nid: 2\x00\ndata: a\n\n")
    assert events[0].id == "1"


@pytest.mark.parametrize(("value", "retry"), [(b"10", 10), (b"1.5", None), (b"x", None)])
def test_retry_is_a_number_of_milliseconds(value: bytes, retry: int | None) -> None:
    assert SSEDecoder().feed(b"retry: " + value + b"\ndata: a\n\n")[0].retry == retry


def test_flush_gives_the_event_that_lacks_its_blank_line() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\ndata: b") == []
    assert decoder.flush() == [ServerSentEvent("message", b"a\nb")]
    assert decoder.flush() == []


def test_an_endless_line_is_refused_at_the_limit() -> None:
    decoder = SSEDecoder(max_size=1000)
    decoder.feed(b"data: " + b"x" * 900)
    with pytest.raises(SSEError, match="larger than 1000 bytes"):
        decoder.feed(b"x" * 200)


def test_an_endless_line_is_refused_at_64_mib() -> None:
    decoder, mebibyte = SSEDecoder(), b"x" * 2**20
    for _ in range(64):
        assert decoder.feed(mebibyte) == []
    with pytest.raises(SSEError, match="67108864 bytes"):
        decoder.feed(b"x")


def test_endless_data_lines_are_refused_at_the_limit() -> None:
    decoder = SSEDecoder(max_size=1000)
    with pytest.raises(SSEError):
        for _ in range(1000):
            decoder.feed(b"data: x\n")


def test_an_event_too_large_that_comes_at_once_is_refused() -> None:
    with pytest.raises(SSEError):
        SSEDecoder(max_size=1000).feed(b"data: " + b"x" * 2000 + b"\n\n")


def test_events_before_one_too_large_are_not_lost() -> None:
    decoder = SSEDecoder(max_size=100)
    assert [e.data for e in decoder.feed(b"data: a\n\ndata: " + b"x" * 200)] == [b"a"]
    with pytest.raises(SSEError):
        decoder.feed(b"y")


def test_events_up_to_the_limit_are_fine() -> None:
    decoder = SSEDecoder(max_size=1000)
    for _ in range(10):
        assert decoder.feed(b"data: " + b"x" * 900 + b"\n\n")[0].data == b"x" * 900


STREAM = b"\xef\xbb\xbf:c\r\nid: 1\rdata: a\r\ndata:\xc3\xa9\n\r\nevent: x\ndata\r\rdata: z\n\n"


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    decoder, events, start = SSEDecoder(), [], 0
    for cut in [*sorted(cuts), len(STREAM)]:
        events += decoder.feed(STREAM[start:cut])
        start = cut
    assert events == SSEDecoder().feed(STREAM)


@given(st.lists(st.binary()))
def test_arbitrary_bytes_raise_nothing(parts: list[bytes]) -> None:
    decoder = SSEDecoder()
    for part in parts:
        for event in decoder.feed(part):
            assert isinstance(event.data, bytes)
    decoder.flush()


FIELD = st.text(
    st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]), max_size=9
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[tuple[str, bytes]], bytes]:
    """A list of events, and one of the many ways to write it."""
    events, written = [], b"\xef\xbb\xbf" * draw(st.booleans())
    for lines in draw(st.lists(st.lists(FIELD, min_size=1, max_size=3), max_size=4)):
        end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
        name = draw(FIELD)
        written += b": comment" + end + b"event: " + name.encode() + end
        for line in lines:
            written += b"data: " + line.encode() + end
        written += end
        events.append((name or "message", "\n".join(lines).encode()))
    return events, written


@given(streams(), st.data())
def test_any_list_of_events_survives_any_spelling_and_any_split(
    stream: tuple[list[tuple[str, bytes]], bytes], data: st.DataObject
) -> None:
    events, written = stream
    decoder, decoded = SSEDecoder(), []
    while written:
        size = data.draw(st.integers(1, len(written)))
        decoded += decoder.feed(written[:size])
        written = written[size:]
    assert [(event.event, event.data) for event in decoded] == events


def test_events_that_follow_do_not_hide_one_that_is_too_large() -> None:
    decoder = SSEDecoder(100)
    small = b"data: ok\n\n"
    events = decoder.feed(small + b"data: " + b"x" * 200 + b"\n\n" + small)
    assert [event.data for event in events] == [b"ok"]
    with pytest.raises(SSEError):
        decoder.feed(small)


def test_data_lines_with_nothing_in_them_count_too() -> None:
    with pytest.raises(SSEError):
        SSEDecoder(100).feed(b"data\n" * 101)


def test_what_came_in_an_earlier_piece_is_part_of_the_event() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"retry: 5\n") == []
    assert decoder.feed(b"data: hi\n\n") == [ServerSentEvent("message", b"hi", retry=5)]


def test_lines_outside_of_events_are_kept_up_to_a_limit() -> None:
    decoder = SSEDecoder()
    for _ in range(100):
        decoder.feed(b"x" * 1000 + b"\n")
    assert 60_000 < sum(map(len, decoder.stray)) <= MAX_STRAY


@pytest.mark.parametrize(
    "chunk",
    [
        b"data: {}\n\n",
        b"data: \n\n",
        b"data: a\r\n\r\n",
        b"data: a\rb\n\n",
        b"data: a\n\ndata: b\n\n",
        b"data: a\ndata: b\n\n",
        b"data: a\n",
        b"event: a\n\n",
    ],
)
@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\xef",
        b"data: x",
        b"data: x\n",
        b"event: x\n",
        b"data: x\n\r",
        b"retry: 1\n",
        b"id: 1\n\n",
    ],
)
def test_a_single_event_is_what_feeding_it_would_give(before: bytes, chunk: bytes) -> None:
    usual, quick = SSEDecoder(), SSEDecoder()
    assert usual.feed(before) == quick.feed(before)
    event = quick.single(chunk)
    if event is None:
        assert usual.feed(chunk) == quick.feed(chunk)  # nothing has been taken in
    else:
        assert usual.feed(chunk) == [ServerSentEvent("message", event)]
    rest = b"data: y\n\n"
    assert [*usual.feed(rest), *usual.flush()] == [*quick.feed(rest), *quick.flush()]
