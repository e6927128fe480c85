"""How answers wrap at words: what a terminal shows of what `WordWrapper` returns."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from openai_async.cli.wrapping import WordWrapper


class Screen:
    """What a terminal of `width` cells shows, and which of its lines it broke by itself."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [""]
        self.broken = 0
        self.moved = False

    def write(self, text: str) -> None:
        for part in re.findall(r"\x1b\[K|.", text, re.DOTALL):
            if part == "\b":
                self._back()
                self.moved = True  # over what has to be erased
                continue
            if part == "\x1b[K":
                self.moved = False
                continue
            assert not self.moved
            if part == "\n":
                self.rows.append("")
            elif part == "\t":
                column = cell_len(self.rows[-1])
                self.rows[-1] += " " * (8 - column % 8)
            else:
                if cell_len(self.rows[-1] + part) > self.width:
                    self.broken += 1
                    self.rows.append("")
                self.rows[-1] += part

    def _back(self) -> None:
        """Take back one cell; a wide character takes two steps."""
        row = self.rows[-1]
        cells = cell_len(row)
        assert cells > 0, "a backspace at the beginning of a line"
        while cell_len(row) >= cells:
            row = row[:-1]
        self.rows[-1] = row + " " * (cells - 1 - cell_len(row))


def shown(*pieces: str, width: int = 21) -> list[str]:
    screen = Screen(width)
    wrapper = WordWrapper(lambda: width)
    for piece in pieces:
        screen.write(wrapper.feed(piece))
    return screen.rows


def test_a_word_that_does_not_fit_goes_to_the_next_line() -> None:
    assert shown("The quick brown fox jumps over") == ["The quick brown fox", "jumps over"]


def test_a_word_is_shown_as_soon_as_it_begins_and_moves_once_it_is_too_long() -> None:
    wrapper = WordWrapper(lambda: 21)
    screen = Screen(21)
    screen.write(wrapper.feed("An answer about incom"[:18]))
    assert screen.rows == ["An answer about in"]
    screen.write(wrapper.feed("comprehens"))
    assert screen.rows == ["An answer about", "incomprehens"]
    screen.write(wrapper.feed("ibility itself"))
    assert screen.rows == ["An answer about", "incomprehensibility", "itself"]


def test_a_line_may_fill_all_but_the_last_column() -> None:
    assert shown("a" * 9 + " " + "b" * 10) == ["a" * 9 + " " + "b" * 10]
    assert shown("a" * 9 + " " + "b" * 11) == ["a" * 9, "b" * 11]


def test_line_breaks_stay() -> None:
    assert shown("one\n\ntwo ", "\nthree") == ["one", "", "two", "three"]


def test_indentation_and_spaces_between_words_stay() -> None:
    assert shown("  - one   two\n\tthree") == ["  - one   two", "        three"]


def test_an_indented_line_wraps_without_any_other_change() -> None:
    text = "    return  alpha + beta"
    assert shown(text) == ["    return  alpha +", "beta"]


def test_a_tab_counts_up_to_the_next_stop() -> None:
    assert shown("abc\tdef\tghij\tk") == ["abc     def     ghij", "k"]


def test_a_url_longer_than_a_line_is_whole_on_lines_of_its_own() -> None:
    url = "https://example.com/a/very/long/path"
    wrapper = WordWrapper(lambda: 21)
    assert wrapper.feed(f"See {url} for more.") == f"See\n{url}\nfor more."
    # In pieces, too: only its beginning is written twice.
    wrapper = WordWrapper(lambda: 21)
    written = "".join(wrapper.feed(piece) for piece in ("See https", "://example.com/a/", "very"))
    assert written == "See https" + "\b" * 6 + "\x1b[K" + "\nhttps://example.com/a/very"


def test_wide_characters_take_two_columns() -> None:
    assert shown("여기는 서울 입니다 그리고") == ["여기는 서울 입니다", "그리고"]
    assert shown("0123456789 12345 🦦🦦🦦") == ["0123456789 12345", "🦦🦦🦦"]


def test_an_emoji_in_two_pieces_counts_once() -> None:
    technologist = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}"
    whole = "0123456789 1234567" + technologist
    # 20 columns with today's rich, and a few more with older ones.
    wrapper = WordWrapper(lambda: cell_len(whole) + 1)
    assert "".join(map(wrapper.feed, whole)) == whole


def test_a_line_may_end_between_ideographs() -> None:
    assert shown("我能吞下玻璃而不伤身体我能吞") == ["我能吞下玻璃而不伤身", "体我能吞"]
    assert shown("Use Python日本語日本語日本語") == ["Use Python日本語日本", "語日本語"]


def test_a_line_neither_begins_with_closing_punctuation_nor_ends_with_opening() -> None:
    assert shown("我能吞下玻璃而不伤身。我") == ["我能吞下玻璃而不伤", "身。我"]
    assert shown("我能吞下玻璃而不伤「身」") == ["我能吞下玻璃而不伤", "「身」"]


def test_a_no_break_space_is_part_of_a_word() -> None:
    assert shown("The distance is 100\xa0km") == ["The distance is", "100\xa0km"]


@pytest.mark.parametrize("fence", ["```", "~~~~"])
def test_code_between_fences_stays_as_it_is(fence: str) -> None:
    code = f"Like this:\n{fence}python\nprint('a long line of code', 'and more')\n{fence}\n"
    wrapper = WordWrapper(lambda: 21)
    assert "".join(map(wrapper.feed, code)) == code
    assert wrapper.feed("And this wraps as before.") == "And this wraps as\nbefore."


def test_other_fences_within_code_do_not_end_it() -> None:
    code = "````md\n```\nprint('a long line of code')\n```\n````\n"
    wrapper = WordWrapper(lambda: 21)
    assert wrapper.feed(code) == code
    assert wrapper.feed("And this wraps as before.") == "And this wraps as\nbefore."


def test_code_within_a_line_is_not_a_fence() -> None:
    wrapper = WordWrapper(lambda: 21)
    wrapper.feed("```x```\n")
    assert wrapper.feed("And this wraps as before.") == "And this wraps as\nbefore."


def test_a_window_that_becomes_narrower_or_wider_counts_from_then_on() -> None:
    width = 41
    wrapper = WordWrapper(lambda: width)
    assert wrapper.feed("The quick brown fox jumps ") == "The quick brown fox jumps"
    width = 11
    assert wrapper.feed("over the lazy dog") == "\nover the\nlazy dog"
    width = 31
    assert wrapper.feed(" and back again to me") == " and back again to me"


def test_a_word_that_the_terminal_has_moved_is_not_erased() -> None:
    width = 21
    wrapper = WordWrapper(lambda: width)
    wrapper.feed("The quick brown")
    width = 16
    assert wrapper.feed("ish fox") == "ish\nfox"


def test_a_space_is_not_lost_where_the_width_becomes_unknown() -> None:
    width = 21
    wrapper = WordWrapper(lambda: width)
    assert wrapper.feed("The quick ") == "The quick"
    width = 0
    assert wrapper.feed("brown ") == " brown "
    width = 21
    assert wrapper.feed("fox jumps") == "fox jumps"


@pytest.mark.parametrize("width", [0, 1])
def test_nothing_is_wrapped_where_the_width_is_unknown(width: int) -> None:
    text = "The quick brown fox jumps over\n  the lazy dog "
    assert WordWrapper(lambda: width).feed(text) == text


TEXTS = st.text(alphabet="ab ,\n\t日。「é🦦`", max_size=120)


@given(TEXTS, st.lists(st.integers(0, 120), max_size=10), st.integers(6, 30))
def test_the_screen_is_the_same_however_the_text_is_cut(
    text: str, places: list[int], width: int
) -> None:
    edges = [0, *sorted(places), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    whole = "".join(pieces)
    assert shown(*pieces, width=width) == shown(whole, width=width)


@given(st.lists(st.text(alphabet="abé🦦", min_size=1, max_size=12), max_size=30))
def test_words_that_fit_are_whole_and_lines_are_as_full_as_they_can_be(words: list[str]) -> None:
    width = 26
    screen = Screen(width)
    wrapper = WordWrapper(lambda: width)
    for character in " ".join(words):
        screen.write(wrapper.feed(character))
    assert screen.broken == 0
    assert " ".join(screen.rows).split() == words
    for row, following in pairwise(screen.rows):
        assert cell_len(f"{row.rstrip()} {following.split()[0]}") > width - 1


def test_the_time_for_a_long_text_without_spaces_is_linear() -> None:
    wrapper = WordWrapper(lambda: 80)
    wrapper.feed("start ")
    for _ in range(3000):  # quadratic, this would be minutes
        wrapper.feed("\u0301" * 100)
    assert wrapper.feed("x") == "x"
