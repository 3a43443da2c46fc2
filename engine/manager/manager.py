"""What all calls of a partition manager work with: endpoints, records, and a note of the work they make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.board.memory import Memory
from engine.ffa.mailbox import Buffers
from engine.ffa.notifications import Notifications
from engine.ffa.partition_info import PartitionInfo
from engine.ffa.registers import Result
from engine.ffa.transactions import TransactionTable
from engine.manager.endpoint import Call, Endpoint, Handler
from engine.manager.work import Work

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor


class Manager(ABC):
    """One of the two managers."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        memory: Memory,
        table: TransactionTable,
        notifications: Notifications,
        max_buffer_pages: int,
        owner_keeps_writing: bool,
    ) -> None:
        self.hypervisor = hypervisor
        """The clock and the events."""
        self.memory = memory
        self.table = table
        self.notifications = notifications
        self.max_buffer_pages = max_buffer_pages
        self.owner_keeps_writing = owner_keeps_writing
        """Whether the owner of shared memory may go on writing to it."""
        self._work: Work | None = None

    @property
    @abstractmethod
    def endpoints(self) -> Mapping[int, Endpoint]:
        """Those it manages, by id."""

    @abstractmethod
    def owner(self, endpoint: int) -> Endpoint:
        """Who has the memory that an endpoint sent."""

    @abstractmethod
    def visible(self, caller: int) -> Container[int]:
        """Ids that a caller may name."""

    @abstractmethod
    def infos(self, caller: int) -> list[PartitionInfo]:
        """Partitions the caller may see, by id."""

    @abstractmethod
    def feature_intid(self, caller: int, feature: int) -> int | None:
        """The INTID of a feature id, None where the caller has it not."""

    @contextmanager
    def filling(self, endpoint: Endpoint, size: int) -> Iterator[Buffers]:
        """An RX buffer may be written in here, `size` bytes of it; raises FfaError as `Mailbox.check_fill` does."""
        yield endpoint.mailbox.check_fill(size)

    # --- what a call does beyond its registers ----------------------------------------------------

    @property
    def work(self) -> Work:
        """Where the call that is being served notes what it does."""
        if self._work is None:
            self._work = Work()
        return self._work

    def take_work(self) -> Work | None:
        """What was noted since this was last asked; None for nothing."""
        work, self._work = self._work, None
        return work

    def counted(self, handler: Handler) -> Handler:
        """A handler that notes what it does to anybody's stage-2 tables."""

        def serve(call: Call) -> Result | None:
            with self.counting_tables():
                return handler(call)

        return serve

    @contextmanager
    def counting_tables(self) -> Iterator[None]:
        """Note what happens to anybody's stage-2 tables in here, also when it fails."""
        before = self._tables_touched()
        try:
            yield
        finally:
            after = self._tables_touched()
            if after != before:
                self.work.entries += after[0] - before[0]
                self.work.flushes += after[1] - before[1]

    def _tables_touched(self) -> tuple[int, int]:
        """Entries written and TLB invalidations, ever."""
        touched = [endpoint.space.touched() for endpoint in self.endpoints.values()]
        return sum(entries for entries, _ in touched), sum(flushes for _, flushes in touched)
