"""What becomes of an address, entry by entry, through both stages."""

from __future__ import annotations

from engine.arch import attributes
from engine.arch.regime import Access, letters
from engine.arch.translation import EntryKind, Fault, Step, Translation, Walk
from engine.debug.translating import Translator
from engine.debug_views import FaultView, StepView, TranslationView, WalkView
from engine.errors import MachineError
from engine.hypervisor.partition import Partition
from engine.hypervisor.vcpu import Vcpu

_ACCESSES = {"read": Access.READ, "write": Access.WRITE, "execute": Access.EXECUTE}
_LARGEST = {"va": 1 << 64, "ipa": 1 << 52}


def translation_view(
    vcpu: Vcpu, address: int, space: str = "va", access: str = "read", el: int | None = None
) -> TranslationView:
    """An access of a vCPU, at the exception level it is at unless told otherwise (0 to 2).

    `space` is "va" or "ipa", `access` is "read", "write" or "execute". MachineError for anything else.
    """
    if space not in _LARGEST or not 0 <= address < _LARGEST[space]:
        raise MachineError(f"expected a virtual address of 64 bits or an IPA of 52 (got {space} {address:#x})")
    if access not in _ACCESSES:
        raise MachineError(f"expected the access read, write or execute (got {access!r})")
    if el not in (None, 0, 1, 2):
        raise MachineError(f"expected an exception level from 0 to 2 (got {el})")
    translator = Translator(vcpu, el)
    regime = translator.regime
    found = translator.translate(address, _ACCESSES[access], space)
    # Whoever owns EL2 has tables of its own; in all others the software bits are ours.
    ours = regime.second is not None and regime.second.root == vcpu.vm.stage2.root
    return TranslationView(
        vm=vcpu.vm.name,
        vcpu=vcpu.index,
        space=space,
        address=address,
        access=access,
        el=regime.el,
        stage1=None if found.first is None else _walk(found.first, 1, regime.first.mair, regime.first.el, ours),
        ipa=found.ipa,
        stage2=None if found.second is None else _walk(found.second, 2, 0, 0, ours),
        physical=found.physical,
        permissions=letters(found.allowed),
        fault=None if found.fault is None else _fault(found.fault, _ACCESSES[access]),
        place=place(vcpu.vm, found),
    )


def _walk(walk: Walk, number: int, mair: int, el: int, ours: bool) -> WalkView:
    stage = walk.stage
    return WalkView(
        stage=number,
        register=stage.register if stage else "",
        root=stage.root if stage else 0,
        granule=1 << stage.grain if stage else 0,
        input_bits=stage.input_bits if stage else 0,
        address=walk.address,
        steps=tuple(_step(step, number, mair, el, ours) for step in walk.steps),
        output=walk.output,
        permissions=letters(walk.allowed),
    )


def _step(step: Step, stage: int, mair: int, el: int, ours: bool) -> StepView:
    pairs: attributes.Pairs = ()
    if step.descriptor is not None and step.kind is not EntryKind.INVALID:
        if step.kind is EntryKind.TABLE:
            pairs = attributes.stage1_table(step.descriptor) if stage == 1 else ()
        elif stage == 1:
            pairs = attributes.stage1_leaf(step.descriptor, mair, el)
        else:
            pairs = attributes.stage2_leaf(step.descriptor, ours)
    return StepView(step.level, step.table, step.address, step.physical, step.descriptor, step.kind.value, pairs)


def _fault(fault: Fault, access: Access) -> FaultView:
    return FaultView(str(fault), fault.stage, fault.level, fault.status, fault.iss(access), fault.on_walk)


def place(partition: Partition, found: Translation) -> str:
    """What a translation leads to: a device's name, `RAM`, `nothing`, "" where a stage forbids to go there."""
    if found.physical is not None and partition.memory.contains(found.physical):
        return "RAM"
    if found.ipa is None or (found.second is not None and found.second.output is not None):
        return ""
    device = partition.bus.find(found.ipa, 1)
    return "nothing" if device is None else device[0].name
