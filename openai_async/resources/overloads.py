"""The types of methods whose return type depends on their arguments, for `with_raw_response` and
`with_streaming_response`. Only type checkers import this.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, Unpack, overload

from cattrs import BaseConverter
from typing_extensions import TypeForm

from ..streaming.chat import ChatCompletionStream
from ..streaming.images import ImageStream
from ..types.chat_completion import ChatCompletion
from ..types.chat_params import ChatCompletionParams, ChatCompletionParseParams
from ..types.image_events import ImageEditStreamEvent, ImageGenStreamEvent
from ..types.image_params import ImageEditParams, ImageGenerateParams
from ..types.images import ImagesResponse
from ..types.parsed_chats import ParsedChatCompletion
from .raw_responses import RawResponse
from .response_methods import Method
from .streaming_responses import StreamingCall

R = TypeVar("R")
T = TypeVar("T")
Plain = TypeVar("Plain", covariant=True)
Streamed = TypeVar("Streamed", covariant=True)


class CreateMethod(Protocol[Plain, Streamed]):
    """`chat.completions.create`"""

    @overload
    def __call__(
        self, *, stream: Literal[True], **params: Unpack[ChatCompletionParams]
    ) -> Streamed: ...

    @overload
    def __call__(
        self, *, stream: Literal[False] | None = None, **params: Unpack[ChatCompletionParams]
    ) -> Plain: ...

    @overload
    def __call__(
        self, *, stream: bool | None, **params: Unpack[ChatCompletionParams]
    ) -> Plain | Streamed: ...


class GenerateMethod(Protocol[Plain, Streamed]):
    """`images.generate`"""

    @overload
    def __call__(
        self, *, stream: Literal[True], **params: Unpack[ImageGenerateParams]
    ) -> Streamed: ...

    @overload
    def __call__(
        self, *, stream: Literal[False] | None = None, **params: Unpack[ImageGenerateParams]
    ) -> Plain: ...

    @overload
    def __call__(
        self, *, stream: bool | None, **params: Unpack[ImageGenerateParams]
    ) -> Plain | Streamed: ...


class EditMethod(Protocol[Plain, Streamed]):
    """`images.edit`"""

    @overload
    def __call__(self, *, stream: Literal[True], **params: Unpack[ImageEditParams]) -> Streamed: ...

    @overload
    def __call__(
        self, *, stream: Literal[False] | None = None, **params: Unpack[ImageEditParams]
    ) -> Plain: ...

    @overload
    def __call__(
        self, *, stream: bool | None, **params: Unpack[ImageEditParams]
    ) -> Plain | Streamed: ...


RawCall: TypeAlias = Coroutine[Any, Any, RawResponse[R]]
Create: TypeAlias = Method[
    CreateMethod[RawCall[ChatCompletion], RawCall[ChatCompletionStream]],
    CreateMethod[StreamingCall[ChatCompletion], StreamingCall[ChatCompletionStream]],
]
Generate: TypeAlias = Method[
    GenerateMethod[RawCall[ImagesResponse], RawCall[ImageStream[ImageGenStreamEvent]]],
    GenerateMethod[StreamingCall[ImagesResponse], StreamingCall[ImageStream[ImageGenStreamEvent]]],
]
Edit: TypeAlias = Method[
    EditMethod[RawCall[ImagesResponse], RawCall[ImageStream[ImageEditStreamEvent]]],
    EditMethod[StreamingCall[ImagesResponse], StreamingCall[ImageStream[ImageEditStreamEvent]]],
]


# Here the return type depends on `response_format`; `stream` is left out, as in the official SDK.


class RawParse(Protocol):
    @overload
    def __call__(
        self,
        *,
        response_format: type[T],
        strict: bool = True,
        converter: BaseConverter | None = None,
        reask: int = 0,
        **params: Unpack[ChatCompletionParseParams],
    ) -> RawCall[ParsedChatCompletion[T]]: ...

    @overload
    def __call__(
        self,
        *,
        response_format: TypeForm[T],
        strict: bool = True,
        converter: BaseConverter | None = None,
        reask: int = 0,
        **params: Unpack[ChatCompletionParseParams],
    ) -> RawCall[ParsedChatCompletion[T]]: ...


class StreamingParse(Protocol):
    @overload
    def __call__(
        self,
        *,
        response_format: type[T],
        strict: bool = True,
        converter: BaseConverter | None = None,
        reask: int = 0,
        **params: Unpack[ChatCompletionParseParams],
    ) -> StreamingCall[ParsedChatCompletion[T]]: ...

    @overload
    def __call__(
        self,
        *,
        response_format: TypeForm[T],
        strict: bool = True,
        converter: BaseConverter | None = None,
        reask: int = 0,
        **params: Unpack[ChatCompletionParseParams],
    ) -> StreamingCall[ParsedChatCompletion[T]]: ...


Parse: TypeAlias = Method[RawParse, StreamingParse]
