"""Character sets that `ESC (` and `ESC )` designate; the others are ASCII as far as anyone uses them."""

from __future__ import annotations

_GRAPHICS = " ◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"
"""DEC special graphics, 0x5f to 0x7e."""

Charset = dict[int, str]
ASCII: Charset = {}
SETS: dict[str, Charset] = {
    "0": dict(zip(range(0x5F, 0x7F), _GRAPHICS, strict=True)),
    "A": {0x23: "£"},
}
