"""What a browser gets of an answer in the forms "chunks" and "text", byte by byte."""

from __future__ import annotations

from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError

from ..raw_server import DONE, RawServer, chunk, sse
from ..streaming.events import call
from .relayed import MESSAGES, USAGE_AND_DONE, calling, lines, relayed

pytestmark = pytest.mark.virtual_time

USAGE_EVENT = b'data: {"type":"usage","prompt_tokens":1,"completion_tokens":2,"total_tokens":3}\n\n'
STOP = b'data: {"type":"done","finish_reason":"stop"}\n\n'


class TestChunks:
    async def test_chunks_are_relayed_as_the_server_sends_them(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [
            sse(chunk("", role="assistant")),
            sse(chunk("Grüße")),
            sse(chunk("!", reasoning="Hm", vendor={"kept": [1, None]})),
            sse(calling(call(0, "{}", "f", "c1"))),
            sse(chunk("other choice", index=1)),
            sse(chunk(finish="stop")),
        ]
        body = await relayed(raw, raw_client, "chunks", *sent, DONE)
        assert body == b"".join(sent) + DONE

    @pytest.mark.parametrize("text", ["Hi", "\\ud83d"], ids=["plain", "half an emoji"])
    async def test_nan_is_relayed_as_null(
        self, raw: RawServer, raw_client: AsyncClient, text: str
    ) -> None:
        """Servers written in Python send NaN, which a browser cannot parse."""
        choice = '{"index":0,"delta":{"content":"%s"},"logprobs":{"content":[{"logprob":%s}]}}'
        event = 'data: {"id":"1","choices":[' + choice + "]}\n\n"
        sent = (event % (text, "NaN")).encode()
        body = await relayed(raw, raw_client, "chunks", sent, sse(chunk(finish="stop")), DONE)
        assert body.startswith((event % (text, "null")).encode())

    async def test_usage_is_relayed_if_the_app_has_asked_for_it(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [sse(chunk("Hi")), sse(chunk(finish="stop")), USAGE_AND_DONE]
        hidden = await relayed(raw, raw_client, "chunks", *sent)
        asked = {"stream_options": {"include_usage": True}}
        shown = await relayed(raw, raw_client, "chunks", *sent, **asked)
        assert hidden == sent[0] + sent[1] + DONE
        assert shown == b"".join(sent)

    async def test_an_error_within_the_answer_is_the_last_event_and_gives_nothing_away(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        failure = sse({"error": {"message": "sk-secret at 10.0.0.1", "code": "oops"}})
        body = await relayed(raw, raw_client, "chunks", sse(chunk("Hi")), failure)
        assert body == sse(chunk("Hi")) + (
            b'event: error\ndata: {"error":{"message":"The service reported an error.",'
            b'"type":"server_error","param":null,"code":null}}\n\n'
        )

    async def test_an_answer_that_breaks_off_ends_with_an_error(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        body = await relayed(raw, raw_client, "chunks", sse(chunk("Hi")))
        assert lines(body)[-1] == (
            'event: error\ndata: {"error":{"message":"The answer broke off before it was complete."'
            ',"type":"server_error","param":null,"code":null}}'
        )

    async def test_the_events_of_pictures_have_their_names(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        partial = sse(
            {
                "type": "image_generation.partial_image",
                "b64_json": "AAAA",
                "partial_image_index": 0,
            }
        )
        completed = sse({"type": "image_generation.completed", "b64_json": "BBBB"})
        raw.answer = lambda exchange: exchange.stream(partial, completed)
        stream = raw_client.images.generate(
            prompt="A dog", model="gpt-image-1", stream=True, partial_images=1
        )
        body = b"".join([data async for data in stream.sse()])
        assert body == (
            b"event: image_generation.partial_image\n"
            + partial
            + b"event: image_generation.completed\n"
            + completed
            + DONE
        )

    async def test_a_type_with_a_line_break_adds_no_lines_to_its_event(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        odd = sse({"type": "image_generation.odd\nid: 7", "b64_json": "AAAA"})
        completed = sse({"type": "image_generation.completed", "b64_json": "BBBB"})
        raw.answer = lambda exchange: exchange.stream(odd, completed)
        stream = raw_client.images.generate(prompt="A dog", model="gpt-image-1", stream=True)
        body = b"".join([data async for data in stream.sse()])
        assert body == odd + b"event: image_generation.completed\n" + completed + DONE


class TestText:
    async def test_a_text_its_usage_and_its_end(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [chunk("", role="assistant"), chunk("Grüße"), chunk("!"), chunk(finish="stop")]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert body.decode() == (
            'data: {"type":"text","text":"Grüße"}\n\n'
            'data: {"type":"text","text":"!"}\n\n' + (USAGE_EVENT + STOP).decode()
        )

    @pytest.mark.parametrize(
        "field", ["reasoning_content", "reasoning", "reasoning_text", "reasoning_details"]
    )
    async def test_reasoning_under_the_names_of_all_vendors(
        self, raw: RawServer, raw_client: AsyncClient, field: str
    ) -> None:
        details = [{"type": "reasoning.text", "text": "Hm"}]
        value: object = details if field == "reasoning_details" else "Hm"
        sent = [chunk(**{field: value}), chunk("Hi", finish="stop")]  # type: ignore[arg-type]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert body == (
            b'data: {"type":"reasoning","text":"Hm"}\n\n'
            b'data: {"type":"text","text":"Hi"}\n\n' + USAGE_EVENT + STOP
        )

    async def test_only_one_of_two_copies_of_the_reasoning_is_relayed(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [chunk(reasoning="Hm", reasoning_content="Hm"), chunk("Hi", finish="stop")]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert lines(body)[:2] == [
            'data: {"type":"reasoning","text":"Hm"}',
            'data: {"type":"text","text":"Hi"}',
        ]

    async def test_content_in_parts_as_mistral_sends_it(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
        said = {"type": "text", "text": "Hi"}
        sent = [chunk(content=[thought, said], finish="stop")]  # type: ignore[arg-type]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert lines(body)[:2] == [
            'data: {"type":"reasoning","text":"Hm"}',
            'data: {"type":"text","text":"Hi"}',
        ]

    async def test_a_whole_message_beside_an_empty_delta(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        message = {"role": "assistant", "content": "Hi"}
        choice = {"index": 0, "message": message, "delta": {}, "finish_reason": "stop"}
        sent = {**chunk(), "choices": [choice]}
        body = await relayed(raw, raw_client, "text", sent, USAGE_AND_DONE)
        assert body == b'data: {"type":"text","text":"Hi"}\n\n' + USAGE_EVENT + STOP

    async def test_usage_and_finish_reason_in_the_chunk_of_the_last_text(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        sent = [chunk("H"), chunk("i", finish="stop") | {"usage": usage}]
        body = await relayed(raw, raw_client, "text", *sent, DONE)
        assert body == (
            b'data: {"type":"text","text":"H"}\n\n'
            b'data: {"type":"text","text":"i"}\n\n' + USAGE_EVENT + STOP
        )

    async def test_an_estimated_usage_is_marked(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        body = await relayed(raw, raw_client, "text", chunk("Hi", finish="stop"), DONE)
        assert lines(body)[1].startswith('data: {"type":"usage",')
        assert lines(body)[1].endswith(',"estimated":true}')

    async def test_the_pieces_of_tool_calls(self, raw: RawServer, raw_client: AsyncClient) -> None:
        sent = [
            calling(call(0, "", "add", "c1")),
            calling(call(0, '{"a"'), call(1, '{"b"', "sub", "c2")),
            calling(call(0, ":1}"), call(1, ":2}")),
            chunk(finish="tool_calls"),
        ]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert lines(body) == [
            'data: {"type":"tool_call","index":0,"id":"c1","name":"add","arguments":"{\\"a\\""}',
            'data: {"type":"tool_call","index":1,"id":"c2","name":"sub","arguments":"{\\"b\\""}',
            'data: {"type":"tool_call","index":0,"arguments":":1}"}',
            'data: {"type":"tool_call","index":1,"arguments":":2}"}',
            USAGE_EVENT.decode().strip(),
            'data: {"type":"done","finish_reason":"tool_calls"}',
        ]

    @pytest.mark.parametrize("index", [0, None], ids=["all-numbered-0", "not-numbered"])
    async def test_calls_that_a_server_does_not_number_are_numbered(
        self, raw: RawServer, raw_client: AsyncClient, index: int | None
    ) -> None:
        both = calling(call(index, {"a": 1}, "f"), call(index, {"a": 2}, "g"), finish="tool_calls")
        body = await relayed(raw, raw_client, "text", both, USAGE_AND_DONE)
        assert lines(body)[:2] == [
            'data: {"type":"tool_call","index":0,"name":"f","arguments":"{\\"a\\": 1}"}',
            'data: {"type":"tool_call","index":1,"name":"g","arguments":"{\\"a\\": 2}"}',
        ]

    async def test_arguments_that_are_sent_again_begin_the_call_again(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [calling(call(0, {"a": 1}, "f", "c1")), calling(call(0, {"a": 1, "b": 2}))]
        body = await relayed(
            raw, raw_client, "text", *sent, chunk(finish="tool_calls"), USAGE_AND_DONE
        )
        start = 'data: {"type":"tool_call","index":0,"id":"c1","name":"f","arguments":'
        assert lines(body)[:2] == [
            start + '"{\\"a\\": 1}"}',
            start + '"{\\"a\\": 1, \\"b\\": 2}"}',
        ]

    async def test_whole_arguments_after_pieces_begin_the_call_again(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        pieces = [calling(call(0, '{"a"', "f", "c1")), calling(call(0, ":1}"))]
        sent = [*pieces, calling(call(0, {"b": 2})), chunk(finish="tool_calls")]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        start = 'data: {"type":"tool_call","index":0,"id":"c1","name":"f","arguments":'
        assert lines(body)[2] == start + '"{\\"b\\": 2}"}'

    async def test_a_call_whose_arguments_precede_its_name_begins_with_both(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [calling(call(0, '{"a"')), calling(call(0, ":1}", "f")), chunk(finish="tool_calls")]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert lines(body)[0] == (
            'data: {"type":"tool_call","index":0,"name":"f","arguments":"{\\"a\\":1}"}'
        )

    async def test_a_call_without_a_name_begins_at_the_end(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [calling(call(0, "{}", None, "c1")), chunk(finish="tool_calls")]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert lines(body)[0] == (
            'data: {"type":"tool_call","index":0,"id":"c1","name":"","arguments":"{}"}'
        )

    async def test_empty_arguments_before_the_real_ones_are_left_out(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [
            calling(call(0, "{}", "f", "c1"), call(1, "{}", "g", "c2")),
            calling(call(0, '{"a":1}')),
            chunk(finish="tool_calls"),
        ]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert lines(body)[:2] == [
            'data: {"type":"tool_call","index":0,"id":"c1","name":"f","arguments":"{\\"a\\":1}"}',
            'data: {"type":"tool_call","index":1,"id":"c2","name":"g","arguments":"{}"}',
        ]

    async def test_a_refusal(self, raw: RawServer, raw_client: AsyncClient) -> None:
        sent = [chunk(refusal="I "), chunk(refusal="won't."), chunk(finish="stop")]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert lines(body)[:2] == [
            'data: {"type":"refusal","text":"I "}',
            'data: {"type":"refusal","text":"won\'t."}',
        ]

    async def test_only_the_first_of_several_choices_is_relayed(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [
            chunk("no", index=1, tool_calls=[call(0, "{}", "f", "c1")]),
            chunk("yes"),
            chunk(finish="length", index=1),
            chunk(finish="stop"),
        ]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE, n=2)
        assert body == b'data: {"type":"text","text":"yes"}\n\n' + USAGE_EVENT + STOP

    async def test_the_only_choice_may_have_any_number(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        sent = [chunk("yes", index=1), chunk(finish="stop", index=1)]
        body = await relayed(raw, raw_client, "text", *sent, USAGE_AND_DONE)
        assert body == b'data: {"type":"text","text":"yes"}\n\n' + USAGE_EVENT + STOP

    async def test_an_empty_answer(self, raw: RawServer, raw_client: AsyncClient) -> None:
        body = await relayed(raw, raw_client, "text", chunk("", finish="stop"), USAGE_AND_DONE)
        assert body == USAGE_EVENT + STOP

    async def test_an_answer_without_choices(self, raw: RawServer, raw_client: AsyncClient) -> None:
        body = await relayed(raw, raw_client, "text", USAGE_AND_DONE)
        assert body == USAGE_EVENT + b'data: {"type":"done","finish_reason":null}\n\n'

    async def test_an_error_within_the_answer_is_the_last_event_and_gives_nothing_away(
        self, raw: RawServer, raw_client: AsyncClient
    ) -> None:
        failure = sse({"error": {"message": "sk-secret at 10.0.0.1"}})
        body = await relayed(raw, raw_client, "text", chunk("Hi"), failure)
        assert body == (
            b'data: {"type":"text","text":"Hi"}\n\n'
            b'event: error\ndata: {"type":"error","message":"The service reported an error."}\n\n'
        )


@pytest.mark.parametrize("form", ["text", "ui"])
@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"index": 0, "id": "c1", "function": 5}]},
        {"tool_calls": [{"index": 0, "id": "c1", "custom": ["f"]}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": [{"a": 1}]}}]},
        {"refusal": [{"text": "No."}]},
    ],
    ids=["function", "custom", "arguments", "refusal"],
)
async def test_a_part_of_the_wrong_shape_does_not_end_the_answer(
    raw: RawServer, raw_client: AsyncClient, form: Any, delta: dict[str, Any]
) -> None:
    body = await relayed(raw, raw_client, form, chunk("Hi", **delta), chunk(finish="stop"), DONE)
    assert b'"Hi"' in body
    assert b'"stop"' in lines(body)[-1 if form == "text" else -2].encode()


@pytest.mark.parametrize("form", ["json", "", None, 1])
def test_an_unknown_form_is_refused(raw_client: AsyncClient, form: Any) -> None:
    stream = raw_client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    with pytest.raises(InvalidArgumentError, match=r'pass "chunks", "text", "ui" or "raw"\.$'):
        stream.sse(form=form)


@pytest.mark.parametrize("form", ["text", "ui"])
def test_pictures_have_no_form_for_chats(raw_client: AsyncClient, form: Any) -> None:
    stream = raw_client.images.generate(prompt="A dog", model="gpt-image-1", stream=True)
    with pytest.raises(InvalidArgumentError, match=r"^form='\w+' is for chat completions: pass "):
        stream.sse(form=form)
