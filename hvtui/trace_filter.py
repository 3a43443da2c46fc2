"""Which events somebody wants to see: words that an event must match, or must not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from engine.debug.event_words import KINDS, place
from engine.events import Event

_TYPES: dict[str, frozenset[type[Event]]] = {
    kind.replace("-", ""): frozenset(each for each, its in KINDS.items() if its == kind) for kind in KINDS.values()
}


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a filter; exactly one of `types`, `place` and `text` is set."""

    types: frozenset[type[Event]] = frozenset()
    place: str = ""
    """A partition or a vCPU."""
    text: str = ""
    """Part of the line, in small letters."""
    excludes: bool = False

    def matches(self, event: Event, line: Callable[[], str]) -> bool:
        """Whether an event is one of these; `line` gives its words in small letters."""
        if self.types:
            found = type(event) in self.types
        elif self.place:
            found = self.place in (event.vm, place(event))
        else:
            found = self.text in line()
        return found is not self.excludes


@dataclass(frozen=True, slots=True)
class Filter:
    """Every term must match."""

    text: str = ""
    """As it was typed."""
    terms: tuple[Term, ...] = ()

    def matches(self, event: Event, line: Callable[[], str]) -> bool:
        """Whether somebody wants to see it; `line` gives its words, and is asked only when they matter."""
        return all(term.matches(event, lambda: line().lower()) for term in self.terms)


def parse_filter(text: str, partitions: Collection[str]) -> Filter:
    """A kind (`ffa`), a partition (`vm0`), a vCPU (`vm0/1`), or part of the line; with `-` before it: none of these.

    Words are looked at cheapest first, so that lines are made only of events that may match.
    """
    words = text.split()
    terms = [_term(word.removeprefix("-") or "-", len(word) > 1 and word[0] == "-", partitions) for word in words]
    return Filter(" ".join(words), tuple(sorted(terms, key=lambda term: bool(term.text))))


def _term(word: str, excludes: bool, partitions: Collection[str]) -> Term:
    small = word.lower()
    types = _TYPES.get(small.replace("-", ""))
    if types is not None:
        return Term(types=types, excludes=excludes)
    partition, slash, vcpu = word.partition("/")
    if partition in partitions and (not slash or vcpu.isdecimal()):
        return Term(place=word, excludes=excludes)
    return Term(text=small, excludes=excludes)
