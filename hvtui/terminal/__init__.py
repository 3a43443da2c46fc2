"""A terminal for one console: bytes in, styled lines and key bytes out. Nothing here knows the engine."""

from hvtui.terminal.keys import encode_key, encode_paste
from hvtui.terminal.terminal import Terminal

__all__ = ["Terminal", "encode_key", "encode_paste"]
