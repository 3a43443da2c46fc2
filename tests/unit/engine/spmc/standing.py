"""Secure partitions that only stand there: calls are put into their registers, or into those of a payload at EL2.

Tables are read out of emulated RAM, from the root that each partition's VSTTBR_EL2 names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.arch.paging import S2AP, PageState
from engine.arch.psci import Function as Psci
from engine.board.memory_map import RAM_BASE
from engine.ffa.abi import Function, handle_of, id_pair, is_secure
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack, parse_retrieve
from engine.ffa.memory import NORMAL_WB_ISH, UNSPECIFIED, Data, Instruction, Permissions
from engine.ffa.ranges import Composite, Range
from engine.ffa.registers import WIDE, Result, arguments
from engine.ffa.relinquish import Relinquish
from engine.ffa.transactions import Kind
from engine.ffa.version import Version
from engine.hypervisor.vcpu import Vcpu
from engine.images.dtb import Value
from engine.spmc.call_chain import Context
from engine.spmc.partition import SecurePartition
from engine.spmc.states import ContextState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import Guest, enable_interrupts
from tests.support.secure import SP_BASE, SP_SIZE, SecureBench, Sp, secure, wait

SP1, SP2, SP3 = 0x8001, 0x8002, 0x8003
HYPERVISOR, VM1, VM2, NOBODY = 0, 1, 2, 0x9999
REQ32, RESP32 = Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_RESP_32
REQ64, RESP64 = Function.MSG_SEND_DIRECT_REQ_64, Function.MSG_SEND_DIRECT_RESP_64
REQ2, RESP2 = Function.MSG_SEND_DIRECT_REQ2, Function.MSG_SEND_DIRECT_RESP2
TX, RX, PAGES = 0x9_0000, 0x9_1000, 0xA_0000
"""Offsets into each partition's RAM, and into NORMAL_RAM."""
NORMAL_RAM = 0x4020_0000
PAGE = 4096
RW, RO, OPEN = Permissions(Data.RW), Permissions(Data.RO), Permissions(Data.UNSPECIFIED)
RW_NX, RW_X = Permissions(Data.RW, Instruction.NX), Permissions(Data.RW, Instruction.X)
RO_NX, OPEN_NX = Permissions(Data.RO, Instruction.NX), Permissions(Data.UNSPECIFIED, Instruction.NX)
SENDS = {Kind.SHARE: Function.MEM_SHARE_32, Kind.LEND: Function.MEM_LEND_32, Kind.DONATE: Function.MEM_DONATE_32}
SENDS_64 = {Kind.SHARE: Function.MEM_SHARE_64, Kind.LEND: Function.MEM_LEND_64, Kind.DONATE: Function.MEM_DONATE_64}
ADDRESS = 0x0000_FFFF_FFFF_F000
_SMC = 4
"""Offset of an SMC in the payload, after which it stands still."""
_BOOT = 4000
"""Instructions in which every partition has initialized on one core; cores take turns in long windows."""


class Standing:
    """Partitions 0x8001 to 0x8000 + `count`, idle, and the vCPUs of a payload that owns EL2.

    An endpoint below 0x8000 is the payload, whichever VM it speaks for. `properties` are manifest properties, `own`
    the INTIDs of partitions by number, `options` keys of [secure].
    Without `initialized` the first one still initializes.
    """

    def __init__(
        self,
        directory: Path,
        count: int = 3,
        properties: Mapping[int, Mapping[str, Value]] | None = None,
        own: Mapping[int, Sequence[int]] | None = None,
        cores: int = 1,
        initialized: bool = True,
        normal_interrupts: Sequence[int] = (),
        **options: Any,
    ) -> None:
        differ, intids = properties or {}, own or {}
        sps = [Sp(wait(Program()).b("wait"), differ.get(n, {}), intids.get(n, ())) for n in range(1, count + 1)]
        guest = Guest(_payload(cores, normal_interrupts), vcpus=cores, el=2)
        bench = secure(directory, sps, guest, cores=cores, secure=options)
        self.stand(bench.run((_BOOT if cores == 1 else 10 * _BOOT) if initialized else 0))
        if initialized:
            contexts = [each for sp in self.spmc.partitions.values() for each in sp.contexts]
            assert all(each.state is ContextState.IDLE for each in contexts)

    def stand(self, bench: SecureBench) -> None:
        """Take a machine that was made elsewhere."""
        self.bench = bench
        self.spmc = self.bench.spmc
        secure_world = self.bench.system.secure
        assert secure_world is not None
        self.spmd = secure_world.spmd
        self.manager = self.spmc.manager

    # --- who there is ------------------------------------------------------------------------------

    def sp(self, endpoint: int) -> SecurePartition:
        return self.spmc.partitions[endpoint]

    def context(self, endpoint: int, index: int = 0) -> Context:
        return self.sp(endpoint).contexts[index]

    def state(self, endpoint: int, index: int = 0) -> ContextState:
        return self.context(endpoint, index).state

    def vcpu(self, endpoint: int, core: int = 0) -> Vcpu:
        """The vCPU that speaks for an endpoint on a core."""
        if not is_secure(endpoint):
            return self.bench.vm.vcpus[core]
        contexts = self.sp(endpoint).contexts
        return contexts[core if len(contexts) > 1 else 0].vcpu

    def registers(self, endpoint: int, count: int = WIDE, core: int = 0) -> list[int]:
        """x0 and on, as it will find them when it runs on."""
        x = self.vcpu(endpoint, core).registers.x
        return [x[n] for n in range(count)]

    # --- calls ---------------------------------------------------------------------------------------

    def call(self, endpoint: int, function: int, *values: int, core: int = 0) -> list[int]:
        """Make a call and return x0-x17 afterwards; a call without an answer yet leaves the registers as they were.

        An idle partition makes it while it serves a direct request, which it then answers.
        """
        if is_secure(endpoint) and self.state(endpoint, self.vcpu(endpoint, core).index) is ContextState.IDLE:
            return self._within_a_request(endpoint, function, values, core)
        return self.raw(endpoint, function, *values, core=core)

    def raw(self, endpoint: int, function: int, *values: int, core: int = 0) -> list[int]:
        """A call of somebody who runs."""
        vcpu = self.vcpu(endpoint, core)
        x = vcpu.registers.x
        for number, value in enumerate((function, *values, *(0,) * (WIDE - 1 - len(values)))):
            x[number] = value
        if is_secure(endpoint):
            assert self.state(endpoint, vcpu.index) is ContextState.RUNNING
            assert self.spmc.call(vcpu, hvc=False)
        else:
            assert self.spmd.serve(vcpu)
        return self.registers(endpoint, core=core)

    def hypercall(self, endpoint: int, number: int, *values: int) -> int:
        """A paravirtual call of a partition, running or not: x0 afterwards."""
        vcpu = self.vcpu(endpoint)
        kept = self.registers(endpoint)
        for register, value in enumerate((number, *values)):
            vcpu.registers.x[register] = value
        assert self.spmc.call(vcpu, hvc=True)
        answer = vcpu.registers.x[0]
        for register, value in enumerate(kept):
            vcpu.registers.x[register] = value
        return answer

    def _within_a_request(self, endpoint: int, function: int, values: Sequence[int], core: int) -> list[int]:
        self.enter(endpoint, core)
        answer = self.raw(endpoint, function, *values, core=core)
        self.respond(endpoint, core=core)
        return answer

    def psci(self, function: int, *values: int, core: int = 0) -> None:
        """A PSCI call of the payload; then all go on for a while."""
        registers = self.vcpu(HYPERVISOR, core).registers
        for number, value in enumerate((function, *values)):
            registers.x[number] = value
        registers.pc = RAM_BASE + _SMC
        self.bench.run(10 * _BOOT)

    def status(self, endpoint: int, function: int, *values: int, core: int = 0) -> int:
        """0 or the error code of a call."""
        return status(self.call(endpoint, function, *values, core=core))

    def asked(self, function: int, *values: int, core: int = 0) -> Result | None:
        """What the SPMC says at once to a call of the normal world; None where a partition runs now."""
        registers = (function, *values, *(0,) * (WIDE - 1 - len(values)))
        return self.spmd.call(self.vcpu(HYPERVISOR, core), registers)

    def enter(self, endpoint: int, core: int = 0, sender: int = VM1) -> None:
        """A direct request of the normal world: the partition runs."""
        self.raw(HYPERVISOR, REQ32, id_pair(sender, endpoint), core=core)
        assert self.bench.hypervisor.cores[core].held is self.vcpu(endpoint, core), status(self.registers(HYPERVISOR))

    def respond(self, endpoint: int, to: int = VM1, *values: int, core: int = 0) -> None:
        """The partition answers, and whoever asked runs on."""
        self.raw(endpoint, RESP32, id_pair(endpoint, to), 0, *values, core=core)
        assert self.state(endpoint, self.vcpu(endpoint, core).index) is ContextState.IDLE

    def request(self, sender: int, receiver: int) -> int:
        """A direct request between partitions: 0 where the receiver runs now, else the code of the refusal."""
        self.raw(sender, REQ32, id_pair(sender, receiver))
        return 0 if self.state(sender) is ContextState.BLOCKED else status(self.registers(sender))

    def negotiate(self, endpoint: int, version: Version) -> None:
        """Settle a version, which only the first call of an endpoint can."""
        agreed = self.sp(endpoint).endpoint.negotiation if is_secure(endpoint) else self.manager.normal.negotiation
        assert not agreed.settled or not is_secure(endpoint)
        assert agreed.request(version.pack()) >> 16 == 1
        assert agreed.agreed == version

    def run(self, endpoint: int, vcpu: int = 0, core: int = 0) -> int:
        """FFA_RUN by the normal world: 0 or the code of a refusal."""
        found = self.asked(Function.RUN, endpoint << 16 | vcpu, core=core)
        return 0 if found is None else found.code

    def interrupt(self, endpoint: int, intid: int, context: int = 0) -> None:
        """A physical interrupt of a partition comes, if it is one of its own."""
        self.sp(endpoint).interrupts.inject(intid, context)

    def preempt(self, core: int = 0) -> None:
        """A Non-secure interrupt comes."""
        self.spmc.normal_interrupt(self.bench.hypervisor.cores[core])

    # --- memory ----------------------------------------------------------------------------------------

    def ram(self, endpoint: int) -> int:
        return SP_BASE + (endpoint - SP1) * SP_SIZE if is_secure(endpoint) else NORMAL_RAM

    def page(self, endpoint: int, number: int = 0) -> int:
        return self.ram(endpoint) + PAGES + number * PAGE

    def write(self, address: int, data: bytes) -> None:
        self.manager.memory.write(address, data)

    def read(self, address: int, size: int) -> bytes:
        return self.manager.memory.read(address, size)

    def map_buffers(self, *endpoints: int) -> None:
        for each in endpoints:
            assert self.status(each, Function.RXTX_MAP_64, self.ram(each) + TX, self.ram(each) + RX, 1) == 0

    def entry(self, endpoint: int, ipa: int) -> int | None:
        """The page or block descriptor by which a partition has an address, walked from VSTTBR_EL2."""
        memory, sp = self.manager.memory, self.sp(endpoint)
        table = sp.stage2.vttbr & ADDRESS
        for level in (1, 2, 3):
            found = memory.read_u64(table + 8 * (ipa >> 39 - 9 * level & 511))
            if not found & 1:
                return None
            if level == 3 or not found & 2:
                return found
            table = found & ADDRESS
        raise AssertionError

    def shown(self, endpoint: int, ipa: int) -> tuple[S2AP, PageState, bool] | None:
        """What a partition's entry for an address says: access, ownership, and whether it may execute."""
        found = self.entry(endpoint, ipa)
        return None if found is None else (S2AP(found >> 6 & 3), PageState(found >> 55 & 3), not found >> 54 & 1)

    # --- memory transactions -----------------------------------------------------------------------------

    def version(self, endpoint: int) -> Version:
        return self.sp(endpoint).endpoint.version if is_secure(endpoint) else self.manager.normal.version

    def send_bytes(self, endpoint: int, function: int, data: bytes) -> list[int]:
        """Descriptor calls: the bytes in TX, both lengths in registers."""
        self.write(self.ram(endpoint) + TX, data)
        return self.call(endpoint, function, len(data), len(data))

    def send(
        self,
        kind: Kind = Kind.SHARE,
        owner: int = VM1,
        to: Sequence[int] = (SP1,),
        ranges: Sequence[Range] = (),
        permissions: Permissions | None = None,
        flags: int = 0,
        caller: int | None = None,
        wide: bool = False,
    ) -> list[int]:
        """Share, lend or donate; one page of VM 1 to SP1 unless told otherwise. `caller` speaks for the owner."""
        chosen = permissions or (OPEN if kind is Kind.DONATE else RW)
        composite = Composite(tuple(ranges) or (Range(self.page(owner), 1),))
        access = tuple(EndpointAccess(each, chosen, composite=composite) for each in to)
        single = kind is not Kind.SHARE and len(to) == 1
        region = MemoryRegion(owner, access, UNSPECIFIED if single else NORMAL_WB_ISH, flags)
        by = owner if caller is None else caller
        return self.send_bytes(by, (SENDS_64 if wide else SENDS)[kind], pack(region, self.version(by)))

    def sent(self, kind: Kind = Kind.SHARE, owner: int = VM1, to: Sequence[int] = (SP1,), **more: Any) -> int:
        """The handle of a send that is accepted."""
        return handle(self.send(kind, owner, to, **more))

    def retrieve(self, endpoint: int, sent: int, permissions: Permissions = RW, **more: Any) -> int:
        """RETRIEVE_REQ, and RX_RELEASE if it is answered: 0 or the error code. For `more` see retrieve_response."""
        answer = self.retrieve_response(endpoint, sent, permissions, **more)
        if status(answer) == 0:
            assert self.status(endpoint, Function.RX_RELEASE) == 0
        return status(answer)

    def retrieve_response(
        self,
        endpoint: int,
        sent: int,
        permissions: Permissions = RW,
        owner: int = VM1,
        to: Sequence[int] = (),
        ranges: Sequence[Range] = (),
        flags: int = 0,
    ) -> list[int]:
        """RETRIEVE_REQ; the answer stays in RX."""
        composite = Composite(tuple(ranges)) if ranges else None
        listed = tuple(to) or (endpoint,)
        access = tuple(
            EndpointAccess(each, permissions, composite=composite if each == endpoint else None) for each in listed
        )
        region = MemoryRegion(owner, access, flags=flags, handle=sent)
        return self.send_bytes(endpoint, Function.MEM_RETRIEVE_REQ_32, pack(region, self.version(endpoint)))

    def response(self, endpoint: int, answer: Sequence[int]) -> MemoryRegion:
        """The descriptor in RX that RETRIEVE_RESP announced."""
        assert answer[0] == Function.MEM_RETRIEVE_RESP, answer
        assert answer[1] == answer[2]
        return parse_retrieve(self.read(self.ram(endpoint) + RX, answer[1]), self.version(endpoint))

    def relinquish(self, endpoint: int, sent: int, flags: int = 0) -> int:
        self.write(self.ram(endpoint) + TX, Relinquish(sent, (endpoint,), flags).pack())
        return self.status(endpoint, Function.MEM_RELINQUISH)

    def reclaim(self, endpoint: int, sent: int, flags: int = 0) -> int:
        return self.status(endpoint, Function.MEM_RECLAIM, sent & 0xFFFF_FFFF, sent >> 32, flags)


def wish(kind: Kind) -> Permissions:
    """What a single receiver asks for: data as offered; instruction access where it has the region for itself."""
    return RW if kind is Kind.SHARE else RW_NX


def _payload(cores: int, interrupts: Sequence[int]) -> Program:
    """Turns all cores on, where they do nothing."""
    program = Program().b("start").label("call").emit(a.smc()).label("still").emit(a.NOP).b("still").label("start")
    assert program.offset("call") == _SMC
    if interrupts:
        enable_interrupts(program, *interrupts)
    for core in range(1, cores):
        program.call(Psci.CPU_ON, core, RAM_BASE + program.offset("still"), 0, conduit=a.smc())
    return program.b("still")


def status(registers: Sequence[int]) -> int:
    """0, or the signed code of FFA_ERROR."""
    args = arguments(registers)
    if args[0] != Function.ERROR:
        return 0
    assert registers[2] >> 32 == 0, "the upper half of an error code"
    return args[2] - (1 << 32) if args[2] >> 31 else args[2]


def handle(registers: Sequence[int]) -> int:
    """The handle that a send returned."""
    assert registers[0] == Function.SUCCESS_32, (hex(registers[0]), status(registers))
    return handle_of(registers[2], registers[3])
