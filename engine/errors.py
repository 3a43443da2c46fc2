"""The base of every error that is the user's to mend."""

from __future__ import annotations


class MachineError(Exception):
    """Something outside the engine is wrong: a file, an image, a host that cannot run it.

    Its text is one printable line that needs no traceback to be understood.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))
