"""Monitor lines: a command of the registry and its values, read, checked and completed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from engine.board import intids
from engine.debug.event_words import KINDS
from hvtui.actions import ACTIONS, Action, Kind, Param
from hvtui.modes import MODES
from hvtui.palettes import PALETTES
from hvtui.times import parse_seconds

LONGEST = 1000
"""Characters of a line."""
_TOKEN = re.compile(r'\s*((?:\w+:)?\[[^\]]*\]|"[^"]*"|\S+)')
_MOST_COMPLETIONS = 200
GOAL_WORDS = ("trap", "ffa", "interrupt", "world")
EVENT_KINDS = ("any", *dict.fromkeys(kind.replace("-", "") for kind in KINDS.values()))


class MonitorError(ValueError):
    """A line that cannot be understood, in one line."""


class Command(NamedTuple):
    """What a line asks for."""

    action: Action
    values: tuple[Any, ...]
    """Of the parameters, in their order; None for one that was left out."""


@dataclass(frozen=True)
class Facts:
    """What there is on a machine: for checks, and to complete words with."""

    vcpus: Mapping[str, int]
    """How many vCPUs, by partition."""
    consoles: Sequence[str] = ()
    ports: Sequence[str] = ()
    symbols: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By partition."""
    registers: Sequence[str] = ()
    selected: tuple[str, int] = ("", 0)
    stops: Sequence[int] = ()
    """Numbers of breakpoints and watchpoints."""


def parse(line: str, facts: Facts) -> Command | None:
    """The command of a line; None for an empty one or a comment (`#`). MonitorError, in words, for a wrong one."""
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    if len(text) > LONGEST:
        raise MonitorError(f"expected a line of at most {LONGEST} characters (got {len(text)})")
    word, _, rest = text.partition(" ")
    action = find(word)
    return Command(action, tuple(_values(action, rest.strip(), facts)))


def find(word: str) -> Action:
    """The action that a word stands for: its name, an alias, or a beginning that only one has. MonitorError else."""
    wanted = word.replace("_", "-").lower()
    for action in ACTIONS:
        if wanted == action.word or wanted in action.aliases:
            return action
    found = [action for action in ACTIONS if action.word.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise MonitorError(f"expected one of {', '.join(action.word for action in found)} (got {word!r})")
    raise MonitorError(f"expected a command, :help lists them (got {word!r})")


def _values(action: Action, rest: str, facts: Facts) -> Iterator[Any]:
    refused: MonitorError | None = None
    for place, param in enumerate(action.params):
        last = place == len(action.params) - 1
        token, after = (rest, "") if last else _token(rest)
        if not token:
            if not param.optional:
                raise MonitorError(f"{action.word}: expected {param.kind.value} ({action.usage})")
            yield None
            continue
        try:
            value = _READ[param.kind](_unquoted(token), facts)
        except MonitorError as error:
            refused = refused or error
            if last or not param.optional:
                raise MonitorError(f"{action.word}: {refused}") from None
            yield None  # it may be what the next one is
            continue
        yield value
        rest, refused = after, None
    if rest and not action.params:
        raise MonitorError(f"{action.word}: expected nothing more (got {rest!r})")


def _token(text: str) -> tuple[str, str]:
    """The first word, and what follows it."""
    found = _TOKEN.match(text)
    return (found[1], text[found.end() :].strip()) if found else ("", "")


def _unquoted(token: str) -> str:
    return token[1:-1] if len(token) > 1 and token[0] == token[-1] == '"' else token


# --- values --------------------------------------------------------------------------------------------


def _refuse(kind: Kind, token: str) -> MonitorError:
    return MonitorError(f"expected {kind.value} (got {token!r})")


def _number(kind: Kind, least: int) -> Callable[[str, Facts], int]:
    def read(token: str, _: Facts) -> int:
        try:
            value = int(token, 0)
        except ValueError:
            raise _refuse(kind, token) from None
        if not least <= value < 1 << 32:
            raise _refuse(kind, token)
        return value

    return read


def _intid(token: str, _: Facts) -> int:
    try:
        return intids.parse(token)
    except ValueError as error:
        raise MonitorError(f"{error} (got {token!r})") from None


def _vcpu(token: str, facts: Facts) -> tuple[str, int]:
    vm, slash, index = token.partition("/")
    number = index if slash else "0"
    if vm not in facts.vcpus or not number.isascii() or not number.isdigit() or int(number) >= facts.vcpus[vm]:
        raise MonitorError(f"expected a vCPU, one of {', '.join(_all_vcpus(facts))} (got {token!r})")
    return vm, int(number)


def _all_vcpus(facts: Facts) -> list[str]:
    return [f"{vm}/{index}" for vm, count in facts.vcpus.items() for index in range(count)]


def _console(token: str, facts: Facts) -> str:
    if token.isascii() and token.isdigit() and 1 <= int(token) <= len(facts.consoles):
        return facts.consoles[int(token) - 1]
    return _one_of(Kind.CONSOLE, lambda f: f.consoles)(token, facts)


def _one_of(kind: Kind, choices: Callable[[Facts], Sequence[str]]) -> Callable[[str, Facts], str]:
    def choose(token: str, facts: Facts) -> str:
        known = choices(facts)
        if token not in known:
            raise MonitorError(f"expected {kind.value}, one of {', '.join(known) or 'none'} (got {token!r})")
        return token

    return choose


def _action(token: str, _: Facts) -> str:
    return find(token).name


def _time(token: str, _: Facts) -> int:
    try:
        return parse_seconds(token)
    except ValueError as error:
        raise MonitorError(str(error)) from None


def _condition(token: str, _: Facts) -> str:
    word, _space, expression = token.partition(" ")
    if word != "if" or not expression.strip():
        raise _refuse(Kind.CONDITION, token)
    return expression.strip()


def _as_it_is(token: str, _: Facts) -> str:
    return token


def _screens(_: Facts) -> Sequence[str]:
    return [mode.name for mode in MODES]


def _themes(_: Facts) -> Sequence[str]:
    return [palette.name for palette in PALETTES]


_READ: dict[Kind, Callable[[str, Facts], Any]] = {
    Kind.COUNT: _number(Kind.COUNT, 1),
    Kind.NUMBER: _number(Kind.NUMBER, 0),
    Kind.STOP: _number(Kind.STOP, 1),
    Kind.INTID: _intid,
    Kind.VM: _one_of(Kind.VM, lambda facts: list(facts.vcpus)),
    Kind.VCPU: _vcpu,
    Kind.CONSOLE: _console,
    Kind.PORT: _one_of(Kind.PORT, lambda facts: facts.ports),
    Kind.PLACE: _as_it_is,
    Kind.GOAL: _as_it_is,
    Kind.REGISTER: _as_it_is,
    Kind.ACCESS: _one_of(Kind.ACCESS, lambda _: ("r", "w", "rw")),
    Kind.SPACE: _one_of(Kind.SPACE, lambda _: ("va", "ipa", "pa")),
    Kind.SCREEN: _one_of(Kind.SCREEN, _screens),
    Kind.THEME: _one_of(Kind.THEME, _themes),
    Kind.ACTION: _action,
    Kind.PATH: _as_it_is,
    Kind.TIME: _time,
    Kind.EVENT: _one_of(Kind.EVENT, lambda _: EVENT_KINDS),
    Kind.TEXT: _as_it_is,
    Kind.EXPRESSION: _as_it_is,
    Kind.CONDITION: _condition,
}


# --- completion ----------------------------------------------------------------------------------------


def complete(line: str, facts: Facts) -> tuple[int, list[str]]:
    """(where the last word begins, words that it may become), at most 200; the commands for an empty line."""
    word, space, rest = line.lstrip().partition(" ")
    if not space:
        words = [action.word for action in ACTIONS if not action.scripted]
        return len(line) - len(word), [each for each in words if each.startswith(word)][:_MOST_COMPLETIONS]
    try:
        action = find(word)
    except MonitorError:
        return len(line), []
    prefix = "" if line.endswith(" ") else rest.split(" ")[-1]
    done = rest[: len(rest) - len(prefix)].split()
    choices = _choices(_params_at(action, len(done)), prefix, facts)
    return len(line) - len(prefix), [each for each in dict.fromkeys(choices) if each.startswith(prefix)][
        :_MOST_COMPLETIONS
    ]


def _params_at(action: Action, place: int) -> Sequence[Param]:
    """What a word may be: that parameter, or a later one where it may be left out; at the end, the last one again."""
    params = action.params[min(place, len(action.params) - 1) :] if action.params else ()
    for count, param in enumerate(params, start=1):
        if not param.optional:
            return params[:count]
    return params


def _choices(params: Sequence[Param], prefix: str, facts: Facts) -> Iterator[str]:
    for param in params:
        offer = _OFFERS.get(param.kind)
        if offer is not None:
            yield from offer(facts)
        elif param.kind is Kind.PATH:
            yield from _files(prefix)


def _symbols(facts: Facts) -> Sequence[str]:
    return facts.symbols.get(facts.selected[0], ())


_OFFERS: dict[Kind, Callable[[Facts], Sequence[str]]] = {
    Kind.VM: lambda facts: list(facts.vcpus),
    Kind.VCPU: _all_vcpus,
    Kind.CONSOLE: lambda facts: facts.consoles,
    Kind.PORT: lambda facts: facts.ports,
    Kind.INTID: lambda _: [str(intid) for intid in intids.choices()],
    Kind.PLACE: lambda facts: [*_symbols(facts), *facts.registers],
    Kind.GOAL: lambda facts: [*GOAL_WORDS, *_symbols(facts)],
    Kind.REGISTER: lambda facts: facts.registers,
    Kind.EXPRESSION: lambda facts: [*facts.registers, *_symbols(facts)],
    Kind.CONDITION: lambda facts: ["if", *facts.registers],
    Kind.ACCESS: lambda _: ("r", "w", "rw"),
    Kind.SPACE: lambda _: ("va", "ipa", "pa"),
    Kind.STOP: lambda facts: [str(number) for number in facts.stops],
    Kind.SCREEN: _screens,
    Kind.THEME: _themes,
    Kind.EVENT: lambda _: EVENT_KINDS,
    Kind.ACTION: lambda _: [action.word for action in ACTIONS],
}


def _files(prefix: str) -> Iterator[str]:
    """Files and folders that a path may become."""
    folder = prefix[: prefix.rfind("/") + 1]
    try:
        found = sorted(Path(folder or ".").iterdir())[:_MOST_COMPLETIONS]
    except OSError:
        return
    yield from (f"{folder}{each.name}{'/' if each.is_dir() else ''}" for each in found)
