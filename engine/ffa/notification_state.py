"""Notification bitmaps of one endpoint (DEN0077A v1.2, 10.1-10.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.ffa.flags import FrameworkNotification

COUNT = 64
"""Notifications of each bitmap."""
ALL = (1 << COUNT) - 1
_NOTHING = FrameworkNotification(0)


def bits(bitmap: int) -> Iterator[int]:
    """Numbers of the bits that are set, lowest first."""
    while bitmap:
        low = bitmap & -bitmap
        yield low.bit_length() - 1
        bitmap ^= low


@dataclass(slots=True)
class Bitmap:
    """Notifications from one world: who owns each bit, what is pending, what INFO_GET already told."""

    vcpus: int
    senders: dict[int, int] = field(default_factory=dict)
    """Bit number to the endpoint bound to it."""
    per_vcpu: int = 0
    """Bits bound as per-vCPU notifications."""
    pending: int = 0
    """Global notifications."""
    told: int = 0
    """Global notifications that INFO_GET reported."""
    vcpu_pending: list[int] = field(default_factory=list)
    vcpu_told: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vcpu_pending = self.vcpu_pending or [0] * self.vcpus
        self.vcpu_told = self.vcpu_told or [0] * self.vcpus

    @property
    def any_pending(self) -> int:
        """Bits pending globally or for any vCPU."""
        found = self.pending
        for mask in self.vcpu_pending:
            found |= mask
        return found

    def bound_to(self, sender: int) -> int:
        """Bits bound to a sender."""
        return sum(1 << bit for bit, owner in self.senders.items() if owner == sender)

    def bind(self, sender: int, bitmap: int, per_vcpu: bool) -> None:
        """Give bits to a sender."""
        self.senders.update(dict.fromkeys(bits(bitmap), sender))
        self.per_vcpu = self.per_vcpu | bitmap if per_vcpu else self.per_vcpu & ~bitmap

    def unbind(self, bitmap: int) -> None:
        """Take bits from their senders."""
        for bit in bits(bitmap):
            self.senders.pop(bit, None)
        self.per_vcpu &= ~bitmap

    def set(self, bitmap: int, vcpu: int | None) -> int:
        """Make bits pending; returns those that were not."""
        before = self.pending if vcpu is None else self.vcpu_pending[vcpu]
        if vcpu is None:
            self.pending |= bitmap
        else:
            self.vcpu_pending[vcpu] |= bitmap
        return bitmap & ~before

    def take(self, vcpu: int) -> int:
        """Return and clear what is pending globally and for one vCPU."""
        taken = self.pending | self.vcpu_pending[vcpu]
        self.pending = self.told = self.vcpu_pending[vcpu] = self.vcpu_told[vcpu] = 0
        return taken

    def drop(self, bitmap: int) -> None:
        """Forget bits altogether: bindings and what is pending."""
        self.unbind(bitmap)
        keep = ALL & ~bitmap
        self.pending &= keep
        self.told &= keep
        self.vcpu_pending = [mask & keep for mask in self.vcpu_pending]
        self.vcpu_told = [mask & keep for mask in self.vcpu_told]

    def global_news(self) -> bool:
        """Whether a global notification is pending that INFO_GET has not reported."""
        return bool(self.pending & ~self.told)

    def vcpu_news(self, vcpu: int) -> bool:
        """Whether a notification for a vCPU is pending that INFO_GET has not reported."""
        return bool(self.vcpu_pending[vcpu] & ~self.vcpu_told[vcpu])

    def tell_global(self) -> None:
        """INFO_GET reported the global notifications."""
        self.told |= self.pending

    def tell_vcpu(self, vcpu: int) -> None:
        """INFO_GET reported the notifications of a vCPU."""
        self.vcpu_told[vcpu] |= self.vcpu_pending[vcpu]


@dataclass(slots=True)
class EndpointNotifications:
    """All bitmaps of one receiver."""

    vcpus: int
    from_sp: Bitmap
    from_vm: Bitmap
    framework: FrameworkNotification = _NOTHING
    framework_told: FrameworkNotification = _NOTHING

    @property
    def bitmaps(self) -> tuple[Bitmap, Bitmap]:
        """Both worlds' bitmaps."""
        return self.from_sp, self.from_vm

    def has_pending(self, vcpu: int | None = None) -> bool:
        """Whether anything is pending: for one vCPU with the global ones, or for any."""
        if self.framework:
            return True
        if vcpu is None:
            return any(bitmap.any_pending for bitmap in self.bitmaps)
        return any(bitmap.pending or bitmap.vcpu_pending[vcpu] for bitmap in self.bitmaps)

    def global_news(self) -> bool:
        """Whether INFO_GET has to name the endpoint without a vCPU."""
        framework = self.framework & ~self.framework_told
        return bool(framework) or any(bitmap.global_news() for bitmap in self.bitmaps)

    def news_vcpus(self) -> tuple[int, ...]:
        """vCPUs that INFO_GET has to name."""
        return tuple(v for v in range(self.vcpus) if any(bitmap.vcpu_news(v) for bitmap in self.bitmaps))

    def tell_global(self) -> None:
        """INFO_GET named the endpoint."""
        self.framework_told |= self.framework
        for bitmap in self.bitmaps:
            bitmap.tell_global()

    def tell_vcpu(self, vcpu: int) -> None:
        """INFO_GET named one of its vCPUs."""
        for bitmap in self.bitmaps:
            bitmap.tell_vcpu(vcpu)


def new_endpoint(vcpus: int) -> EndpointNotifications:
    """Empty bitmaps for an endpoint with `vcpus` execution contexts."""
    return EndpointNotifications(vcpus, Bitmap(vcpus), Bitmap(vcpus))
