"""The walk of an address: every table entry of both stages, and what becomes of the access."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from textual import events
from textual.message import Message

from engine.debug_views import FaultView, StepView, TranslationView, WalkView
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.memory_look import ACCESSES, MemoryPicture
from hvtui.widgets.page import Page
from hvtui.widgets.text_pane import TextPane

_WIDE = 74
"""Columns from which an entry and where it is have one line."""
_TALL = 20
"""Lines from which there is room for what says nothing."""
_DULL = frozenset({"0", "0x0"})
_ENTRY = 8
"""Bytes of a descriptor."""


class WalkPane(TextPane):
    """Left and right choose what kind of access it is."""

    class Left(Message):
        """Somebody wants to go back to where the address was chosen."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.access = ACCESSES[0]
        self._picture: MemoryPicture | None = None

    def show(self, picture: MemoryPicture) -> None:
        """Another walk, from its beginning; the same one stays where it was scrolled to."""
        before, self._picture = self._picture, picture
        self.write()
        if before is not None and (before.spot, before.asked.vm) != (picture.spot, picture.asked.vm):
            self.scroll_to(y=0, animate=False, immediate=True, force=True)

    def write(self) -> None:
        if self._picture is not None:
            lines = walk_lines(self._picture, self.scrollable_content_region.width, self.is_short)
            self.set_lines(lines)

    @property
    def is_short(self) -> bool:
        """There is no room for all of most walks."""
        return self.rows < _TALL

    @property
    def outcome(self) -> str:
        """In a few words, "" while nothing is known."""
        found = self._picture.translation if self._picture is not None else None
        if found is None:
            return ""
        if found.fault is not None:
            return found.fault.words
        return f"PA {found.physical:#x} {found.permissions}"

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("left", "right"):
            step = 1 if event.key == "right" else -1
            self.access = ACCESSES[(ACCESSES.index(self.access) + step) % len(ACCESSES)]
            self.post_message(Page.LookAgain())
        elif event.key in ("enter", "escape"):
            self.post_message(self.Left())
        else:
            return
        event.stop()
        event.prevent_default()


def walk_lines(picture: MemoryPicture, width: int, terse: bool = False) -> list[Line]:
    """All there is to say about an address, in lines of `width` columns; `terse`: no empty ones, no fields of zero."""
    lines = _all_lines(picture, width, terse)
    return [line for line in lines if line] if terse else lines


def _all_lines(picture: MemoryPicture, width: int, terse: bool) -> list[Line]:
    lines: list[Line] = [_subject(picture)]
    found = picture.translation
    if found is None:
        return [*lines, [], *([(words, Ink.AMBER)] for words in textwrap.wrap(picture.refusal, max(12, width)))]
    if picture.spot.space == "pa":
        lines.append([(f"for {picture.asked.vm} it is IPA {found.address:#x}", Ink.TEXT)])
    access = f"{found.access} at EL{found.el} by {found.vm}/{found.vcpu}"
    if sum(len(part) for part, _ in lines[-1]) + len(access) + 2 <= width:
        lines[-1].append((f"  {access}", Ink.MUTED))
    else:
        lines.append([(access, Ink.MUTED)])
    lines += [[], *_stage1(found, width, terse), *_stage2(found, width, terse), *_outcome(found, width)]
    return lines


def _subject(picture: MemoryPicture) -> Line:
    return [
        (f"{picture.spot.space.upper()} ", Ink.HEADING),
        (f"{picture.spot.address:#x}", Ink.STRONG),
        (f"  {picture.symbol}" if picture.symbol else "", Ink.GREEN),
    ]


def _stage1(found: TranslationView, width: int, terse: bool) -> list[Line]:
    if found.space == "ipa":
        return []
    if found.stage1 is None:
        return [[("Stage 1", Ink.HEADING), (f"  off: EL{max(1, found.el)}'s MMU is off, so VA = IPA", Ink.MUTED)], []]
    return _walk(found.stage1, "IPA", width, terse)


def _stage2(found: TranslationView, width: int, terse: bool) -> list[Line]:
    if found.stage2 is not None:
        return _walk(found.stage2, "PA", width, terse)
    if found.fault is not None and found.fault.stage == 1:
        return [[("Stage 2", Ink.HEADING), ("  not reached", Ink.MUTED)], []]
    return [[("Stage 2", Ink.HEADING), ("  none: nothing above translates, so IPA = PA", Ink.MUTED)], []]


def _walk(walk: WalkView, output: str, width: int, terse: bool) -> list[Line]:
    """One stage from its register to its leaf."""
    title: Line = [(f"Stage {walk.stage}", Ink.HEADING)]
    if not walk.register:
        return [[*title, (f"  no table translates {walk.address:#x}", Ink.AMBER)], []]
    title += [
        (f"  {walk.register} ", Ink.TEXT),
        (f"{walk.root:#x}", Ink.TEXT),
        (f"  {walk.granule >> 10} KB granule, {walk.input_bits} bits", Ink.MUTED),
    ]
    lines = [title] + [line for step in walk.steps for line in _step(step, width, terse)]
    if walk.output is None:
        return [*lines, []]
    leaf: Line = [(f"{walk.output:#x}", Ink.STRONG), (f"  {walk.permissions}", Ink.TEXT)]
    return [*lines, [(f"  → {output} ", Ink.KEY), *leaf], []]


def _step(step: StepView, width: int, terse: bool) -> list[Line]:
    """Where an entry is, what it is, and what its fields say."""
    index = (step.address - step.table) // _ENTRY
    where: Line = [
        (f" L{step.level} ", Ink.BLUE),
        (f"table {step.table:#x} entry {index} at {step.address:#x}", Ink.MUTED),
    ]
    if step.physical is not None and step.physical != step.address:
        where.append((f" (PA {step.physical:#x})", Ink.FAINT))
    value = f"{step.descriptor:#018x}" if step.descriptor is not None else "cannot be read"
    bad = step.descriptor is None or step.kind == "invalid"
    what: Line = [(value, Ink.TEXT), (f" {step.kind}", Ink.AMBER if bad else Ink.GREEN)]
    used = sum(len(part) for part, _ in [*where, *what]) + 2
    one_line = used <= width and width >= _WIDE
    head = [[*where, ("  ", Ink.TEXT), *what]] if one_line else [where, [("    ", Ink.TEXT), *what]]
    return [*head, *_fields([each for each in step.attributes if not terse or each[1] not in _DULL], width)]


def _fields(fields: Iterable[tuple[str, str]], width: int) -> list[Line]:
    """`AP RO  UXN 1  PXN 0`, wrapped between fields; what is zero is faint."""
    lines: list[Line] = []
    used = width
    for name, value in fields:
        length = len(name) + len(value) + 3
        if used + length > width:
            lines.append([("    ", Ink.TEXT)])
            used = 4
        dull = value in _DULL
        lines[-1] += [(f"{name} ", Ink.FAINT if dull else Ink.MUTED), (f"{value}  ", Ink.FAINT if dull else Ink.TEXT)]
        used += length
    return lines


def _outcome(found: TranslationView, width: int) -> list[Line]:
    if found.fault is not None:
        return _fault(found.fault, found, width)
    assert found.physical is not None
    place = f"  {found.place}" if found.place else ""
    lines: list[Line] = [[("Outcome", Ink.HEADING), ("  PA ", Ink.MUTED), (f"{found.physical:#x}", Ink.STRONG)]]
    permissions: Line = [(f"    {found.permissions}", Ink.GREEN), (f" of {_stages(found)}", Ink.MUTED)]
    return [*lines, [*permissions, (place, Ink.TEXT)]]


def _stages(found: TranslationView) -> str:
    there = [str(walk.stage) for walk in (found.stage1, found.stage2) if walk is not None]
    return "both stages" if len(there) == 2 else f"stage {there[0]} alone" if there else "no stage"


def _fault(fault: FaultView, found: TranslationView, width: int) -> list[Line]:
    status = "IFSC" if found.access == "execute" else "DFSC"
    words = f"{status} {fault.status:#04x} (0b{fault.status:06b}), ISS {fault.iss:#x}"
    if fault.on_walk:
        words += ", on the way to a stage-1 table (S1PTW)"
    lines: list[Line] = [[("Outcome", Ink.HEADING), ("  ", Ink.TEXT), (f" {fault.words} ", Ink.ALERT)]]
    lines += [[("    ", Ink.TEXT), (line, Ink.TEXT)] for line in textwrap.wrap(words, max(12, width - 4))]
    if found.place not in ("", "nothing"):
        lines.append([("    ", Ink.TEXT), (f"what is there: {found.place}", Ink.MUTED)])
    return lines
