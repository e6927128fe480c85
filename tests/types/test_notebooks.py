"""How answers show themselves in a notebook, and that nothing which a model wrote runs there.

markdown-it renders the Markdown as notebooks do, with all HTML let through.
"""

from __future__ import annotations

import subprocess
import sys
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from openai_async.types.chat import ChatCompletion
from openai_async.types.models import ModelList
from openai_async.types.notebooks import html_table, safe_markdown


class Seen(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(markdown: str) -> Seen:
    # Links to anywhere are let through, as some notebooks do.
    renderer = MarkdownIt("commonmark", {"html": True})
    renderer.validateLink = lambda url: True  # type: ignore[method-assign]
    return Seen(renderer.render(markdown))


def completion(*messages: dict[str, Any], **fields: Any) -> ChatCompletion:
    choices = [{"index": n, "message": message} for n, message in enumerate(messages)]
    return ChatCompletion.from_dict({"choices": choices, **fields})


def test_a_completion_is_its_text_as_markdown_with_the_model_and_the_tokens() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
    shown = completion({"content": "# Sky\n\nIt is *blue*."}, model="gpt-5.4", usage=usage)
    seen = rendered(shown._repr_markdown_())
    assert [tag for tag, _ in seen.tags] == ["h1", "p", "em", "p", "code"]
    assert " ".join(seen.text.split()) == "Sky It is blue. gpt-5.4, 21 tokens (9 + 12)"


def test_refusals_tool_calls_and_unusual_ends_are_shown() -> None:
    calls = [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": "*"}'}},
        {"id": "2", "type": "custom", "custom": {"name": "g", "input": "x_y_z"}},
    ]
    text = rendered(completion({"tool_calls": calls})._repr_markdown_()).text
    assert text.split() == ["Tool", "call:", "f", '{"a":', '"*"}', "Tool", "call:", "g", "x_y_z"]
    assert "Refusal: No." in rendered(completion({"refusal": "No."})._repr_markdown_()).text
    cut = {"choices": [{"finish_reason": "length", "message": {"content": "Once"}}]}
    text = rendered(ChatCompletion.from_dict(cut)._repr_markdown_()).text
    assert text.split() == ["Once", "Finish", "reason:", "length"]


def test_each_of_several_choices_has_a_title() -> None:
    text = rendered(completion({"content": "a"}, {"content": "b"})._repr_markdown_()).text
    assert text.split() == ["Choice", "0", "a", "Choice", "1", "b"]


def test_an_empty_completion_shows_nothing() -> None:
    assert ChatCompletion()._repr_markdown_() == ""


@pytest.mark.parametrize(
    "code",
    [
        "```html\n<b>if a &lt; b:</b>\n\n    return *1*\n```",
        "~~~\n<script>$x$</script>\n```\n~~~",
        "Use `<b>`, ``a ` b`` and `x & y`.",
        "- one:\n  ```\n  a <b> c\n  ```\n- two",
        "```\nnot closed <i>",
    ],
)
def test_code_is_shown_exactly(code: str) -> None:
    shown, plain = rendered(safe_markdown(code)), rendered(code)
    assert "".join(shown.text.split()) == "".join(plain.text.split())
    assert ("pre" in dict(shown.tags)) == ("pre" in dict(plain.tags))


def test_quotes_lists_links_and_comparisons_are_shown_as_ever() -> None:
    text = "> 1 < 2 & 3 > 2\n\n1. [link](https://example.com/?a=1&b=2)\n2. AT&T"
    seen = rendered(safe_markdown(text))
    assert seen.text.split() == rendered(text).text.split()
    assert ("a", {"href": "https://example.com/?a=1&b=2"}) in seen.tags


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "- item\n  ```\n<script>alert(1)</script>",
    "$$\n```\n$$\n<script>alert(1)</script>",
    "`a\n<b onclick=x>`",
    "```\n</code></pre><script>x</script>\n```",
    "[x](javascript:alert(1))",
    "[x](JavaScript&colon;alert(1))",
    "[x](javascript\\:alert(1))",
    "[x][y]\n\n[y]: vbscript:alert(1)",
    "<javascript:alert(1)>",
    "![x](https://example.com/?secret)",
    "!![x](https://example.com/?secret)",
    "![x][y]\n\n[y]: https://example.com/?secret",
    "&lt;script&gt;",
]
OURS = {
    *("p", "a", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "br", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
}


def assert_harmless(text: str) -> None:
    seen = rendered(safe_markdown(text))
    assert {tag for tag, _ in seen.tags} <= OURS
    attributes = {name for _, attrs in seen.tags for name in attrs}
    assert attributes <= {"href", "title", "start", "class"}
    for _, attrs in seen.tags:
        target = (attrs.get("href") or "").strip().lower()
        assert not target.startswith(("javascript:", "vbscript:"))


@pytest.mark.parametrize("text", ATTACKS)
def test_nothing_in_a_text_runs_or_is_loaded(text: str) -> None:
    assert_harmless(text)


PIECES = (
    *("`", "``", "```", "~~~", "\n", "\n\n", "  ", "    ", "- ", "> ", "$$", "\\", "<", "<b "),
    *("<script>", "</pre>", "-->", "<!--", "!", "![x]", "[x]", "(javascript:a)", ": ", "&lt;"),
)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join))
def test_nothing_runs_however_a_text_is_put_together(text: str) -> None:
    assert_harmless(text)


def test_a_hostile_text_takes_no_time() -> None:
    began = time.process_time()
    for text in ("`" * 100_000, "` `` " * 20_000, "```\n" * 20_000, "[" * 100_000):
        safe_markdown(text)
    assert time.process_time() - began < 5


def test_models_are_a_table() -> None:
    models = ModelList.from_dict(
        {"data": [{"id": "<b>", "created": 1_700_000_000, "owned_by": "me"}, {"id": "b"}]}
    )
    seen = Seen(models._repr_html_())
    assert [tag for tag, _ in seen.tags].count("tr") == 3
    assert seen.text == "idcreatedowned by<b>2023-11-14meb"


@pytest.mark.parametrize("created", [10**18, -(10**18)])
def test_a_date_that_no_calendar_has_is_left_out(created: int) -> None:
    models = ModelList.from_dict({"data": [{"id": "m", "created": created}]})
    assert Seen(models._repr_html_()).text == "idcreatedowned bym"


def test_cells_are_escaped() -> None:
    assert Seen(html_table([('<script>"', "&amp;")])).text == '<script>"&amp;'


def test_the_code_for_notebooks_is_imported_when_it_is_used() -> None:
    code = (
        "import sys; from openai_async.types.chat import ChatCompletion; from openai_async.batch "
        "import BatchReport; name = 'openai_async.types.notebooks'; print(name in sys.modules); "
        "ChatCompletion()._repr_markdown_(); print(name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
