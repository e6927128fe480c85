"""The compact set of ids: it does what `set` does."""

from __future__ import annotations

import tracemalloc

from hypothesis import example, given
from hypothesis import strategies as st

from openai_async.batch.ids import IdSet

# "\ud800" is a lone surrogate, which is not valid text but may be an id.
IDS = st.text(alphabet="ab1é\U0001f600\ud800\0", max_size=3)


@given(st.lists(IDS))
@example(["\ud800", "\ud801", "?", "\ufffd"])
def test_it_adds_and_finds_as_a_set_does(ids: list[str]) -> None:
    ours, theirs = IdSet(), set[str]()
    for id in ids:
        assert (id in ours) == (id in theirs)
        assert ours.add(id) == (id not in theirs)
        theirs.add(id)
        assert len(ours) == len(theirs)


def test_growing_loses_nothing() -> None:
    ids = IdSet()
    assert all(ids.add(f"request-{number}") for number in range(20_000))
    assert not any(ids.add(f"request-{number}") for number in range(20_000))
    assert not any(f"other-{number}" in ids for number in range(20_000))
    assert len(ids) == 20_000


def test_memory_is_bounded_at_rest_and_while_growing() -> None:
    count = 12_500
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        ids = IdSet()
        for number in range(count):
            ids.add(str(number))
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 48 * count  # at worst one slot of 16 bytes in three is taken
    assert peak - before < 1.6 * (after - before)  # the old table beside the new, half its size


def test_it_says_how_large_it_is() -> None:
    ids = IdSet()
    ids.add("a")
    assert repr(ids) == "IdSet(1 ids, 16384 bytes)"
