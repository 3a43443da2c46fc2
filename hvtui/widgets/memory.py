"""The Memory page: a partition's address space, the walk of one address, and who else has its page."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget

from engine.debug_views import IpaRange
from engine.views import RunState
from hvtui import places
from hvtui.frame import Frame
from hvtui.places import Place, Spot
from hvtui.widgets.memory_look import MemoryLook, MemoryPicture
from hvtui.widgets.memory_map import IpaStrip, MapTable
from hvtui.widgets.memory_owners import OwnersTable
from hvtui.widgets.memory_walk import WalkPane
from hvtui.widgets.page import Look, Page
from hvtui.widgets.table import Table
from hvtui.widgets.titles import set_title


class MemoryPage(Page):
    """Begins at PC and follows it, until an address is asked for or a range of the map is chosen."""

    class PartitionChosen(Message):
        """Somebody wants to see the page from another partition's side."""

        def __init__(self, vm: str) -> None:
            super().__init__()
            self.vm = vm

    def __init__(self) -> None:
        super().__init__("memory")
        self.strip = IpaStrip("memory-strip")
        self.map = MapTable("memory")
        self.owners = OwnersTable("memory")
        self.walk = WalkPane("memory-walk")
        self._base: Spot | None = None
        self._space = "va"
        self._going: Place | None = None
        self._picture: MemoryPicture | None = None
        self._running = False

    def compose(self) -> ComposeResult:
        yield self.strip
        with Horizontal(classes="page-box memory-panes"):
            with Vertical(classes="page-box memory-tables"):
                yield self.map
                yield self.owners
            yield self.walk

    @property
    def home(self) -> Widget:
        return self.map if self.map.display else self.owners

    # --- frames --------------------------------------------------------------------------------------

    def look(self) -> Look | None:
        """One address, and everything about it."""
        return MemoryLook(*self.selected, self._base, self._space, self.walk.access, self._going)

    def show(self, frame: Frame) -> None:
        picture = self.answer(frame)
        if not isinstance(picture, MemoryPicture):
            return
        if picture.asked != self.look():
            return  # asked for before somebody went elsewhere
        self._running = frame.view.state is RunState.RUNNING
        self._arrive(picture)
        self._picture = picture
        self.map.show(picture.map)
        self.map.point(picture.ipa)
        self.strip.show(picture.map, picture.ipa)
        self.owners.show(picture.owners)
        self.walk.show(picture)
        self.retitle()

    def _arrive(self, picture: MemoryPicture) -> None:
        """Where somebody wanted to go is known now."""
        if self._going is None:
            return
        self._going = None
        if picture.problem:
            self.post_message(self.Problem(picture.problem))
        else:
            self._base, self._space = picture.base, picture.spot.space

    # --- where ---------------------------------------------------------------------------------------

    def go_to(self, place: str) -> None:
        """Look at a place. ValueError for no place."""
        self._going = places.parse(place)
        self.post_message(self.LookAgain())

    def space(self, space: str | None) -> None:
        """Look at the same place in this space, or the next one. ValueError for another word."""
        self._space = places.next_space(self._space, space)
        self.post_message(self.LookAgain())

    def here(self) -> None:
        """Follow PC again."""
        self._base, self._space, self._going = None, "va", None
        self.post_message(self.LookAgain())

    def _go(self, ipa: int) -> None:
        self._base, self._space, self._going = Spot("ipa", ipa), "ipa", None
        self.post_message(self.LookAgain())

    @on(Table.Chosen)
    def _chosen(self, message: Table.Chosen) -> None:
        chosen, picture = message.table.chosen, self._picture
        if isinstance(chosen, IpaRange) and picture is not None and chosen != picture.range:
            self._go(chosen.ipa)

    @on(IpaStrip.Pointed)
    def _pointed(self, message: IpaStrip.Pointed) -> None:
        self._go(message.range.ipa)

    @on(Table.Opened)
    def _opened(self) -> None:
        """Of the map: to the walk; of a mapping: to that partition's own address of the page."""
        mapping = self.owners.chosen
        if not self.owners.has_focus or mapping is None:
            self.walk.focus()
            return
        self._go(mapping.ipa)
        self.post_message(self.PartitionChosen(mapping.partition))

    @on(WalkPane.Left)
    def _walk_read(self) -> None:
        self.home.focus()

    # --- room ----------------------------------------------------------------------------------------

    @property
    def takes_turns(self) -> bool:
        """There is no room for both tables."""
        return self.is_attached and self.map.display is not self.owners.display

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("left", "right") and self.takes_turns:
            self.toggle_class("-turn-owners")
            self.call_after_refresh(self._turned)
            event.stop()

    def _turned(self) -> None:
        self.home.focus()
        self.retitle()

    def retitle(self) -> None:
        """Whose map it is, and which page its owners are of."""
        picture = self._picture
        vm = self.selected[0]
        running = " running" if self._running else ""
        secure = " (secure)" if picture is not None and picture.map.secure else ""
        turns = self.takes_turns
        set_title(self.map, f"IPA map of {vm}{secure}{running}{' │ who maps (← →)' if turns else ''}")
        owners = picture.owners if picture is not None else None
        page = f" PA {owners.page:#x} ({owners.place})" if owners is not None else ": nothing is mapped"
        set_title(self.owners, f"who maps{page}{' │ map (← →)' if turns else ''}")
        following = "" if self._base is not None else " of PC"
        outcome = f": {self.walk.outcome}" if self.walk.is_short and self.walk.outcome else ""
        set_title(self.walk, f"walk{following}, {self._space.upper()} (M), {self.walk.access} (← →){outcome}")
