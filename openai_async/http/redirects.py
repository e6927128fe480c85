"""Which redirects are followed."""

from __future__ import annotations

from yarl import URL

from .._unix_sockets import UNIX, join_url
from .aiohttp_internals import Answer
from .request import Request
from .urls import as_spelled, same_origin

# A redirect within one origin adds a slash or a version prefix: one or two hops.
MAX_REDIRECTS = 5


def redirect_target(answer: Answer, url: URL, request: Request) -> URL | None:
    """The URL to follow from `url`, if this redirect keeps the method, the body and the origin.

    RFC 9110, section 15.4: only 307 and 308 keep the method. A POST that 301 or 302 would turn
    into a GET is reported as an error, and so is a redirect that would take the key and the prompt
    to another origin: both raise an `APIStatusError` that names the target.
    """
    location = answer.headers.get("Location")
    if location is None or not (
        answer.status in (307, 308)
        or (answer.status in (301, 302, 303) and request.method in ("GET", "HEAD"))
    ):
        return None
    try:
        target = join_url(url, as_spelled(location))
        safe = same_origin(target, request.url) or (
            request.api_key is None
            and url.scheme != UNIX  # whose connections lead nowhere else
            and target.scheme in ("http", "https")
        )
    except ValueError:  # not a URL, or one without an origin
        return None
    return target if safe and target.host else None
