"""Lanes of a sequence diagram: a column for each partition, and for what is above them; steps are arrows between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from rich.style import Style

from engine.ffa.abi import PartitionId
from engine.machine_config import MachineConfig
from engine.views import FfaPartitionView
from hvtui import text
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.trace_steps import Above, End, Look, Step, World

_LEAST_PITCH, _USUAL_PITCH = 9, 11
"""Columns of the screen that a lane takes: at least, so that all are seen; and where not all can be."""
_SHAFTS = {
    Look.CALL: "─",
    Look.ANSWER: "╌",
    Look.REFUSAL: "╌",
    Look.INTERRUPT: "┄",
    Look.WORLD: "═",
}
_GLYPHS = {Look.REFUSAL: "✗ ", Look.INTERRUPT: "↯ ", Look.MARK: "● "}
_STYLES = {
    Look.CALL: Ink.VIOLET,
    Look.ANSWER: Ink.GREEN,
    Look.REFUSAL: Ink.RED,
    Look.INTERRUPT: Ink.AMBER,
    Look.WORLD: Ink.BLUE,
    Look.MARK: Ink.TEXT,
}
_Cells: TypeAlias = list[tuple[str, Style]]


@dataclass(frozen=True, slots=True)
class Lanes:
    """Which lanes there are, from left to right."""

    names: tuple[str, ...]
    above: Mapping[str, str] = field(default_factory=dict)
    """The lane that a partition's calls go to."""
    worlds: Mapping[World, str] = field(default_factory=dict)
    ids: Mapping[int, str] = field(default_factory=dict)
    """Lanes by FF-A id."""

    def place(self, end: End, other: End) -> int | None:
        """The lane that an end of an arrow is in; one that nobody knows is above the other end."""
        if isinstance(end, World):
            name = self.worlds.get(end, "")
        elif isinstance(end, int):
            name = self.ids.get(end, "") or (self.above.get(other, "") if isinstance(other, str) else "")
        else:
            name = self.above.get(end.vm, "") if isinstance(end, Above) else end
        return self.names.index(name) if name in self.names else None


def lanes_of(config: MachineConfig, endpoints: Sequence[FfaPartitionView]) -> Lanes:
    """VMs, what is above them, what is above the secure partitions, and these."""
    vms = tuple(vm.name for vm in config.vms)
    secure = config.partitions[len(vms) :]
    simulated = tuple(each.name for each in endpoints if each.name not in config.partitions)
    normal = "EL2" if any(vm.el == 1 for vm in config.vms) else "EL3"
    firm = ("S-EL2",) if config.secure is not None else ()
    worlds = dict(zip((World.NORMAL, World.SECURE), (normal, *firm), strict=False))
    above = dict.fromkeys((*vms, *simulated), normal) | dict.fromkeys(secure, "S-EL2")
    ids = {int(PartitionId.HYPERVISOR): normal, int(PartitionId.SPMC): worlds.get(World.SECURE, normal)}
    ids |= {each.id: each.name for each in endpoints}
    return Lanes((*vms, normal, *firm, *secure, *simulated), above, worlds, ids)


@dataclass(frozen=True, slots=True)
class Layout:
    """Lanes in a width: they share it evenly; those that it cannot take are left and right of it."""

    lanes: Lanes
    width: int
    left: int = 0
    """The first lane that is seen."""

    @property
    def seen(self) -> int:
        """Lanes that are seen at once."""
        count = len(self.lanes.names)
        return count if self.width >= count * _LEAST_PITCH else max(1, self.width // _USUAL_PITCH)

    @property
    def last_left(self) -> int:
        """The last lane that may be the first one seen."""
        return len(self.lanes.names) - self.seen

    @property
    def start(self) -> int:
        """The first lane that is seen indeed."""
        return max(0, min(self.left, self.last_left))

    def column(self, lane: int) -> int:
        """Where the line of a lane is; below 0 or from `width` on for lanes that are not seen."""
        place = lane - self.start
        if place < 0:
            return -1
        return self.width if place >= self.seen else (2 * place + 1) * self.width // (2 * self.seen)

    def heading(self) -> Line:
        """The names over their lanes."""
        cells: _Cells = [(" ", Ink.MUTED)] * self.width
        pitch = self.width // self.seen
        for lane in range(self.start, self.start + self.seen):
            name = text.shorten(self.lanes.names[lane], pitch - 1)
            at = self.column(lane) - len(name) // 2
            _put(cells, at, name, Ink.HEADING)
        if self.start:
            _put(cells, 0, "◂", Ink.KEY)
        if self.start + self.seen < len(self.lanes.names):
            _put(cells, self.width - 1, "▸", Ink.KEY)
        return _joined(cells)

    def draw(self, step: Step | None, running: Sequence[str]) -> Line:
        """One row: the lines of all lanes, and what goes from one to another."""
        cells: _Cells = [(" ", Ink.FAINT)] * self.width
        acting = self._acting(step)
        for lane in range(self.start, self.start + self.seen):
            on = lane == acting or self.lanes.names[lane] in running
            cells[self.column(lane)] = ("┃", Ink.GREEN) if on else ("│", Ink.FAINT)
        if step is not None:
            source = self.lanes.place(step.source, step.target)
            target = self.lanes.place(step.target, step.source)
            if source is None or target is None or source == target:
                self._mark(cells, step, target if target is not None else source)
            else:
                self._arrow(cells, step, self.column(source), self.column(target))
        return _joined(cells)

    def _acting(self, step: Step | None) -> int | None:
        """The partition that calls or answers: it runs, even where it gives its core away by that."""
        if step is None or step.look is Look.MARK or not isinstance(step.source, str | int):
            return None
        return self.lanes.place(step.source, step.target)

    def _mark(self, cells: _Cells, step: Step, lane: int | None) -> None:
        """What happened in one lane stands beside it."""
        column = self.column(lane if lane is not None else 0)
        _beside(cells, column, column, [_GLYPHS.get(step.look, "") + step.words], _STYLES[step.look])

    def _arrow(self, cells: _Cells, step: Step, source: int, target: int) -> None:
        style, right = _STYLES[step.look], target > source
        first, last = max(0, min(source, target) + 1), min(self.width, max(source, target))
        if first >= last:
            return  # all of it is beside what is seen
        for column in range(first, last):
            cells[column] = (_SHAFTS[step.look], style)
        cells[last - 1 if right else first] = ("▶" if right else "◀", style)
        glyph = _GLYPHS.get(step.look, "")
        choices = [glyph + each for each in _shorter(step)]
        # On the arrow there is a piece of the shaft at both ends, and a space around the words.
        on, beside = last - first - 5, max(len(cells) - last - 3, first - 2)
        label = next((each for each in choices[:2] if len(each) <= on), "")
        if not label and len(choices[0]) > beside and len(choices[-1]) <= on:
            label = choices[-1]
        if label:
            at = first + (last - first - len(label)) // 2
            _put(cells, at - 1, f" {label} ", style)
        else:
            _beside(cells, source, target, choices, style)


def _shorter(step: Step) -> list[str]:
    """The words of a step, from all to few."""
    name = step.name
    return list(dict.fromkeys((step.words, name, _plain(name))))


def _plain(name: str) -> str:
    """`SEND_DIRECT_REQ` of `MSG_SEND_DIRECT_REQ_32`: which registers are used says least."""
    return name.removeprefix("MSG_").removesuffix("_32").removesuffix("_64")


def _beside(cells: _Cells, source: int, target: int, choices: Sequence[str], style: Style) -> None:
    """Words at the right of an arrow or mark, or where only the left has room for the least of them, there."""
    low, high = min(source, target), max(source, target)
    after, before = len(cells) - high - 2, low - 1
    right = after >= len(choices[-1]) or after >= before
    room = after if right else before
    words = next((each for each in choices if len(each) <= room), text.shorten(choices[-1], room))
    _put(cells, high + 2 if right else low - 1 - len(words), words, style)


def _put(cells: _Cells, at: int, words: str, style: Style) -> None:
    for column, character in enumerate(words, at):
        if 0 <= column < len(cells):
            cells[column] = (character, style)


def _joined(cells: _Cells) -> Line:
    """Neighbours of one style in one part."""
    parts: Line = []
    for character, style in cells:
        if parts and parts[-1][1] is style:
            parts[-1] = (parts[-1][0] + character, style)
        else:
            parts.append((character, style))
    return parts
