"""Frozen pictures of the machine for front ends: built when somebody looks, never shared state."""

from __future__ import annotations

import enum

import msgspec

from engine.device_views import DevicesView, VmInterruptsView


class RunState(enum.StrEnum):
    """What the machine's thread is doing."""

    PAUSED = "paused"
    RUNNING = "running"
    OFF = "off"
    """Every partition is off or crashed: nothing will ever run again without a reset."""
    FAILED = "failed"
    """The engine thread died of an internal error; its state can still be read."""


class VcpuState(enum.StrEnum):
    """A vCPU as the scheduler sees it."""

    OFF = "off"
    READY = "ready"
    RUNNING = "running"
    BLOCKED = "blocked"
    """Waiting in WFI for an interrupt."""
    WAITING = "waiting"
    """In FFA_MSG_WAIT, or done with a direct request: a message, FFA_RUN or an interrupt ends it."""
    CALLING = "calling"
    """In an FF-A direct request or FFA_RUN until the callee answers or yields, or an interrupt becomes pending."""
    PREEMPTED = "preempted"
    """It stopped for an interrupt of its FF-A caller, or of one further up; their FFA_RUN lets it go on."""
    YIELDED = "yielded"
    """It gave way to its FF-A caller, whose FFA_RUN lets it go on."""


class VmRunState(enum.StrEnum):
    """A partition as its owner sees it."""

    RUNNING = "running"
    OFF = "off"
    """It called SYSTEM_OFF or its last vCPU went off."""
    CRASHED = "crashed"


class VcpuView(msgspec.Struct, frozen=True):
    """One vCPU; counters since boot."""

    index: int
    state: VcpuState
    core: int
    """Physical core it is placed on."""
    el: int
    pc: int
    symbol: str
    """`name+0x10` when the image has symbols, else ""."""
    exits: int
    """Traps taken to the hypervisor."""
    instructions: int
    pending: tuple[int, ...]
    """INTIDs pending in its virtual interrupt controller."""
    context: str = ""
    """Of a secure partition's execution context: `idle`, `running`, `blocked`, `preempted`, ... and "" for a VM's."""


class VmView(msgspec.Struct, frozen=True):
    """One partition."""

    name: str
    state: VmRunState
    detail: str
    """Why it is off or crashed, in one line."""
    vmid: int
    ram_base: int
    ram_size: int
    console: str
    """Name of its console."""
    vcpus: tuple[VcpuView, ...]
    secure: bool = False
    """Whether it lives in the secure world."""


class CoreView(msgspec.Struct, frozen=True):
    """One physical core."""

    index: int
    cycles: int
    """Virtual time of this core, in cycles."""
    busy: int
    """Cycles that were guest instructions rather than waiting."""
    running: str
    """`vm0/1`, or "" when idle."""
    secure: bool = False
    """Whether it is in the secure world."""
    chain: tuple[str, ...] = ()
    """The call chain it runs: who called first, then who was called, by name; empty outside the secure world."""


class FfaPartitionView(msgspec.Struct, frozen=True):
    """One FF-A endpoint: a VM, or a secure partition of the stub."""

    id: int
    name: str
    uuid: str
    vcpus: int
    version: str
    """That calls and descriptors follow; "" for a partition that the stub only pretends."""
    negotiated: bool
    """It chose the version by FFA_VERSION."""
    tx: int
    rx: int
    """IPA of the buffers; 0 where none are mapped."""
    buffer_pages: int
    """Of 4 KB, in each buffer; 0 where none are mapped."""
    rx_owner: str
    """`producer` when RX is free, `consumer` when the endpoint has it; "" without buffers."""
    rx_content: str
    """`message`, `memory descriptor`, ... of a full RX buffer, else ""."""
    rx_sender: int
    """Who sent the message in a full RX buffer; 0 for what the manager put there."""
    rx_size: int
    """Bytes in a full RX buffer."""
    properties: tuple[str, ...] = ()
    """What it can do, as FFA_PARTITION_INFO_GET tells: `receives direct requests`, ... (DEN0077A 6.2)."""


class FfaBorrowerView(msgspec.Struct, frozen=True):
    """One borrower of a transaction."""

    endpoint: int
    state: str
    """`offered`, `retrieved` or `relinquished`."""
    offered: str
    granted: str
    """Permissions it has; "" unless retrieved."""
    ranges: tuple[tuple[int, int], ...]
    """(IPA, pages) where it has them."""


class FfaTransactionView(msgspec.Struct, frozen=True):
    """A memory transaction between send and reclaim."""

    handle: int
    tag: int
    kind: str
    """`share`, `lend` or `donate`."""
    owner: int
    attributes: str
    pages: int
    ranges: tuple[tuple[int, int], ...]
    """(IPA, pages) of the owner."""
    borrowers: tuple[FfaBorrowerView, ...]
    orphaned: bool
    """The owner is gone; the last borrower to leave ends it."""


class FfaBitmapView(msgspec.Struct, frozen=True):
    """The 64 notifications that SPs, or that VMs, may set at one endpoint."""

    source: str
    """`sp` or `vm`."""
    senders: tuple[tuple[int, int], ...]
    """(endpoint, bits bound to it), by endpoint."""
    per_vcpu: int
    """Bits bound as per-vCPU notifications."""
    pending: int
    """Global notifications that are pending."""
    vcpu_pending: tuple[int, ...]
    """Those pending for each vCPU."""


class FfaNotificationView(msgspec.Struct, frozen=True):
    """The notification bitmaps of one endpoint."""

    endpoint: int
    bitmaps: tuple[FfaBitmapView, ...]
    framework: int
    """Pending framework notifications: the SPM's in the low half, the hypervisor's in the high half."""


class FfaView(msgspec.Struct, frozen=True):
    """Everything the FF-A relayer knows."""

    partitions: tuple[FfaPartitionView, ...]
    transactions: tuple[FfaTransactionView, ...]
    notifications: tuple[FfaNotificationView, ...]


class BreakpointView(msgspec.Struct, frozen=True):
    """One breakpoint or watchpoint."""

    number: int
    vm: str
    """Partition; "" for a watchpoint on the board's memory."""
    address: int
    symbol: str
    """`name+0x10` when the image has symbols, else ""."""
    hits: int
    """Times that its condition held there."""
    kind: str = "breakpoint"
    """Or `watchpoint`."""
    size: int = 0
    """Bytes that a watchpoint minds."""
    access: str = ""
    """Of a watchpoint: `r`, `w` or `rw`."""
    space: str = "va"
    """Whose address it is: `va`, or `pa` of the board."""
    condition: str = ""
    """As it was typed; "" without."""
    ignore: int = 0
    """Hits that will not stop."""
    enabled: bool = True
    temporary: bool = False
    """Gone once it stopped."""


class Part(enum.Flag):
    """What a picture of the machine shows only where somebody looks, since it takes a while to build."""

    FFA = enum.auto()
    DEVICES = enum.auto()
    INTERRUPTS = enum.auto()


EVERYTHING = Part.FFA | Part.DEVICES | Part.INTERRUPTS
NOTHING_MORE = Part(0)


class MachineView(msgspec.Struct, frozen=True):
    """The whole machine at one instruction boundary."""

    name: str
    state: RunState
    detail: str
    """Why it stopped: `paused`, `stepped`, `trap: HVC ...`, or the error."""
    cycles: int
    nanoseconds: int
    """Virtual time since power-on."""
    instructions: int
    """Guest instructions executed by all vCPUs."""
    events: int
    """Events emitted so far (sequence number of the next one)."""
    vms: tuple[VmView, ...]
    cores: tuple[CoreView, ...]
    ffa: FfaView | None = None
    """None where the machine has no FF-A, or where nobody asked for it."""
    breakpoints: tuple[BreakpointView, ...] = ()
    devices: DevicesView | None = None
    """None where nobody asked for them."""
    interrupts: tuple[VmInterruptsView, ...] | None = None
    """None where nobody asked for them."""


class RegisterGroup(msgspec.Struct, frozen=True):
    """Registers that belong together, in display order."""

    name: str
    registers: tuple[tuple[str, int, int], ...]
    """(name, value, width in bits)"""


class RegistersView(msgspec.Struct, frozen=True):
    """The registers of one vCPU."""

    vm: str
    vcpu: int
    groups: tuple[RegisterGroup, ...]

    def value(self, name: str) -> int:
        """Value of one register by its architectural name; KeyError if it is not shown."""
        for group in self.groups:
            for register, value, _ in group.registers:
                if register == name:
                    return value
        raise KeyError(name)
