"""Whatever software does to the GIC, it answers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arch.sysreg import SysReg
from engine.board.gic.cpu_interface import CpuInterface
from engine.board.gic.distributor import Distributor

KEYS = [int(key) for key in SysReg if key.name.startswith("ICC_")]
OFFSETS = st.one_of(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xD80),
    st.integers(0x6000, 0x8000),
    st.integers(0x10000, 0x10E00),
    st.integers(0, 0x60000),
)
ACCESSES = st.lists(
    st.tuples(
        st.sampled_from(["gicd", "gicr", "icc"]),
        OFFSETS,
        st.sampled_from([1, 2, 4, 8]),
        st.booleans(),
        st.integers(0, (1 << 64) - 1),
        st.booleans(),
        st.sampled_from(KEYS),
        st.integers(1, 3),
    ),
    max_size=50,
)


@settings(max_examples=80)
@given(ACCESSES, st.booleans())
def test_any_access_is_safe(
    accesses: list[tuple[str, int, int, bool, int, bool, int, int]],
    security: bool,
) -> None:
    gic = Distributor(2, 64, security)
    cpus = [CpuInterface(gic, pe) for pe in range(2)]
    for where, offset, size, is_write, value, secure, key, el in accesses:
        cpu = cpus[offset & 1]
        device = gic if where == "gicd" else gic.region
        if where == "icc":
            result = cpu.read(key, secure, el) if not is_write else cpu.write(key, value, secure, el)
            assert result is None or 0 <= result < 1 << 32
        elif is_write:
            device.write(offset, size, value, secure)
        else:
            assert 0 <= device.read(offset, size, secure) < 1 << 8 * size
        assert device.register(offset)
        assert not (cpu.irq(secure) and cpu.fiq(secure))
    state = gic.save()
    again = Distributor(2, 64, security)
    again.restore(state)
    assert again.save() == state
