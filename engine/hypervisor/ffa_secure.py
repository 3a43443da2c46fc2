"""The hypervisor as a client of the secure world: its own buffers, and calls in the name of its VMs (DEN0077A v1.2).

Addresses in descriptors that go there are physical. Every method that calls raises FfaError with the SPMC's code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.arch.paging import PAGE
from engine.board.memory import Memory
from engine.ffa.abi import Function, PartitionId, handle_of, handle_words, id_pair, is_64, is_secure, sender_of
from engine.ffa.descriptors import HEADER_1_1, MemoryRegion, SendHead, pack, pack_send_head
from engine.ffa.endpoint_buffers import EndpointBuffers
from engine.ffa.errors import Code, FfaError, require_allowed
from engine.ffa.flags import COUNT_ONLY, GetFlag
from engine.ffa.partition_info import PartitionInfo, parse_regs_page
from engine.ffa.ranges import CONSTITUENT, Composite, Range
from engine.ffa.registers import NARROW, WIDE, Result, is_wide, success_32
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_2

if TYPE_CHECKING:
    from engine.hypervisor.vcpu import Vcpu
    from engine.monitor.spmd import Spmd

_SENDS = {
    Kind.SHARE: Function.MEM_SHARE_32,
    Kind.LEND: Function.MEM_LEND_32,
    Kind.DONATE: Function.MEM_DONATE_32,
}
_ALL_BITMAPS = GetFlag.SP | GetFlag.VM | GetFlag.SPM | GetFlag.HYPERVISOR
_X = (1 << 64) - 1


class SecureClient:
    """Calls the SPMC through the SPMD. The buffers are two pages of the hypervisor's own memory."""

    def __init__(self, spmd: Spmd, memory: Memory, tx: int, rx: int) -> None:
        self._spmd = spmd
        self._memory = memory
        self._tx = tx
        self._rx = rx

    def start(self, vcpu: Vcpu) -> None:
        """Agree on a version and register the buffers; once, before any VM runs."""
        version = self._spmd.call(vcpu, _registers(Function.VERSION, V1_2.pack()))
        if version is None or version.values[0] != V1_2.pack():
            raise FfaError(Code.NOT_SUPPORTED, "the SPMC does not speak v1.2")
        self.call(vcpu, Function.RXTX_MAP_64, self._tx, self._rx, 1)

    def call(self, vcpu: Vcpu, function: Function, *values: int) -> Result:
        """Any call that is answered at once, `values` from x1 on; raises FfaError where it is refused."""
        return self._at_once(function, self._spmd.call(vcpu, _registers(function, *values)))

    def _at_once(self, function: Function, result: Result | None) -> Result:
        if self._granted(result) is None or result is None:
            raise FfaError(Code.ABORTED, f"{function.name} ran a partition")
        return result

    def forward(self, vcpu: Vcpu, args: Sequence[int]) -> Result | None:
        """A VM's call as it is; None where a partition runs and the answer comes later."""
        count = WIDE if is_wide(args[0]) else NARROW
        return self._granted(self._spmd.call(vcpu, tuple(args[:count]), report=False))

    def _granted(self, result: Result | None) -> Result | None:
        """Raises FfaError for a refusal."""
        if result is not None and result.fid == Function.ERROR:
            refusal = self._spmd.spmc.refusal if self._spmd.spmc is not None else ""
            raise FfaError(Code(result.code), f"the SPMC: {refusal}")
        return result

    def check_run(self, vcpu: Vcpu, word: int) -> None:
        """DENIED where another VM's call is suspended in the context that a target word names."""
        runner = self._spmd.suspended.get(word)
        require_allowed(runner in (None, vcpu.vm.name), f"0x{sender_of(word):x} works for another VM")

    def partitions(self, vcpu: Vcpu) -> list[PartitionInfo]:
        """What the SPMC tells of its partitions, in registers."""
        infos: list[PartitionInfo] = []
        tag = 0
        # Counted first, because where there are none no index is valid (DEN0077A v1.2, 13.9).
        count = self.call(vcpu, Function.PARTITION_INFO_GET, 0, 0, 0, 0, COUNT_ONLY).values[2]
        while len(infos) < count:
            result = self.call(vcpu, Function.PARTITION_INFO_GET_REGS, 0, 0, len(infos) | tag << 16)
            _, tag, found = parse_regs_page(result.values)
            if not found:
                break
            infos += found
        return infos

    # --- buffers of VMs ---------------------------------------------------------------------------------

    def map_buffers(self, vcpu: Vcpu, vm: int, tx: tuple[Range, ...], rx: tuple[Range, ...]) -> None:
        """Register a VM's buffers, which lie at physical ranges."""
        self._memory.write(self._tx, EndpointBuffers(vm, Composite(rx), Composite(tx)).pack())
        self.call(vcpu, Function.RXTX_MAP_64)

    def unmap_buffers(self, vcpu: Vcpu, vm: int) -> None:
        """The SPMC forgets a VM's buffers; cannot fail where they are registered."""
        self._spmd.call(vcpu, _registers(Function.RXTX_UNMAP, id_pair(vm, 0)))

    def acquire_rx(self, vcpu: Vcpu, vm: int) -> None:
        """Take a VM's RX, to fill it; DENIED while it is not free."""
        self.call(vcpu, Function.RX_ACQUIRE, vm)

    def release_rx(self, vcpu: Vcpu, vm: int) -> None:
        """A VM released its RX; DENIED where it does not have it."""
        self._granted(self._spmd.call(vcpu, _registers(Function.RX_RELEASE, vm), report=False))

    def try_release_rx(self, vcpu: Vcpu, vm: int) -> None:
        """RX of a VM is free, if it was not already."""
        self._spmd.call(vcpu, _registers(Function.RX_RELEASE, vm), report=False)

    def max_buffer_pages(self, vcpu: Vcpu) -> int:
        """Most pages of a buffer that the SPMC takes; 0 for no limit."""
        return self.call(vcpu, Function.FEATURES, Function.RXTX_MAP_64).values[2] >> 16

    # --- memory ---------------------------------------------------------------------------------------

    def send(self, vcpu: Vcpu, kind: Kind, region: MemoryRegion, ranges: tuple[Range, ...]) -> int:
        """Send a VM's region, which lies at physical `ranges`; returns the handle."""
        composite = Composite(ranges)
        access = tuple(replace(entry, composite=composite) for entry in region.access)
        data = pack(replace(region, access=access), V1_2)
        result = self._in_fragments(vcpu, _SENDS[kind], data, region.sender)
        return handle_of(result.values[2], result.values[3])

    def _in_fragments(self, vcpu: Vcpu, function: Function, data: bytes, sender: int) -> Result:
        """A descriptor through TX, a page at a time."""
        result = self._first(vcpu, function, len(data), data[:PAGE])
        if result.fid == Function.MEM_FRAG_RX:
            return self._rest(vcpu, handle_of(result.values[1], result.values[2]), data[PAGE:], sender)
        return result

    def _first(self, vcpu: Vcpu, function: Function, total: int, data: bytes) -> Result:
        self._memory.write(self._tx, data)
        return self.call(vcpu, function, total, len(data))

    def _rest(self, vcpu: Vcpu, handle: int, data: bytes, sender: int) -> Result:
        result = success_32()
        for at in range(0, len(data), PAGE):
            piece = data[at : at + PAGE]
            self._memory.write(self._tx, piece)
            result = self.call(vcpu, Function.MEM_FRAG_TX, *handle_words(handle), len(piece), id_pair(sender, 0))
        return result

    def begin(self, vcpu: Vcpu, kind: Kind, head: SendHead) -> int:
        """Begin a send of which the constituents are not known yet; returns the handle."""
        data = pack_send_head(head, V1_2)
        total = len(data) + CONSTITUENT.size * head.ranges
        result = self._first(vcpu, _SENDS[kind], total, data)
        return handle_of(result.values[1], result.values[2])

    def finish(self, vcpu: Vcpu, handle: int, ranges: Sequence[Range], sender: int) -> None:
        """The constituents of a send that `begin` began."""
        data = b"".join(CONSTITUENT.pack(*piece, 0) for piece in ranges)
        try:
            self._rest(vcpu, handle, data, sender)
        except FfaError:
            self.give_up(vcpu, handle, sender)
            raise

    def give_up(self, vcpu: Vcpu, handle: int, sender: int) -> None:
        """End a send that `begin` began; the SPMC says INVALID_PARAMETERS to a fragment of no bytes, and drops it."""
        self._spmd.call(vcpu, _registers(Function.MEM_FRAG_TX, *handle_words(handle), 0, id_pair(sender, 0)))

    def knows(self, vcpu: Vcpu, handle: int) -> bool:
        """Whether the SPMC still has a record; a donation that was retrieved leaves none."""
        request = HEADER_1_1.pack(0, 0, 0, handle, 0, 0, 0, 0, b"")
        self._memory.write(self._tx, request)
        try:
            self.call(vcpu, Function.MEM_RETRIEVE_REQ_32, len(request), len(request))
        except FfaError:
            return False
        self.call(vcpu, Function.RX_RELEASE)
        return True

    def reclaim(self, vcpu: Vcpu, handle: int, flags: int) -> None:
        """Have memory back that no partition holds any more."""
        self.call(vcpu, Function.MEM_RECLAIM, *handle_words(handle), flags)

    # --- messages and notifications ----------------------------------------------------------------------

    def send_message(self, vcpu: Vcpu, data: bytes, sender: int) -> None:
        """An indirect message of a VM."""
        self._memory.write(self._tx, data)
        self.call(vcpu, Function.MSG_SEND2, id_pair(sender, 0))

    def notification(self, vcpu: Vcpu, args: Sequence[int]) -> Result:
        """A NOTIFICATION call of a VM, which names it by itself."""
        return self._at_once(Function(args[0]), self._spmd.call(vcpu, tuple(args[:NARROW]), report=False))

    def drop_notifications(self, vcpu: Vcpu, vm: int, vcpus: int) -> None:
        """A VM ended: its bitmaps go, for which what is pending in them is taken first."""
        for index in range(vcpus):
            self._spmd.call(vcpu, _registers(Function.NOTIFICATION_GET, id_pair(index, vm), int(_ALL_BITMAPS)), False)
        self._spmd.call(vcpu, _registers(Function.NOTIFICATION_BITMAP_DESTROY, vm), False)


def _registers(function: Function, *values: int) -> tuple[int, ...]:
    count = WIDE if is_wide(function) else NARROW
    mask = _X if is_64(function) else 0xFFFF_FFFF
    return (int(function), *(value & mask for value in values), *(0,) * (count - 1 - len(values)))


def goes_there(endpoint: int) -> bool:
    """Whether an id is the secure world's to know: a partition's, but not a manager's."""
    return is_secure(endpoint) and endpoint not in (PartitionId.SPMC, PartitionId.SPMD)
