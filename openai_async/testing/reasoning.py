"""What a reasoning model says before its answer."""

import re

from .chat_request import ChatRequest

_REASONING_MODEL = re.compile(r"reason|think|\br1\b", re.IGNORECASE)
_SENTENCES = {"minimal": 1, "low": 2, "medium": 3, "high": 4, "xhigh": 5, "max": 5}
_LONGEST_QUOTE = 80


def reasoning(request: ChatRequest) -> str | None:
    """The thoughts: for a `reasoning_effort`, or a model whose name says that it reasons."""
    effort = request.reasoning_effort
    if effort is None and _REASONING_MODEL.search(request.model):
        effort = "medium"
    if effort is None or effort == "none":
        return None
    question = request.last_user_message
    text = " ".join(question.text.split()) if question is not None else ""
    sentences = (
        f"The user says “{text[:_LONGEST_QUOTE]}”.",
        f"There are {len(request.messages)} messages and {len(request.tools)} tools to look at.",
        "No model runs here, so there is nothing to find out.",
        "I could ask back, but that would not be polite.",
        "A friendly answer it is.",
    )
    return " ".join(sentences[: _SENTENCES[effort]])
