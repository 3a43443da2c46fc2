"""Labelled values in lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hvtui.items import Item, Line, Page, heading, lay_out
from hvtui.theme import Ink


def texts(lines: list[Line]) -> list[str]:
    return ["".join(part for part, _ in line).rstrip() for line in lines]


def test_values_stand_in_one_column_and_go_on_below() -> None:
    page = Page([Item("call", "one two three four"), Item("x", "y", depth=1), *heading("more"), Item("a", "b")], [])
    assert texts(lay_out(page, 24)) == [
        "call       one two three",
        "           four",
        " x         y",
        "",
        "more",
        "a          b",
    ]


def test_long_words_are_cut() -> None:
    assert texts(lay_out(Page([Item("n", "0123456789abcdef")], []), 23)) == [
        "n          0123456789ab",
        "           cdef",
    ]


def test_a_second_column_where_there_is_room() -> None:
    page = Page([Item("one", "1"), Item("two", "2")], [*heading("aside"), Item("three", "3")])
    assert texts(lay_out(page, 77)) == ["one        1", "two        2", "", "aside", "three      3"]
    beside = texts(lay_out(page, 78))
    assert [line[:38].rstrip() for line in beside] == ["one        1", "two        2"]
    assert [line[40:] for line in beside] == ["aside", "three      3"]


items = st.builds(
    Item, st.text("abc", max_size=12), st.text("xyz 0", max_size=80), st.just(Ink.TEXT), st.integers(0, 2)
)


@given(st.lists(items, max_size=8), st.lists(items, max_size=8), st.integers(30, 160))
def test_lines_are_never_wider(main: list[Item], aside: list[Item], width: int) -> None:
    page = Page([*main], [*aside])
    assert all(len(line) <= width for line in texts(lay_out(page, width)))


@given(st.lists(items, max_size=8), st.integers(30, 160))
def test_nothing_is_lost(main: list[Item], width: int) -> None:
    told = "".join(texts(lay_out(Page([*main], []), width)))
    assert told.replace(" ", "") == "".join(item.label + item.value for item in main).replace(" ", "")
