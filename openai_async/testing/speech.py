"""Spoken answers: silence that is as long as the text would take to say."""

import base64
import io
import time
import uuid
import wave
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from . import checks
from .responses import RefusedError, invalid

_RATE = 24_000  # OpenAI's, for pcm16
_SAMPLES_PER_TOKEN = _RATE // 100
_EXPIRES_AFTER = 3600
# A multiple of three, so that pieces in base64 can be decoded one by one and joined.
_PIECE = 3 * 160


def spoken_format(body: Mapping[str, Any], *, stream: bool) -> str | None:
    """The format of the audio that the request asks for; None if it asks for text only."""
    modalities = body.get("modalities")
    if modalities is None:
        return None
    if not isinstance(modalities, list) or not all(one in ("text", "audio") for one in modalities):
        msg = "Invalid 'modalities': expected a list of 'text' and 'audio'."
        raise invalid(msg, "modalities", "invalid_value")
    if "audio" not in modalities:
        return None
    audio = body.get("audio")
    if not isinstance(audio, dict):
        msg = "Missing required parameter: 'audio', since 'modalities' has 'audio'."
        raise invalid(msg, "audio", "missing_required_parameter")
    # OpenAI streams pcm16 only; its other formats would need an encoder.
    formats = ("pcm16",) if stream else ("wav", "pcm16")
    try:
        name = checks.choice(audio, "format", formats)
    except RefusedError as refused:
        raise invalid(str(refused), "audio.format", "invalid_value") from refused
    if name is None:
        msg = "Missing required parameter: 'audio.format'."
        raise invalid(msg, "audio.format", "missing_required_parameter")
    return name


@attrs.frozen
class Speech:
    """A spoken answer: what is said, in tokens, and the sound."""

    tokens: list[str]
    format: str
    id: str = attrs.field(factory=lambda: f"audio_{uuid.uuid4().hex[:24]}")
    expires_at: int = attrs.field(factory=lambda: int(time.time()) + _EXPIRES_AFTER)

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "data": base64.b64encode(self._sound()).decode(),
            "expires_at": self.expires_at,
            "transcript": "".join(self.tokens),
        }

    def deltas(self) -> Iterator[dict[str, Any]]:
        """What a stream sends of it, in order: the id, the words, the sound, when it expires."""
        yield {"id": self.id, "transcript": ""}
        for token in self.tokens:
            yield {"transcript": token}
        sound = self._sound()
        for start in range(0, len(sound), _PIECE):
            yield {"data": base64.b64encode(sound[start : start + _PIECE]).decode()}
        yield {"expires_at": self.expires_at}

    def _sound(self) -> bytes:
        samples = bytes(2 * _SAMPLES_PER_TOKEN * len(self.tokens))
        if self.format == "pcm16":
            return samples
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(_RATE)
            writer.writeframes(samples)
        return file.getvalue()
