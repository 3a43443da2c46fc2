"""Setup and discovery: versions, features, ids, partition information, and the debug log."""

from __future__ import annotations

from engine.events import ConsoleOutput
from engine.ffa.abi import Function, PartitionId, function, is_secure, since
from engine.ffa.errors import Code, FfaError, require
from engine.ffa.flags import COUNT_ONLY, NS_BIT_SUPPORT
from engine.ffa.mailbox import Filled, RxContent
from engine.ffa.partition_info import (
    PartitionInfo,
    descriptor_size,
    matching,
    pack_infos,
    regs_page,
    seen_by,
    uuid_from_registers,
    uuid_from_words,
)
from engine.ffa.registers import Result, console_text, rxtx_feature, success_32, success_wide, version_result
from engine.ffa.version import V1_1, V1_2
from engine.manager.buffers import fill_rx
from engine.manager.endpoint import Call, Endpoint, Handlers, Supported
from engine.manager.manager import Manager

_ANSWERS = frozenset(
    {Function.ERROR, Function.SUCCESS_32, Function.SUCCESS_64, Function.INTERRUPT, Function.MEM_RETRIEVE_RESP}
)
"""Ids a VM gets as answers: FEATURES knows them, calling them is NOT_SUPPORTED."""
_IS_FUNCTION = 1 << 31


class DiscoveryCalls:
    """VERSION, FEATURES, ID_GET, SPM_ID_GET, PARTITION_INFO_GET(_REGS) and CONSOLE_LOG."""

    def __init__(self, manager: Manager, supported: Supported) -> None:
        self._manager = manager
        self._supported = supported

    def handlers(self) -> Handlers:
        """What is served here."""
        return {
            Function.VERSION: self._version,
            Function.FEATURES: self._features,
            Function.ID_GET: lambda call: success_32(call.caller),
            Function.SPM_ID_GET: lambda _call: success_32(PartitionId.SPMC),
            Function.PARTITION_INFO_GET: self._info,
            Function.PARTITION_INFO_GET_REGS: self._info_regs,
            Function.CONSOLE_LOG_32: self._log,
            Function.CONSOLE_LOG_64: self._log,
        }

    @staticmethod
    def _version(call: Call) -> Result:
        return version_result(call.endpoint.negotiation.request(call.args[1]))

    def _features(self, call: Call) -> Result:
        wanted = call.args[1]
        if not wanted & _IS_FUNCTION:
            return success_32(self._interrupt(call.endpoint, wanted))
        known = function(wanted)
        served = known is not None and since(known) <= call.endpoint.version
        if known is None or not served or not (known in _ANSWERS or self._supported(known, call.endpoint)):
            raise FfaError(Code.NOT_SUPPORTED, f"0x{wanted:x} is not served")
        return success_32(*self._details(known, call.endpoint))

    def _interrupt(self, endpoint: Endpoint, feature: int) -> int:
        """INTIDs of features, which came with notifications in v1.1."""
        found = self._manager.feature_intid(endpoint.id, feature)
        if found is None or endpoint.version < V1_1:
            raise FfaError(Code.NOT_SUPPORTED, f"feature {feature} is not for 0x{endpoint.id:x}, v{endpoint.version}")
        return found

    def _details(self, known: Function, endpoint: Endpoint) -> tuple[int, ...]:
        if known in (Function.RXTX_MAP_32, Function.RXTX_MAP_64):
            return (rxtx_feature(self._manager.max_buffer_pages if endpoint.version >= V1_2 else 0),)
        if known in (Function.MEM_RETRIEVE_REQ_32, Function.MEM_RETRIEVE_REQ_64):
            return (NS_BIT_SUPPORT,)
        return ()

    def _infos(self, call: Call, uuid_words: bool) -> list[PartitionInfo]:
        args, endpoint = call.args, call.endpoint
        uuid = uuid_from_words(args[1:5]) if uuid_words else uuid_from_registers(args[1], args[2])
        found = matching(self._manager.infos(call.caller), uuid)
        return [seen_by(info, endpoint.version, is_secure(endpoint.id), uuid) for info in found]

    def _info(self, call: Call) -> Result:
        infos, endpoint = self._infos(call, True), call.endpoint
        if call.args[5] & COUNT_ONLY:
            return success_32(len(infos))
        data = pack_infos(infos, endpoint.version)
        filled = Filled(RxContent.PARTITION_INFO, PartitionId.HYPERVISOR, len(data))
        with self._manager.filling(endpoint, len(data)):
            fill_rx(self._manager, endpoint, data, filled)
        self._manager.work.received = data
        size = descriptor_size(endpoint.version)
        return success_32(len(infos), size if size > 8 else 0)

    def _info_regs(self, call: Call) -> Result:
        third = call.args[3]
        return success_wide(*regs_page(self._infos(call, False), third & 0xFFFF, third >> 16 & 0xFFFF, 0))

    def _log(self, call: Call) -> Result:
        """Characters go to the VM's console; NULs are padding."""
        text = console_text(call.args, call.endpoint.version).replace(b"\0", b"")
        require(text, Code.INVALID_PARAMETERS, "nothing but NULs")
        vm = call.vcpu.vm
        now = self._manager.hypervisor.now
        self._manager.hypervisor.events.emit(ConsoleOutput(now, vm.name, call.vcpu.index, text))
        vm.console.write(text, now)
        return success_32()
