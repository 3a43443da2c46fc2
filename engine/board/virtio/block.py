"""The virtio block device (virtio 1.2, 5.2)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from engine.board.virtio.device import VirtioDevice
from engine.board.virtio.disk_image import SECTOR, DiskImage
from engine.board.virtio.guest_memory import DmaError, Segment, all_views, cut, gather, scatter, total
from engine.board.virtio.queue import Chain, Queue, RingError

SIZE_MAX, SEG_MAX = 2 << 20, 126
"""Bytes of a segment, and data segments of a request: with header and status they fit a queue of 128."""
_MOST_RANGES = 64
_MOST_SECTORS = 1 << 22
"""In one range to discard or to zero."""
_HEADER = struct.Struct("<IIQ")
_RANGE = struct.Struct("<QII")
_UNMAP = 1
_ID_SIZE = 20


class BlockFeature(enum.IntFlag):
    """Feature bits (5.2.3)."""

    SIZE_MAX = 1 << 1
    SEG_MAX = 1 << 2
    RO = 1 << 5
    BLK_SIZE = 1 << 6
    FLUSH = 1 << 9
    DISCARD = 1 << 13
    WRITE_ZEROES = 1 << 14


class Request(enum.IntEnum):
    """Types of requests (5.2.6)."""

    IN = 0
    OUT = 1
    FLUSH = 4
    GET_ID = 8
    DISCARD = 11
    WRITE_ZEROES = 13


class Answer(enum.IntEnum):
    """What the status byte says (5.2.6)."""

    OK = 0
    IOERR = 1
    UNSUPP = 2


class BlockCounts(NamedTuple):
    """What a disk has done."""

    requests: int
    read: int
    """Bytes."""
    written: int
    """Bytes."""
    flushes: int
    errors: int


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.name)
        self.answer = answer


class VirtioBlock(VirtioDevice):
    """One disk, one queue; every request is done when it is seen."""

    device_id = 2
    queue_sizes = (128,)

    def __init__(self, name: str, image: DiskImage, serial: str) -> None:
        super().__init__(name)
        self.image = image
        self.serial = serial
        feature = BlockFeature
        self.features = int(feature.SIZE_MAX | feature.SEG_MAX | feature.BLK_SIZE | feature.FLUSH)
        self.features |= feature.RO if image.read_only else feature.DISCARD | feature.WRITE_ZEROES
        self.counts = BlockCounts(0, 0, 0, 0, 0)
        self._serve: dict[int, Callable[[Chain, int], None]] = {
            Request.IN: self._in,
            Request.OUT: self._out,
            Request.FLUSH: self._flush,
            Request.GET_ID: self._id,
            Request.DISCARD: self._discard,
            Request.WRITE_ZEROES: self._write_zeroes,
        }

    def facts(self) -> Mapping[str, int | str]:
        counts = self.counts
        return {
            "sectors": self.image.capacity,
            "access": "read-only" if self.image.read_only else "read-write",
            "requests": counts.requests,
            "bytes read": counts.read,
            "bytes written": counts.written,
            "flushes": counts.flushes,
            "errors": counts.errors,
        }

    def config(self) -> bytes:
        """struct virtio_blk_config (5.2.4)."""
        ranges = (_MOST_SECTORS, _MOST_RANGES)
        head = struct.pack("<QIIHBBIBBHI", self.image.capacity, SIZE_MAX, SEG_MAX, 0, 0, 0, SECTOR, 0, 0, 0, 0)
        return head + struct.pack("<BBHIIIIIB3x", 0, 0, 1, *ranges, 1, *ranges, 1)

    def notified(self, _index: int) -> None:
        queue = self.host.queue(0)
        if queue is not None:
            for chain in queue.chains():
                self._request(queue, chain)
            self.host.used(0)

    def _request(self, queue: Queue, chain: Chain) -> None:
        if chain.length < _HEADER.size or not chain.room:
            raise RingError("a block request without a header or without a status")
        kind, _, sector = _HEADER.unpack(gather(queue.memory, chain.readable, 0, _HEADER.size))
        answer = self._answer(kind, chain, sector)
        scatter(queue.memory, chain.writable, bytes([answer]), chain.room - 1)
        whole = answer is Answer.OK or chain.room == 1
        queue.put(chain, chain.room if whole else 0)
        self._count(requests=1, errors=answer is not Answer.OK)

    def _answer(self, kind: int, chain: Chain, sector: int) -> Answer:
        serve = self._serve.get(kind)
        if serve is None:
            return Answer.UNSUPP
        try:
            serve(chain, sector)
        except RefusedError as refused:
            return refused.answer
        except (OSError, DmaError):
            return Answer.IOERR
        return Answer.OK

    def _count(self, **more: int) -> None:
        self.counts = self.counts._replace(**{key: getattr(self.counts, key) + n for key, n in more.items()})

    # --- requests ------------------------------------------------------------------------------------

    def _in(self, chain: Chain, sector: int) -> None:
        size = chain.room - 1
        self.image.read(sector, self._data(chain.writable, 0, size, sector, write=True))
        self._count(read=size)

    def _out(self, chain: Chain, sector: int) -> None:
        self._require_writable()
        size = chain.length - _HEADER.size
        self.image.write(sector, self._data(chain.readable, _HEADER.size, size, sector, write=False))
        self._count(written=size)

    def _data(
        self, segments: Sequence[Segment], start: int, size: int, sector: int, *, write: bool
    ) -> list[memoryview]:
        """The memory of a transfer that lies within the disk."""
        if size % SECTOR or size > SIZE_MAX * SEG_MAX:
            raise RefusedError(Answer.IOERR)
        self._require_within(sector, size // SECTOR)
        return all_views(self.host.memory, cut(segments, start, size), write=write)

    def _require_within(self, sector: int, count: int) -> None:
        if sector + count > self.image.capacity:
            raise RefusedError(Answer.IOERR)

    def _require_writable(self) -> None:
        if self.image.read_only:
            raise RefusedError(Answer.IOERR)

    def _flush(self, _chain: Chain, _sector: int) -> None:
        self.image.flush()
        self._count(flushes=1)

    def _id(self, chain: Chain, _sector: int) -> None:
        text = self.serial.encode()[:_ID_SIZE].ljust(_ID_SIZE, b"\0")
        if chain.room - 1 != _ID_SIZE:
            raise RefusedError(Answer.IOERR)
        scatter(self.host.memory, chain.writable, text)

    def _discard(self, chain: Chain, _sector: int) -> None:
        for sector, count in self._ranges(chain, BlockFeature.DISCARD, 0):
            self.image.discard(sector, count)

    def _write_zeroes(self, chain: Chain, _sector: int) -> None:
        for sector, count in self._ranges(chain, BlockFeature.WRITE_ZEROES, _UNMAP):
            self.image.write_zeroes(sector, count)

    def _ranges(self, chain: Chain, feature: BlockFeature, allowed: int) -> list[tuple[int, int]]:
        """(sector, count) of a request about ranges; all are checked before anything is done."""
        if not self.negotiated & feature:
            raise RefusedError(Answer.UNSUPP)
        self._require_writable()
        size = total(chain.readable) - _HEADER.size
        if size % _RANGE.size or not 0 < size <= _MOST_RANGES * _RANGE.size:
            raise RefusedError(Answer.IOERR)
        data = gather(self.host.memory, chain.readable, _HEADER.size, size)
        ranges = list(_RANGE.iter_unpack(data))
        for sector, count, flags in ranges:
            if flags & ~allowed:
                raise RefusedError(Answer.UNSUPP)
            self._require_within(sector, count)
            if count > _MOST_SECTORS:
                raise RefusedError(Answer.IOERR)
        return [(sector, count) for sector, count, _ in ranges]
