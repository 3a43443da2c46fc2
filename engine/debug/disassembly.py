"""Code as a vCPU would fetch it, in words: A64, with symbols and breakpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import capstone

from engine.arch import relative
from engine.arch.bits import MASK64
from engine.arch.paging import PAGE
from engine.arch.relative import Relative
from engine.arch.sysreg import SysReg, key_of
from engine.debug.translating import Translator, onlooker
from engine.debug_views import CodeLine, CodeView
from engine.hypervisor.vcpu import Vcpu

MOST_LINES: Final = 512
_ENCODED_REGISTER = re.compile(r"\bs[23]_\d_c\d+_c\d+_\d\b")
_SYMBOLIC = {key.value: key.name for key in SysReg}
_ENGINE = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)


def code_view(
    vcpu: Vcpu, around: int | None, before: int, after: int, breakpoints: Iterable[tuple[int, int]] = ()
) -> CodeView:
    """Lines before and after an address (PC if None), and its own; at most MOST_LINES in all.

    `breakpoints` are (address, number) of the partition's. What was asked for beyond either end of the address space
    is left out.
    """
    pc = vcpu.registers.pc
    centre = (pc if around is None else around) & MASK64 & -4
    before = min(max(0, before), MOST_LINES - 1)
    after = min(max(0, after), MOST_LINES - 1 - before)
    first, last = max(0, centre - 4 * before), min(MASK64 & -4, centre + 4 * after)
    listing = _Listing(vcpu, _by_address(breakpoints))
    return CodeView(vcpu.vm.name, vcpu.index, pc, tuple(listing.lines(first, last)))


def _by_address(breakpoints: Iterable[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for address, number in breakpoints:
        found[address] = (*found.get(address, ()), number)
    return found


class _Code:
    """Words of a vCPU's memory; translations are looked up once a page."""

    def __init__(self, vcpu: Vcpu) -> None:
        self._memory = vcpu.vm.memory
        self._translator: Translator = onlooker(vcpu)
        self._pages: dict[int, tuple[int | None, str]] = {}

    def page(self, address: int) -> tuple[int | None, str]:
        """(physical address of the page, or why there is none)"""
        page = address & -PAGE
        if page not in self._pages:
            found = self._translator.readable(page)
            if found.physical is not None and not self._memory.contains(found.physical, PAGE):
                self._pages[page] = None, "no memory there"
            else:
                self._pages[page] = found.physical, str(found.fault or "")
        return self._pages[page]

    def read(self, address: int, size: int) -> int | None:
        """A number inside one page."""
        physical, _ = self.page(address)
        if physical is None or address % PAGE + size > PAGE:
            return None
        return int.from_bytes(self._memory.read(physical + address % PAGE, size), "little")


class _Listing:
    """Makes lines in address order."""

    def __init__(self, vcpu: Vcpu, breakpoints: Mapping[int, tuple[int, ...]]) -> None:
        self._symbols = vcpu.vm.symbols
        self._pc = vcpu.registers.pc
        self._breakpoints = breakpoints
        self._code = _Code(vcpu)
        self._page_of: tuple[int, int] | None = None
        """(register, page) that the line before computed by ADRP."""

    def lines(self, first: int, last: int) -> Iterator[CodeLine]:
        return (self._line(address) for address in range(first, last + 4, 4))

    def _line(self, address: int) -> CodeLine:
        word = self._code.read(address, 4)
        if word is None:
            mnemonic, operands, comment = "unmapped", self._code.page(address)[1], ""
            self._page_of = None
        else:
            mnemonic, operands = disassemble(word, address)
            comment = self._comment(word, address, operands)
        return CodeLine(
            address=address,
            word=word,
            mnemonic=mnemonic,
            operands=operands,
            label=self._symbols.at(address),
            comment=comment,
            is_pc=address == self._pc,
            breakpoints=self._breakpoints.get(address, ()),
        )

    def _comment(self, word: int, address: int, operands: str) -> str:
        began, self._page_of = self._page_of, None
        named = relative.target(word, address)
        if named is None:
            return self._completed(word, began) or _register_name(word, operands)
        if named.kind is Relative.LITERAL:
            return self._literal(word, named.address)
        if named.kind is Relative.PAGE:
            self._page_of = word & 0x1F, named.address
            return ""
        return self._symbols.lookup(named.address)

    def _completed(self, word: int, began: tuple[int, int] | None) -> str:
        """ADRP, then what adds the rest: an address."""
        parts = relative.based(word)
        if parts is None or began is None or parts[0] != began[0]:
            return ""
        address = began[1] + parts[1] & MASK64
        return self._symbols.lookup(address) or f"{address:#x}"

    def _literal(self, word: int, address: int) -> str:
        value = self._code.read(address, relative.literal_size(word))
        if value is None:
            return ""
        symbol = self._symbols.lookup(value)
        return f"={value:#x} {symbol}".rstrip()


def disassemble(word: int, address: int) -> tuple[str, str]:
    """(mnemonic, operands) of an instruction; `.word` for what is none."""
    for _, _, mnemonic, operands in _ENGINE.disasm_lite(word.to_bytes(4, "little"), address):
        return mnemonic, operands
    return ".word", f"{word:#010x}"


def _register_name(word: int, operands: str) -> str:
    """The name of a system register that is spelled by its encoding."""
    return _SYMBOLIC.get(key_of(word), "") if _ENCODED_REGISTER.search(operands) else ""
