"""Priority grouping and the stack of active priorities, shared by the physical and the virtual CPU interface.

Five priority bits and five preemption bits: one 32-bit APR register a group holds a bit for each of the 32
group priorities (IHI0069 4.8).
"""

from __future__ import annotations

IDLE = 0xFF
"""Running priority while no interrupt is active (ICC_RPR_EL1)."""
MIN_BPR0 = 2
"""Smallest binary point of Group 0 and Secure Group 1: 7 minus the preemption bits."""
MIN_BPR1 = MIN_BPR0 + 1
"""Smallest binary point of Group 1: its field is read one bit higher (IHI0069 4.8)."""
_LEVEL_SHIFT = 3


def preemption_mask(binary_point: int) -> int:
    """The group priority bits of a priority, for a binary point of the Group 0 kind (0-7)."""
    return 0xFF << binary_point + 1 & 0xFF


def as_group1(binary_point: int) -> int:
    """What a Group 1 binary point register shows while the common (Group 0) binary point rules: saturated at 7."""
    return min(binary_point + 1, 7)


class ActivePriorities:
    """The APR registers of one interface, one word a group, and the running priority they imply."""

    __slots__ = ("running", "words")

    def __init__(self, groups: int) -> None:
        self.words = [0] * groups
        self.running = IDLE
        """Highest active group priority, IDLE when there is none."""

    def push(self, group: int, priority: int) -> None:
        """An interrupt was acknowledged; `priority` is its group priority, higher than the running one."""
        self.words[group] |= 1 << (priority >> _LEVEL_SHIFT)
        self.running = priority

    def top(self) -> int:
        """Index of the group that holds the running priority, -1 when nothing is active."""
        if self.running == IDLE:
            return -1
        bit = 1 << (self.running >> _LEVEL_SHIFT)
        return next(index for index, word in enumerate(self.words) if word & bit)

    def drop(self) -> int:
        """Priority drop: remove the running priority and return it (IDLE when nothing is active)."""
        top = self.top()
        dropped = self.running
        if top >= 0:
            self.write(top, self.words[top] & (self.words[top] - 1))
        return dropped

    def write(self, group: int, word: int) -> None:
        """Software stored an APR register."""
        self.words[group] = word & 0xFFFF_FFFF
        union = 0
        for active in self.words:
            union |= active
        self.running = ((union & -union).bit_length() - 1) << _LEVEL_SHIFT if union else IDLE

    def save(self) -> tuple[int, ...]:
        """The words as plain data."""
        return tuple(self.words)

    def restore(self, words: tuple[int, ...]) -> None:
        """Take back what `save` gave."""
        for group, word in enumerate(words):
            self.write(group, word)
