"""The words of a prompt from which readable values are made."""

import re

from .chat_request import ChatRequest

_WORD = re.compile(r"\w+")
# Shorter ones are mostly "is", "the" and "in".
_LONG = 4
_ASKING = frozenset(
    ("what", "when", "where", "which", "whose", "does", "tell", "give", "show", "please", "with")
)


def prompt_words(request: ChatRequest) -> list[str]:
    """The most telling words of the question first: its names, then the longest; never empty."""
    question = request.last_user_message
    names = {tool[tool["type"]]["name"] for tool in request.tools}
    text = question.text if question is not None else ""
    words: list[str] = [word for word in _WORD.findall(text) if word not in names]
    capitalised = [word for word in words[1:] if word[0].isupper() and len(word) > 1]
    by_length = sorted(words, key=len, reverse=True)
    long = [word for word in by_length if len(word) >= _LONG and word.lower() not in _ASKING]
    return [*dict.fromkeys(capitalised + long)] or by_length[:1] or ["something"]
