"""The Embeddings API: https://platform.openai.com/docs/api-reference/embeddings"""

from __future__ import annotations

import binascii
import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from attrs import define, field
from typing_extensions import TypedDict

from ..errors import InvalidArgumentError
from ..images.data import decoded
from ..options import BaseRequestOptions
from .base import APIObject, APIResponse, note_change
from .values import malformed

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Float32Array: TypeAlias = NDArray[numpy.float32]
    Vector: TypeAlias = "array[float]"
else:  # which Python 3.11 cannot evaluate
    Vector = array


class _Required(TypedDict):
    # A separate class, so that `__required_keys__` lists it: see `chat_params`.
    model: str
    # A text, several texts, the tokens of a text, or those of several texts.
    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]


class EmbeddingCreateParams(_Required, BaseRequestOptions, total=False, closed=True):
    """The parameters of `embeddings.create`. Those left out are not sent."""

    # The length of the vectors, which is fixed for models before text-embedding-3.
    dimensions: int
    # How vectors are sent, not what you get: base64 (a third of the size) unless you pass "float".
    encoding_format: Literal["float", "base64"]
    # The id of your end user, so that abuse can be detected.
    user: str


def read_vector(value: Any) -> Vector:
    """A vector from its JSON value: base64 of little-endian float32, or a list of numbers.

    Some servers wrap the list in another list, and some ignore the requested format.
    """
    try:
        if type(value) is str:
            vector = array("f", _bytes_of(value))
            if sys.byteorder == "big":
                vector.byteswap()
            return vector
        if type(value) is list:
            return array("f", value[0] if len(value) == 1 and type(value[0]) is list else value)
    except (ValueError, TypeError, OverflowError):
        pass  # as the context of the error below, it would keep the whole value in memory
    raise malformed(value, "a vector (base64 of float32, or a list of numbers)")


def _bytes_of(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return decoded(text)  # allows line breaks, missing padding and the URL-safe alphabet


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Embedding(APIObject):
    """The vector of one input.

    Attributes:
        embedding: the numbers, an `array('f')`: a sequence of floats, which `memoryview` and
            `numpy.asarray` read without a copy. `.tolist()` converts it to a list.
        index: the position of the input.
    """

    object: str = "embedding"
    index: int = 0
    embedding: Vector = field(
        factory=lambda: array("f"),
        metadata={"read": read_vector, "essential": True},
        repr=lambda vector: f"<{len(vector)} numbers>",
    )

    def numpy(self) -> Float32Array:
        """The vector as a numpy array of float32, which shares its memory.

        Raises:
            ImportError: numpy is not installed.
        """
        return _numpy().frombuffer(self.embedding, dtype="float32")  # type: ignore[no-any-return]


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Usage(APIObject):
    """Tokens used by a request."""

    prompt_tokens: int = 0
    total_tokens: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class CreateEmbeddingResponse(APIResponse):
    """The vectors of all inputs, in order: `len()` and iteration work on `.data`."""

    _requires: ClassVar[str] = "data"

    object: str = "list"
    data: list[Embedding] = field(factory=list, metadata={"essential": True})
    model: str = ""
    usage: Usage | None = None

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Embedding]:
        return iter(self.data)

    @property
    def total_tokens(self) -> int:
        """`usage.total_tokens`; 0 if the server did not send the usage."""
        return self.usage.total_tokens if self.usage else 0

    def numpy(self) -> Float32Array:
        """All vectors as a new numpy array of float32, with a row for each input.

        Raises:
            ImportError: numpy is not installed.
            InvalidArgumentError: the vectors differ in length.
        """
        numpy = _numpy()
        lengths = {len(item.embedding) for item in self.data}
        if len(lengths) > 1:
            msg = f"The vectors have {min(lengths)} to {max(lengths)} numbers: use .data."
            raise InvalidArgumentError(msg)
        if not lengths:
            return numpy.empty((0, 0), dtype="float32")  # type: ignore[no-any-return]
        return numpy.stack([item.numpy() for item in self.data])  # type: ignore[no-any-return]

    def _json(self) -> dict[str, Any]:
        # `.data` is in the order of the inputs, the JSON in the order of arrival.
        data = super()._json()
        came = None if self._raw is None else self._raw.get("data")
        items = came if isinstance(came, list) else []
        places = {id(item): place for place, item in enumerate(items) if type(item) is dict}
        now = {places.get(id(getattr(item, "_raw", None))): item for item in self.data}
        if None not in now and len(now) == len(self.data) == len(items):
            data["data"] = [now[place]._json() for place in range(len(items))]
        return data


def _numpy() -> Any:
    try:
        import numpy
    except ModuleNotFoundError as error:
        msg = "numpy is not installed: pip install numpy, or use .embedding, which needs none."
        raise ImportError(msg) from error
    return numpy
