"""Bytes that nobody meant, made from bytes that somebody did."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

_ODD = (0, 1, 4, 0x1000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_F000, 0xFFFF_FFFF)


@st.composite
def damaged(draw: st.DrawFn, *originals: bytes) -> bytes:
    """Any bytes, or one of the originals with words overwritten in either byte order, or cut short."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 4) // 4)) * 4
        value = draw(st.sampled_from(_ODD) | st.integers(0, 0xFFFF_FFFF) | st.integers(0, len(data)))
        data[at : at + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", value)
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])
