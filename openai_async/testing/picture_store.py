"""The latest pictures the server has drawn, named by their hash and served by URL."""

import hashlib
from collections import OrderedDict

# Some tens of megabytes at most; by then the oldest have long been read.
_CAPACITY = 100

# Where the API begins, as in the base URL of a client.
BASE_PATH = "/v1"
PICTURES_PATH = "/pictures/"


def media_type_of(extension: str) -> str:
    """The media type of a picture with this extension."""
    return "image/svg+xml" if extension == "svg" else f"image/{extension}"


class PictureStore:
    """The latest pictures by name; putting a new one may drop the oldest."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._pictures: OrderedDict[str, tuple[bytes, str]] = OrderedDict()

    def put(self, data: bytes, extension: str) -> str:
        """Store the picture; returns its name."""
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.{extension}"
        self._pictures[name] = (data, media_type_of(extension))
        self._pictures.move_to_end(name)
        while len(self._pictures) > self._capacity:
            self._pictures.popitem(last=False)
        return name

    def get(self, name: str) -> tuple[bytes, str] | None:
        """The picture and its content type."""
        return self._pictures.get(name)
