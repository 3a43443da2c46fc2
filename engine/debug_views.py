"""Frozen pictures of code, stacks, translations and address maps for front ends."""

from __future__ import annotations

import enum

import msgspec


class CodeLine(msgspec.Struct, frozen=True):
    """One A64 instruction, or a place where none can be seen."""

    address: int
    """Virtual."""
    word: int | None
    """None where nothing is mapped."""
    mnemonic: str
    """`.word` for what is no instruction, `unmapped` where nothing can be seen."""
    operands: str
    """Of `unmapped`: the fault."""
    label: str = ""
    """The symbol that begins here."""
    comment: str = ""
    """Where a branch goes, what a literal is, a system register's name."""
    is_pc: bool = False
    breakpoints: tuple[int, ...] = ()
    """Numbers of those set here."""


class CodeView(msgspec.Struct, frozen=True):
    """Code of a vCPU, in address order."""

    vm: str
    vcpu: int
    pc: int
    lines: tuple[CodeLine, ...]


class FrameSource(enum.StrEnum):
    """How a return address was found."""

    PC = "PC"
    LR = "LR"
    """The function has no frame record (yet): its caller is in the link register."""
    RECORD = "frame record"


class Frame(msgspec.Struct, frozen=True):
    """One function that was called and has not returned."""

    level: int
    """0 is where the vCPU stands."""
    pc: int
    """Where it goes on: PC itself, or a return address."""
    symbol: str
    """`name+0x10`, "" where nothing is known."""
    fp: int
    """The frame pointer that belongs to it: address of its frame record, or its caller's while it has none."""
    offset: int | None
    """Bytes from SP to there, negative below SP; None for the first function, which has none."""
    source: FrameSource


class StackWord(msgspec.Struct, frozen=True):
    """Eight bytes of a stack."""

    address: int
    value: int | None
    """None where nothing is mapped."""
    symbol: str
    """What the value may point to, "" for a plain number."""


class StackView(msgspec.Struct, frozen=True):
    """Calls of a vCPU, the innermost first, and the stack near SP."""

    vm: str
    vcpu: int
    sp: int
    frames: tuple[Frame, ...]
    end: str
    """Why there are no more frames."""
    words: tuple[StackWord, ...]
    """From SP upwards."""


class StepView(msgspec.Struct, frozen=True):
    """One table entry that a walk looks at."""

    level: int
    table: int
    """Address of the table: an IPA for stage 1 that runs under stage 2, else physical."""
    address: int
    """Of the entry, likewise."""
    physical: int | None
    """Where the entry is on the board; None where stage 2 does not let the walk go there."""
    descriptor: int | None
    """None where it cannot be read."""
    kind: str
    """`table`, `block`, `page` or `invalid`."""
    attributes: tuple[tuple[str, str], ...]
    """(field, value) in display order; none of an invalid entry."""


class WalkView(msgspec.Struct, frozen=True):
    """One stage's way of an address."""

    stage: int
    register: str
    """Whose table it begins at, "" where none begins."""
    root: int
    granule: int
    """Bytes; 0 where no walk begins."""
    input_bits: int
    address: int
    steps: tuple[StepView, ...]
    output: int | None
    """None where no leaf was found."""
    permissions: str
    """`rwx` with `-` for what the leaf forbids."""


class FaultView(msgspec.Struct, frozen=True):
    """The MMU fault that an access would have."""

    words: str
    """`translation fault level 2 of stage 2`."""
    stage: int
    level: int
    status: int
    """DFSC or IFSC, ISS bits [5:0]."""
    iss: int
    """With WnR (bit 6) and S1PTW (bit 7)."""
    on_walk: bool
    """Stage 2 faulted on the way to a stage-1 table."""


class TranslationView(msgspec.Struct, frozen=True):
    """What becomes of an address."""

    vm: str
    vcpu: int
    space: str
    """`va` or `ipa`."""
    address: int
    access: str
    """`read`, `write` or `execute`."""
    el: int
    """Exception level of the access."""
    stage1: WalkView | None
    """None while the MMU is off, and for an IPA."""
    ipa: int | None
    """None where stage 1 faults."""
    stage2: WalkView | None
    """None without a stage 2, or where stage 1 faults."""
    physical: int | None
    """None where the access faults."""
    permissions: str
    """Of both stages together, at that exception level."""
    fault: FaultView | None
    place: str
    """What is there: a device by name, `RAM`, `nothing`, or "" where a stage forbids to go there."""


class IpaKind(enum.StrEnum):
    """What a partition has at a range of addresses."""

    OWN = "own memory"
    SHARED = "shared out"
    LENT = "lent out"
    DONATED = "donated"
    BORROWED = "borrowed"
    DEVICE = "device"
    VIRTIO = "virtio"
    NOTHING = "nothing"


class IpaRange(msgspec.Struct, frozen=True):
    """Addresses of a partition that are alike."""

    ipa: int
    size: int
    """Bytes."""
    physical: int | None
    """None where nothing is mapped."""
    permissions: str
    """`rwx` with `-` for what its stage 2 forbids."""
    memory: str
    """`Normal write-back` and the like, "" where nothing is mapped."""
    kind: IpaKind
    detail: str = ""
    """Name of the device or region."""
    peers: tuple[str, ...] = ()
    """To whom it was given, or from whom it was borrowed; `?` where no record says so any more."""
    handles: tuple[int, ...] = ()
    """Of the memory transactions it is in."""


class IpaMapView(msgspec.Struct, frozen=True):
    """All of a partition's intermediate physical address space, from 0 to its end."""

    partition: str
    secure: bool
    root: int
    """Physical address of its first stage-2 table."""
    tables: tuple[tuple[int, int], ...]
    """(physical address, bytes) of memory that its stage-2 tables are in; no partition can touch it."""
    ranges: tuple[IpaRange, ...]


class Mapping(msgspec.Struct, frozen=True):
    """One partition's view of a physical page."""

    partition: str
    ipa: int
    """Of the page."""
    permissions: str
    """`---`: its stage 2 lets it do nothing there, as with what it has lent out."""
    kind: IpaKind
    peers: tuple[str, ...]
    handles: tuple[int, ...]


class PageOwnersView(msgspec.Struct, frozen=True):
    """Who can see one page of the board."""

    page: int
    """Physical address."""
    place: str
    """`RAM`, `secure RAM`, `stage-2 tables of vm0`, `firmware`, or `nothing`."""
    mappings: tuple[Mapping, ...]


class PageBytes(msgspec.Struct, frozen=True):
    """The part of a page that somebody looks at."""

    address: int
    """Of its first byte that is asked for."""
    size: int
    """Bytes of it that are asked for."""
    physical: int | None
    """Of the first byte; None where nothing is mapped."""
    problem: str
    """Why nothing can be seen: the fault; "" where it can."""


class MemoryView(msgspec.Struct, frozen=True):
    """Bytes as a vCPU would load them; holes are no errors."""

    vm: str
    vcpu: int
    space: str
    address: int
    data: bytes
    """Zeros in holes."""
    pages: tuple[PageBytes, ...]

    def byte(self, offset: int) -> int | None:
        """One byte by its offset, None in a hole. IndexError outside of what was asked for."""
        if offset >= 0:
            for page in self.pages:
                if offset < page.address - self.address + page.size:
                    return self.data[offset] if page.physical is not None else None
        raise IndexError(offset)
