"""FF-A's buffers, fragments, direct messages and notifications once more, small and by themselves (DEN0077A v1.2).

As in `ffa_model`, `may_*` give the codes that may refuse a call, none for one that must succeed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from engine.arch.paging import PAGE, S2AP, PageState
from engine.ffa.errors import Code
from tests.support.ffa_model import Codes, Page, codes
from tests.support.ffa_requests import Retrieve, Send

BUFFER = PAGE
"""Bytes of RX and of TX."""
ABORTED, BUSY, NO_DATA = {Code.ABORTED}, {Code.BUSY}, {Code.NO_DATA}


@dataclass(frozen=True)
class Incoming:
    """A descriptor on its way into the manager."""

    handle: int
    function: int
    request: Send | Retrieve
    """What it will say when it is whole."""
    data: bytes
    done: int


@dataclass(frozen=True)
class Outgoing:
    """A response on its way to a borrower."""

    handle: int
    total: int
    last: int = 0

    @property
    def length(self) -> int:
        """Bytes of the fragment delivered last."""
        return min(BUFFER, self.total - self.last)

    @property
    def complete(self) -> bool:
        """Nothing is left to fetch."""
        return self.last + self.length == self.total


@dataclass
class Buffers:
    """RX and TX of every VM, and what goes through them in fragments."""

    pairs: dict[int, tuple[int, int]] = field(default_factory=dict)
    """TX and RX."""
    full: set[int] = field(default_factory=set)
    """VMs that have not released RX."""
    incoming: dict[int, Incoming] = field(default_factory=dict)
    outgoing: dict[int, Outgoing] = field(default_factory=dict)

    def may_map(self, vm: int, tx: int, rx: int, pages: int, there: list[Page | None]) -> Codes:
        """`there`: what the caller has at both addresses."""
        bad = pages != 1 or tx % PAGE or rx % PAGE or tx == rx or None in there
        own = ((page.access, page.state) == _RW_OWNED for page in there if page is not None)
        return codes(bad, vm in self.pairs or not all(own))

    def may_begin(self, vm: int, total: int, fragment: int) -> Codes:
        """A descriptor or its first fragment."""
        bad = vm not in self.pairs or not 0 < fragment <= min(total, BUFFER)
        return codes(bad) | (BUSY if vm in self.incoming else set())

    def may_add(self, vm: int, handle: int, fragment: int) -> Codes:
        """FRAG_TX."""
        running = self.incoming.get(vm)
        if running is None or running.handle != handle:
            return codes(invalid=True)
        return codes(not 0 < fragment <= min(BUFFER, len(running.data) - running.done))

    def may_fill(self, vm: int) -> Codes:
        """Anything that the manager writes to RX."""
        return codes(False, vm not in self.pairs) | (BUSY if vm in self.full else set())

    def may_respond(self, vm: int) -> Codes:
        """RETRIEVE_RESP."""
        running = self.outgoing.get(vm)
        return self.may_fill(vm) | (BUSY if running is not None and not running.complete else set())

    def may_fetch(self, vm: int, handle: int, offset: int) -> Codes:
        """FRAG_RX: the next fragment, or the last one again."""
        running = self.outgoing.get(vm)
        if running is None or running.handle != handle:
            return codes(invalid=True)
        nexts = {running.last} if running.complete else {running.last, running.last + running.length}
        return codes(offset not in nexts) | self.may_fill(vm)

    def fetched(self, vm: int, offset: int) -> int:
        """A fragment was delivered; its length."""
        self.full.add(vm)
        self.outgoing[vm] = running = replace(self.outgoing[vm], last=offset)
        return running.length

    def forget(self, vm: int) -> Incoming | None:
        """The buffers went, with what came and left through them."""
        self.pairs.pop(vm, None)
        self.full.discard(vm)
        self.outgoing.pop(vm, None)
        return self.incoming.pop(vm, None)


_RW_OWNED = (S2AP.READ_WRITE, PageState.OWNED)


class Doing(enum.Enum):
    """What the one vCPU of a VM does."""

    RUNS = "ready"
    WAITS = "waiting for a message"
    CALLS = "in a call"
    OFF = "off"


@dataclass
class Talk:
    """Direct messages between VMs of one vCPU each."""

    doing: dict[int, Doing]
    asked: dict[int, tuple[int, bool]] = field(default_factory=dict)
    """Who has to answer whom, and whether by RESP2."""

    def running(self) -> list[int]:
        """VMs that can make calls."""
        return [vm for vm, doing in self.doing.items() if doing is Doing.RUNS]

    def may_ask(self, vm: int, sender: int, receiver: int, framework: bool) -> Codes:
        """A direct request to another VM."""
        if sender != vm or receiver == sender or receiver not in self.doing or framework:
            return codes(invalid=True)
        state = self.doing[receiver]
        return ABORTED if state is Doing.OFF else set() if state is Doing.WAITS else BUSY

    def ask(self, vm: int, receiver: int, wide: bool) -> None:
        """`receiver` has the request, its sender waits."""
        self.doing[vm], self.doing[receiver] = Doing.CALLS, Doing.RUNS
        self.asked[receiver] = (vm, wide)

    def may_answer(self, vm: int, sender: int, receiver: int, flags: int, wide: bool) -> Codes:
        """A direct response."""
        return codes(sender != vm or flags, self.asked.get(vm) != (receiver, wide))

    def answer(self, vm: int) -> None:
        """The asker goes on, the answerer waits."""
        self.doing[self.asked.pop(vm)[0]], self.doing[vm] = Doing.RUNS, Doing.WAITS

    def ended(self, vm: int, doing: Doing) -> int | None:
        """A VM stopped or started over. Returns who waited for it, whom it does not answer any more."""
        self.doing[vm] = doing
        self.asked = {callee: asked for callee, asked in self.asked.items() if asked[0] != vm}
        asker, _ = self.asked.pop(vm, (None, False))
        if asker is not None:
            self.doing[asker] = Doing.RUNS
        return asker


@dataclass
class Inbox:
    """The notifications of one VM, by bit; bits of VMs and of secure partitions are apart."""

    bound: dict[tuple[bool, int], tuple[int, bool]] = field(default_factory=dict)
    """(from an SP, bit): the sender, and whether the bit is a vCPU's."""
    pending: set[tuple[bool, int]] = field(default_factory=set)
    told: set[tuple[bool, int]] = field(default_factory=set)
    message: bool = False
    """The framework's: RX was filled."""
    message_told: bool = False

    def news(self) -> set[bool]:
        """What INFO_GET has not told: of the VM (False), of its vCPU 0 (True)."""
        fresh = {self.bound[key][1] for key in self.pending - self.told}
        return fresh | ({False} if self.message and not self.message_told else set())

    def tell(self, kind: bool) -> None:
        """INFO_GET told it."""
        self.told |= {key for key in self.pending if self.bound[key][1] is kind}
        self.message_told |= self.message and not kind


@dataclass
class Notices:
    """Notifications of all VMs, each with one vCPU: bits have owners, and stay bound while they are pending."""

    known: frozenset[int]
    boxes: dict[int, Inbox] = field(default_factory=dict)

    def may_create(self, vm: int, named: int, vcpus: int) -> Codes:
        """BITMAP_CREATE."""
        return codes(named != vm or vcpus != 1, vm in self.boxes)

    def may_destroy(self, vm: int, named: int) -> Codes:
        """BITMAP_DESTROY."""
        box = self.boxes.get(vm)
        return codes(named != vm, box is None or box.pending or box.message)

    def may_bind(self, vm: int, sender: int, receiver: int, bitmap: int, unbind: bool, flags: int = 0) -> Codes:
        """NOTIFICATION_BIND and UNBIND: the whole bitmap or nothing."""
        box = self.boxes.get(vm)
        bad = receiver != vm or sender == receiver or not bitmap or flags & ~(0 if unbind else 1)
        bad = bad or (sender not in self.known and not unbind)
        if box is None:
            return codes(bad) | {Code.NOT_SUPPORTED}
        keys = keys_of(sender, bitmap)
        owners = {box.bound[key][0] if key in box.bound else None for key in keys}
        wrong = owners - {sender} if unbind else owners - {sender, None}
        return codes(bad, wrong or keys & box.pending)

    def may_set(self, vm: int, sender: int, receiver: int, bitmap: int, flags: int) -> Codes:
        """NOTIFICATION_SET; flags are w2."""
        bad = sender != vm or sender == receiver or receiver not in self.known or not bitmap or flags & 0xFFFE
        bad = bad or (flags >> 16 and not flags & 1)
        box = self.boxes.get(receiver, Inbox())
        bound = [box.bound.get(key, (None, False)) for key in keys_of(sender, bitmap)]
        other = any(kind is not bool(flags & 1) for owner, kind in bound if owner == sender)
        return codes(bad or other or flags >> 16, any(owner != sender for owner, _ in bound))

    def may_get(self, vm: int, receiver: int, vcpu: int) -> Codes:
        """NOTIFICATION_GET."""
        return codes(receiver != vm or vm not in self.boxes or vcpu)

    def get(self, vm: int, flags: int) -> tuple[int, int, int]:
        """What is pending, cleared: of SPs, of VMs, of the hypervisor."""
        box = self.boxes[vm]
        taken = {key for key in box.pending if flags & (1 if key[0] else 2)}
        box.pending -= taken
        box.told -= taken
        message = bool(box.message and flags & 8)
        box.message, box.message_told = box.message and not message, box.message_told and not message
        sp, of_vm = (sum(1 << bit for secure, bit in taken if secure is which) for which in (True, False))
        return sp, of_vm, int(message)

    def info(self, vm: int) -> set[tuple[int, bool]]:
        """INFO_GET: who has news, told once; the first VM hears of all, another of itself."""
        heard = sorted(self.boxes) if vm == 1 else [vm] if vm in self.boxes else []
        news = {(each, kind) for each in heard for kind in self.boxes[each].news()}
        for each, kind in news:
            self.boxes[each].tell(kind)
        return news

    def ended(self, vm: int) -> None:
        """A VM stopped or started over: nothing is bound for it or by it."""
        self.boxes.pop(vm, None)
        for box in self.boxes.values():
            gone = {key for key, (sender, _) in box.bound.items() if sender == vm}
            box.bound = {key: owner for key, owner in box.bound.items() if key not in gone}
            box.pending -= gone
            box.told -= gone


def keys_of(sender: int, bitmap: int) -> set[tuple[bool, int]]:
    """The bits of a bitmap as an inbox names them."""
    return {(sender >= 0x8000, bit) for bit in range(64) if bitmap >> bit & 1}
