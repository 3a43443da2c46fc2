"""Rows that grow at both ends, against a dictionary from numbers to values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hvtui.trace_rows import Rows

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("prepend"), st.integers(1, 5)),
        st.tuples(st.just("drop"), st.integers(-60, 60)),
    ),
    max_size=60,
)


class Model:
    """Numbers and values of the rows that are there."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.kept: dict[int, int] = {}
        self.low = self.high = self.first = self.end = 0
        self.dropped = False

    def do(self, what: str, value: int) -> None:
        if what == "append":
            self.high += value
            self.rows.append(self.high)
            self.kept[self.end] = self.high
            self.end += 1
        elif what == "prepend" and not self.dropped:
            self.low -= value
            self.rows.prepend(self.low)
            self.first -= 1
            self.kept[self.first] = self.low
        elif what == "drop":
            self.rows.drop_before(value)
            self.kept = {number: each for number, each in self.kept.items() if each >= value}
            self.dropped = True
            self.first = min(self.kept, default=self.end or 0)


@given(STEPS, st.integers(-70, 70), st.integers(-70, 70))
def test_numbers_stay_whatever_comes_and_goes(steps: list[tuple[str, int]], start: int, end: int) -> None:
    model = Model()
    for step in steps:
        model.do(*step)
    rows = model.rows
    assert (rows.first, rows.end) == (model.first, model.end)
    assert rows.between(start, end) == [model.kept[n] for n in sorted(model.kept) if start <= n < end]
    assert rows.find(start) == min((n for n, each in model.kept.items() if each >= start), default=model.end)


def test_memory_of_dropped_rows_is_given_back() -> None:
    rows = Rows()
    for value in range(200_000):
        rows.append(value)
    rows.drop_before(150_000)
    assert (rows.first, rows.end) == (150_000, 200_000)
    assert len(rows._newer) == 50_000
    assert rows.between(150_000, 150_003) == [150_000, 150_001, 150_002]
    assert rows.find(160_000) == 160_000
    rows.drop_before(150_010)
    assert rows.between(0, 150_011) == [150_010]
