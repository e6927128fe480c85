"""Parts that few messages of a chat completion have: annotations and audio."""

from __future__ import annotations

from attrs import define

from .base import APIObject, note_change


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class AnnotationURLCitation(APIObject):
    """A web page that was cited; the indexes count characters of the message."""

    start_index: int = 0
    end_index: int = 0
    title: str = ""
    url: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Annotation(APIObject):
    """An annotation of part of the message."""

    type: str = "url_citation"
    url_citation: AnnotationURLCitation | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionAudio(APIObject):
    """The spoken answer."""

    id: str = ""
    data: str = ""
    """The audio in base64, in the format that was requested."""
    expires_at: int = 0
    """Unix time, in seconds."""
    transcript: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDeltaAudio(APIObject):
    """A piece of the spoken answer."""

    id: str | None = None
    data: str | None = None
    """A piece of the audio in base64, in the format that was requested."""
    expires_at: int | None = None
    """Unix time, in seconds."""
    transcript: str | None = None
