"""A small language for what a debugger is told: numbers, registers, symbols, memory, and operators on them.

Every value is an unsigned 64-bit number, and arithmetic wraps. Operators bind, from loose to tight: `||`, `&&`,
comparisons (one at a time), `|`, `^`, `&`, shifts, `+ -`, `*`, and the unary `- ~ !`. So `x0 & 1 == 1` asks for
the lowest bit, as in Python and unlike in C. `[expr]` and `u64[expr]` load 8 bytes, `u32[expr]` 4 and so on.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from engine.arch.bits import MASK64

LONGEST: Final = 256
"""Characters."""
DEEPEST: Final = 24
"""Brackets, loads and unary operators within each other."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)(?![\w.$])"
    r"|(?P<load>[uU](?:8|16|32|64))\s*(?=\[)"
    r"|(?P<name>[A-Za-z_.$][\w.$]*)"
    r"|(?P<op>\|\||&&|==|!=|<=|>=|<<|>>|[-+*&|^~<>()!\[\]]))"
)
_COMPARISON = 3


class ExpressionError(ValueError):
    """An expression that cannot be understood or worked out, in one line."""


class Scope(Protocol):
    """What names and addresses mean: one vCPU at one moment."""

    def value(self, name: str) -> int | None:
        """A register, in any case of letters, or a symbol's address; None if there is neither."""

    def load(self, address: int, size: int) -> int:
        """1, 2, 4 or 8 bytes at a virtual address, little endian. Raises ExpressionError."""


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """A register or a symbol: which one is decided when the value is asked for."""

    text: str


@dataclass(frozen=True, slots=True)
class Load:
    """Memory of the vCPU."""

    size: int
    """Bytes."""
    address: Tree


@dataclass(frozen=True, slots=True)
class Unary:
    """One of `- ~ !`."""

    op: str
    operand: Tree


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two values; `&&` and `||` look at the second only where it matters."""

    op: str
    left: Tree
    right: Tree


Tree: TypeAlias = Number | Name | Load | Unary | Binary


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression and what was typed."""

    text: str
    tree: Tree

    def evaluate(self, scope: Scope) -> int:
        """Its value, 0 to 2^64 - 1. Raises ExpressionError for a name or a place that is not there."""
        return evaluate(self.tree, scope)


def _shift_left(left: int, right: int) -> int:
    return left << right if right < 64 else 0


_ARITHMETIC: dict[str, tuple[int, Callable[[int, int], int]]] = {
    "==": (_COMPARISON, operator.eq),
    "!=": (_COMPARISON, operator.ne),
    "<": (_COMPARISON, operator.lt),
    "<=": (_COMPARISON, operator.le),
    ">": (_COMPARISON, operator.gt),
    ">=": (_COMPARISON, operator.ge),
    "|": (4, operator.or_),
    "^": (5, operator.xor),
    "&": (6, operator.and_),
    "<<": (7, _shift_left),
    ">>": (7, operator.rshift),
    "+": (8, operator.add),
    "-": (8, operator.sub),
    "*": (9, operator.mul),
}
_BINDING = {"||": 1, "&&": 2} | {op: level for op, (level, _) in _ARITHMETIC.items()}
_UNARY: dict[str, Callable[[int], int]] = {"-": operator.neg, "~": operator.invert, "!": operator.not_}


def parse(text: str) -> Expression:
    """Raises ExpressionError, which says what was expected and at which character."""
    if len(text) > LONGEST:
        raise ExpressionError(f"expected an expression of at most {LONGEST} characters (got {len(text)})")
    return Expression(text.strip(), _Parser(text).parse())


def evaluate(tree: Tree, scope: Scope) -> int:
    """The value of a tree, 0 to 2^64 - 1. Raises ExpressionError."""
    match tree:
        case Number(value):
            return value
        case Name(text):
            found = scope.value(text)
            if found is None:
                raise ExpressionError(f"expected a register or a symbol (got {text!r})")
            return found & MASK64
        case Load(size, address):
            return scope.load(evaluate(address, scope), size)
        case Unary(op, operand):
            return int(_UNARY[op](evaluate(operand, scope))) & MASK64
        case Binary(op, left, right):
            return _binary(op, left, right, scope)


def _binary(op: str, left: Tree, right: Tree, scope: Scope) -> int:
    first = evaluate(left, scope)
    if op == "&&":
        return int(bool(first) and bool(evaluate(right, scope)))
    if op == "||":
        return int(bool(first) or bool(evaluate(right, scope)))
    return int(_ARITHMETIC[op][1](first, evaluate(right, scope))) & MASK64


def names(tree: Tree) -> Iterator[str]:
    """Every name in it, so that a wrong one can be refused before anything depends on it."""
    match tree:
        case Name(text):
            yield text
        case Load(_, inner) | Unary(_, inner):
            yield from names(inner)
        case Binary(_, left, right):
            yield from names(left)
            yield from names(right)
        case Number():
            return


class _Parser:
    """Precedence climbing over tokens; one use each."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0

    def parse(self) -> Tree:
        tree = self._expression(0, 0)
        if self._peek()[0] != "end":
            raise self._wrong("an operator or the end")
        return tree

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._next]

    def _wrong(self, expected: str) -> ExpressionError:
        _, text, at = self._peek()
        return ExpressionError(f"expected {expected} at character {at + 1} (got {text or 'the end'})")

    def _expression(self, loosest: int, depth: int) -> Tree:
        left = self._operand(depth)
        while True:
            op = self._peek()[1]
            level = _BINDING.get(op, -1)
            if level < loosest or level < 0:
                return left
            self._next += 1
            left = Binary(op, left, self._expression(level + 1, depth))
            if level == _COMPARISON and _BINDING.get(self._peek()[1]) == _COMPARISON:
                raise self._wrong("brackets around one of two comparisons")

    def _operand(self, depth: int) -> Tree:
        if depth > DEEPEST:
            raise ExpressionError(f"expected at most {DEEPEST} brackets and signs within each other")
        kind, text, _ = self._peek()
        if kind not in ("number", "load", "name") and text not in (*_UNARY, "(", "["):
            raise self._wrong("a number, a register, a symbol, [ or (")
        self._next += 1
        if kind == "number":
            return Number(self._number(text))
        if kind == "load":
            self._next += 1
            return Load(int(text[1:]) // 8, self._within("]", depth))
        if kind == "name":
            return Name(text)
        if text == "(":
            return self._within(")", depth)
        return Load(8, self._within("]", depth)) if text == "[" else Unary(text, self._operand(depth + 1))

    def _number(self, text: str) -> int:
        value = int(text, 10 if text.isdecimal() else 0)
        if value > MASK64:
            self._next -= 1
            raise self._wrong("a number of at most 64 bits")
        return value

    def _within(self, closing: str, depth: int) -> Tree:
        tree = self._expression(0, depth + 1)
        if self._peek()[1] != closing:
            raise self._wrong(closing)
        self._next += 1
        return tree


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """(kind, text, place) of each token, then ("end", "", place)."""
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            start = end - len(text[at:end].lstrip())
            raise ExpressionError(
                f"expected a number, a name or an operator at character {start + 1} (got {text[start]})"
            )
        yield found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)
        at = found.end()
    yield "end", "", end
