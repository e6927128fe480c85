"""What is typed or pasted at the prompt of a conversation: text of several lines is one question.

Most terminals mark where a paste begins and ends if they are asked to, and GNU readline then takes
it for a single line. Other terminals and libedit do not: there, lines that come without a pause
belong together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from select import select

PROMPT = "> "
CONTINUATION_PROMPT = "... "
# Seconds: longer than between the lines of a paste, shorter than between two that are typed.
PAUSE = 0.05


def prepare() -> None:
    """Give `input()` arrow keys, a history and whole pastes."""
    try:
        import readline
    except ImportError:  # on Windows
        return
    readline.parse_and_bind("set enable-bracketed-paste on")


def read_text(is_whole: Callable[[str], bool]) -> str:
    """A line, or all lines that were pasted together or continued with a backslash.

    Args:
        is_whole: whether text is complete, whatever follows it.

    Raises:
        EOFError: there is no more.
    """
    text = input(PROMPT)
    while not is_whole(text):
        if _more_has_come():
            text += "\n" + input()
        elif text.endswith("\\"):
            text = text[:-1] + "\n" + input(CONTINUATION_PROMPT)
        else:
            break
    return text.rstrip("\n")


def _more_has_come() -> bool:
    if sys.platform == "win32":  # where select() is for sockets
        return False
    # readline shows what it reads; without it, the terminal does, as soon as it comes.
    with hidden() if _has_readline() else nullcontext():
        return bool(select([sys.stdin], [], [], PAUSE)[0])


@contextmanager
def hidden() -> Iterator[None]:
    """Do not show what is typed: readline does, at the next prompt. Without it, it is discarded."""
    if sys.platform == "win32":  # which shows only what is being read
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    # With ICANON, as in a shell, the terminal would cut lines of more than 4095 bytes.
    flags = before[3] & ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(sys.stdin, termios.TCSANOW, [*before[:3], flags, *before[4:]])
    try:
        yield
    finally:
        when = termios.TCSANOW if _has_readline() else termios.TCSAFLUSH
        termios.tcsetattr(sys.stdin, when, before)


def _has_readline() -> bool:
    return "readline" in sys.modules
