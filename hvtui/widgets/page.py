"""The base of the app's screens besides the board: each fills the place between the bar and the status line."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

from textual.containers import Container
from textual.message import Message
from textual.widget import Widget

from engine.control import Control
from engine.errors import MachineError
from engine.views import NOTHING_MORE, Part
from hvtui.frame import Frame

Look: TypeAlias = Callable[[Control], object]
"""Builds a frozen picture on the machine's thread, between two slices."""


class Page(Container):
    """Shown and hidden by the board, which gives it every frame while it is open."""

    class LookAgain(Message):
        """What `look` asks for has changed: somebody went elsewhere."""

    class Problem(Message):
        """Something that was asked for cannot be seen; one line says why."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    part: ClassVar[Part] = NOTHING_MORE
    """What of the machine it shows: asked for while it is open."""
    selected: tuple[str, int] = ("", 0)
    """The vCPU that people look at."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, classes="page")
        self._trouble = ""

    @property
    def home(self) -> Widget:
        """What has the focus when it is opened."""
        raise NotImplementedError

    def look(self) -> Look | None:
        """What else it wants to know for the next frame: `Frame.looked` has the answer. None: nothing."""
        return None

    def show(self, frame: Frame) -> None:
        """Fill its widgets."""
        raise NotImplementedError

    def answer(self, frame: Frame) -> object:
        """What its `look` found, None where a frame has nothing for it. Why nothing can be seen is told once."""
        looked = frame.looked
        if looked is None or looked.page != self.id:
            return None
        trouble = str(looked.value) if isinstance(looked.value, MachineError) else ""
        if trouble and trouble != self._trouble:
            self.post_message(self.Problem(trouble))
        self._trouble = trouble
        return None if trouble else looked.value

    def follow(self, vm: str, vcpu: int) -> None:
        """Another vCPU was selected."""
        self.selected = (vm, vcpu)

    def retitle(self) -> None:
        """Titles of its panes, after a change of layout."""
