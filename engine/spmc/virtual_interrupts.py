"""Virtual interrupts of a secure partition, by the paravirtual interface that Hafnium defined.

Secure physical interrupts that its manifest gives it keep their INTID. The SPMC latches them here; the partition takes
them by HF_INTERRUPT_GET once HCR_EL2.VI or VF made it look, and ends each with HF_INTERRUPT_DEACTIVATE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

NONE: Final = 0xFFFF_FFFF
"""What HF_INTERRUPT_GET answers when nothing is pending."""
MAX_INTID = 1020
"""INTIDs from here on are special (IHI0069 2.2)."""


@dataclass(slots=True)
class _Context:
    """The interrupts of one execution context, as sets of INTIDs."""

    enabled: set[int] = field(default_factory=set)
    pending: set[int] = field(default_factory=set)
    active: set[int] = field(default_factory=set)
    """Physical ones taken and not yet deactivated."""
    high: set[int] = field(default_factory=set)
    """Lines that are asserted."""
    fiq: set[int] = field(default_factory=set)
    """Signalled as FIQ rather than IRQ."""

    @property
    def deliverable(self) -> set[int]:
        return (self.enabled & self.pending) - self.active


class VirtualInterrupts:
    """An `InterruptController` without registers.

    `owned` are the physical INTIDs the partition has; `software` are those that only managers raise; `forced` says
    which are FIQs (True) or IRQs whatever the partition asks. `on_change(n)`: what context n sees has changed;
    `on_signal(n, intid)`: a physical interrupt became pending for it.
    """

    def __init__(
        self,
        contexts: int,
        owned: Iterable[int],
        software: Iterable[int],
        forced: dict[int, bool],
        on_change: Callable[[int], None],
        on_signal: Callable[[int, int], None],
    ) -> None:
        self.owned = frozenset(owned)
        self._known = self.owned | frozenset(software)
        self._forced = forced
        self._on_change = on_change
        self._on_signal = on_signal
        self._contexts = [_Context() for _ in range(contexts)]

    # --- what the partition calls --------------------------------------------------------------

    def enable(self, context: int, intid: int, on: bool, fiq: bool) -> bool:
        """HF_INTERRUPT_ENABLE; False for an INTID that it does not have."""
        if intid not in self._known:
            return False
        state = self._contexts[context]
        (state.enabled.add if on else state.enabled.discard)(intid)
        (state.fiq.add if self._forced.get(intid, fiq) else state.fiq.discard)(intid)
        self._on_change(context)
        return True

    def take(self, context: int) -> int:
        """HF_INTERRUPT_GET: the lowest pending and enabled INTID, which is pending no more; NONE without one."""
        state, intid = self._contexts[context], self.first(context)
        if intid == NONE:
            return NONE
        state.pending.remove(intid)
        if intid in self.owned:
            state.active.add(intid)
        self._on_change(context)
        return intid

    def deactivate(self, context: int, intid: int) -> bool:
        """HF_INTERRUPT_DEACTIVATE; False unless the INTID is active. A line that is still high pends again."""
        state = self._contexts[context]
        if intid not in state.active:
            return False
        state.active.remove(intid)
        if intid in state.high:
            state.pending.add(intid)
        self._on_change(context)
        return True

    def in_service(self, context: int) -> bool:
        """Whether an interrupt was taken and not deactivated: it may not give its core away yet."""
        return bool(self._contexts[context].active)

    # --- what managers and devices do -----------------------------------------------------------

    def set_line(self, intid: int, level: bool, vcpu: int = 0) -> None:
        """The line of a physical interrupt moved; ignored for one that the partition does not have."""
        state = self._contexts[vcpu]
        if intid not in self.owned:
            return
        if level:
            state.high.add(intid)
            if intid not in state.active:
                self.inject(intid, vcpu)
            return
        state.high.discard(intid)
        if intid in state.pending:
            state.pending.remove(intid)
            self._on_change(vcpu)

    def inject(self, intid: int, vcpu: int = 0) -> None:
        """Latch an interrupt as pending; ignored for one that the partition does not have."""
        state = self._contexts[vcpu]
        if intid not in self._known:
            return
        state.pending.add(intid)
        self._on_change(vcpu)
        if intid in self.owned and intid in state.deliverable:
            self._on_signal(vcpu, intid)

    def cancel(self, intid: int, vcpu: int) -> None:
        """A manager takes an interrupt back."""
        self._contexts[vcpu].pending.discard(intid)
        self._on_change(vcpu)

    def is_enabled(self, intid: int, vcpu: int) -> bool:
        """Whether the partition wants to hear of it."""
        return intid in self._contexts[vcpu].enabled

    def reset(self) -> None:
        """Everything but the level of lines."""
        for context in range(len(self._contexts)):
            self.reset_vcpu(context)

    def reset_vcpu(self, vcpu: int) -> None:
        """As `reset`, for one context: a line that is asserted pends again."""
        high = self._contexts[vcpu].high
        self._contexts[vcpu] = _Context(pending=set(high), high=high)
        self._on_change(vcpu)

    # --- what the scheduler asks -----------------------------------------------------------------

    def virq(self, vcpu: int) -> bool:
        """Level of the virtual IRQ line."""
        state = self._contexts[vcpu]
        return bool(state.deliverable - state.fiq)

    def vfiq(self, vcpu: int) -> bool:
        """Level of the virtual FIQ line."""
        state = self._contexts[vcpu]
        return bool(state.deliverable & state.fiq)

    def wakes(self, vcpu: int) -> bool:
        """Whether an enabled interrupt is pending, which ends a WFI."""
        return bool(self._contexts[vcpu].deliverable)

    def deliverable(self, vcpu: int) -> frozenset[int]:
        """Pending and enabled INTIDs."""
        return frozenset(self._contexts[vcpu].deliverable)

    def first(self, vcpu: int) -> int:
        """The INTID that HF_INTERRUPT_GET will give; NONE without one."""
        return min(self._contexts[vcpu].deliverable, default=NONE)

    def pending(self, vcpu: int) -> tuple[int, ...]:
        """Pending INTIDs, enabled or not, ascending."""
        return tuple(sorted(self._contexts[vcpu].pending))

    def enabled(self, vcpu: int) -> tuple[int, ...]:
        """Enabled INTIDs, ascending."""
        return tuple(sorted(self._contexts[vcpu].enabled))

    def active(self, vcpu: int) -> tuple[int, ...]:
        """INTIDs taken and not deactivated, ascending."""
        return tuple(sorted(self._contexts[vcpu].active))

    def sysreg_read(self, _vcpu: int, _key: int) -> None:
        """A partition has no ICC registers."""

    def sysreg_write(self, _vcpu: int, _key: int, _value: int) -> bool:
        """A partition has no ICC registers."""
        return False
