"""What a machine that stands still can tell of code and memory, by the names of its partitions.

For `Machine.ask(lambda control: inspect.code(control, ...))`. Nothing here changes anything that a guest could notice.
A partition or vCPU that is not there is a ControlError, as is an address, size or choice that cannot be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from engine.control import Control, ControlError
from engine.debug.address_map import ipa_map_view, who_maps_view
from engine.debug.disassembly import code_view
from engine.debug.memory_window import memory_view
from engine.debug.stack import MOST_FRAMES, stack_view
from engine.debug.walks import translation_view
from engine.debug_views import CodeView, IpaMapView, MemoryView, PageOwnersView, StackView, TranslationView
from engine.errors import MachineError

T = TypeVar("T")


def code(control: Control, vm: str, vcpu: int, around: int | None = None, before: int = 8, after: int = 24) -> CodeView:
    """Instructions around a virtual address, PC if None; at most 512."""
    mine = [(each.address, each.number) for each in control.system.breakpoints if each.vm == vm]
    return code_view(control.vcpu(vm, vcpu), around, before, after, mine)


def stack(control: Control, vm: str, vcpu: int, limit: int = MOST_FRAMES, words: int = 16) -> StackView:
    """At most 64 frames, and at most 64 words from SP upwards."""
    return stack_view(control.vcpu(vm, vcpu), limit, words)


def translation(
    control: Control, vm: str, vcpu: int, address: int, space: str = "va", access: str = "read", el: int | None = None
) -> TranslationView:
    """Both walks of an address: "va" or "ipa", for "read", "write" or "execute", at an exception level or its own."""
    found = control.vcpu(vm, vcpu)
    return _asked(lambda: translation_view(found, address, space, access, el))


def memory(control: Control, vm: str, vcpu: int, address: int, size: int, space: str = "va") -> MemoryView:
    """Up to 4096 bytes at "va", "ipa" or "pa"."""
    found = control.vcpu(vm, vcpu)
    return _asked(lambda: memory_view(found, address, size, space))


def ipa_map(control: Control, vm: str) -> IpaMapView:
    """The whole intermediate physical address space of a partition."""
    return ipa_map_view(control.system, control.vm(vm))


def who_maps(control: Control, address: int) -> PageOwnersView:
    """The partitions whose stage 2 has the page of a physical address."""
    return who_maps_view(control.system, address)


def _asked(view: Callable[[], T]) -> T:
    try:
        return view()
    except MachineError as error:
        raise ControlError(str(error)) from None
