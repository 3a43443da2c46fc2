"""Whether a file is still the one that was read: by what the file system says of it, without reading it again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class _Look(NamedTuple):
    inode: int
    size: int
    modified_ns: int


class FileWatch:
    """Looks only when asked."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._seen = _look(file)

    def changed(self) -> bool:
        """There is another content or another file since this was last asked. One that is gone is no news yet."""
        found = _look(self.file)
        if found is None or found == self._seen:
            return False
        self._seen = found
        return True


def _look(file: Path) -> _Look | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return _Look(found.st_ino, found.st_size, found.st_mtime_ns)
