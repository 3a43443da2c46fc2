"""What goes wrong while the app is open: it is told, and everything stays to be looked at."""

from __future__ import annotations

import asyncio
import datetime

from hvtui import failures
from hvtui.file_watch import FileWatch
from hvtui.frame import Frame
from hvtui.screens.board_base import BoardBase

_LOOK_S = 1.0
"""Between two looks at the machine file."""
_CHANGED_S = 30.0
"""How long people are told that it changed."""


class Troubles(BoardBase):
    """Watches the machine file, and keeps the traceback of an engine that failed."""

    report = ""
    """Where the traceback is, or why it is nowhere; "" while nothing failed."""

    def watch_file(self) -> None:
        """Tell of every change of the machine file from now on."""
        watch = FileWatch(self.machine.config.file)
        self.set_interval(_LOOK_S, lambda: self._look_at(watch))

    def _look_at(self, watch: FileWatch) -> None:
        if watch.changed():
            words = f"{watch.file.name} changed on disk: this machine is still the old one; quit and start again"
            self.notify(words, severity="warning", timeout=_CHANGED_S, markup=False)

    def engine_failed(self, frame: Frame) -> None:
        """Keep its traceback, and tell where it is."""
        self.run_worker(self._keep(frame), exit_on_error=False)

    async def _keep(self, frame: Frame) -> None:
        when = datetime.datetime.now().astimezone()
        try:
            file = await asyncio.to_thread(
                failures.save, self.machine.config, frame.failure, frame.view.nanoseconds, when
            )
            self.report = f"its traceback is in {file}"
        except OSError as error:
            self.report = f"its traceback cannot be kept: {error.strerror}: {error.filename}"
        self.complain(
            f"the engine failed: {frame.view.detail}. Its state can still be read, d tells more; {self.report}"
        )
