"""Textual's driver for an app behind a web server, which also leaves when that server is gone."""

from __future__ import annotations

from textual import messages
from textual.drivers.web_driver import WebDriver


class PipeDriver(WebDriver):
    """The app ends with its input: nobody could see it any more."""

    def run_input_thread(self) -> None:
        """Turn what the server sends into events, until it sends no more."""
        super().run_input_thread()
        self._app.call_later(self._app.post_message, messages.ExitApp())
