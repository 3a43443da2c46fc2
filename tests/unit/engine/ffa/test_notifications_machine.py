"""Random notification calls against a model that keeps one entry for each bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.ffa.errors import FfaError
from engine.ffa.notifications import Notifications

IDS = (1, 2, 0x8001, 0x8002)
VCPUS = 2
GLOBAL = -1
ids = st.sampled_from(IDS)
bitmaps = st.integers(0, 15)
Key = tuple[int, bool, int]
"""Receiver, from an SP, bit."""


def numbers(bitmap: int) -> list[int]:
    return [bit for bit in range(8) if bitmap >> bit & 1]


class Signalling(RuleBasedStateMachine):
    """Bindings and pending bits must agree with the model, and a refusal leaves no trace."""

    @initialize()
    def start(self) -> None:
        self.state = Notifications()
        self.created: set[int] = set()
        self.owner: dict[Key, tuple[int, bool]] = {}
        self.pending: set[tuple[Key, int]] = set()
        self.told: set[tuple[Key, int]] = set()
        for endpoint in (1, 0x8001):
            self.create(endpoint)

    def draw_bound(self, data: st.DataObject) -> tuple[int, int, int, bool]:
        """Sender, receiver, bitmap and kind of a binding, so that most calls have something to do."""
        key = data.draw(st.sampled_from(sorted(self.owner)))
        sender, per_vcpu = self.owner[key]
        return sender, key[0], 1 << key[2], per_vcpu

    def attempt(self, act: Callable[[], Any]) -> tuple[bool, Any]:
        before = copy.deepcopy(self.state)
        try:
            return True, act()
        except FfaError:
            assert self.state == before
            return False, None

    def keys(self, sender: int, receiver: int, bitmap: int) -> list[Key]:
        return [(receiver, sender >= 0x8000, bit) for bit in numbers(bitmap)]

    def quiet(self, keys: list[Key]) -> bool:
        return not {key for key, _ in self.pending} & set(keys)

    @rule(endpoint=ids)
    def create(self, endpoint: int) -> None:
        done, _ = self.attempt(lambda: self.state.create(endpoint, VCPUS))
        assert done == (endpoint not in self.created)
        self.created.add(endpoint)

    @rule(endpoint=ids)
    def destroy(self, endpoint: int) -> None:
        done, _ = self.attempt(lambda: self.state.destroy(endpoint))
        busy = any(key[0] == endpoint for key, _ in self.pending)
        assert done == (endpoint in self.created and not busy)
        if done:
            self.forget(lambda key: key[0] == endpoint)
            self.created.remove(endpoint)

    @rule(caller=ids, sender=ids, receiver=ids, per_vcpu=st.booleans(), bitmap=bitmaps)
    def bind(self, caller: int, sender: int, receiver: int, per_vcpu: bool, bitmap: int) -> None:
        keys = self.keys(sender, receiver, bitmap)
        done, _ = self.attempt(lambda: self.state.bind(caller, sender, receiver, int(per_vcpu), bitmap, IDS))
        free = all(key not in self.owner or self.owner[key][0] == sender for key in keys)
        right = caller == receiver != sender and bool(bitmap) and receiver in self.created
        assert done == (right and free and self.quiet(keys))
        if done:
            self.owner.update(dict.fromkeys(keys, (sender, per_vcpu)))

    @rule(receiver=st.sampled_from([1, 0x8001]), other=ids, per_vcpu=st.booleans(), bitmap=st.integers(1, 15))
    def bind_rightly(self, receiver: int, other: int, per_vcpu: bool, bitmap: int) -> None:
        self.bind(receiver, other, receiver, per_vcpu, bitmap)

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def unbind_rightly(self, data: st.DataObject) -> None:
        sender, receiver, bitmap, _ = self.draw_bound(data)
        self.unbind(sender, receiver, bitmap)

    @precondition(lambda self: self.owner)
    @rule(vcpu=st.integers(0, VCPUS - 1), data=st.data())
    def set_rightly(self, vcpu: int, data: st.DataObject) -> None:
        sender, receiver, bitmap, per_vcpu = self.draw_bound(data)
        self.set(sender, receiver, per_vcpu, vcpu if per_vcpu else 0, bitmap)

    @rule(sender=ids, receiver=ids, bitmap=bitmaps)
    def unbind(self, sender: int, receiver: int, bitmap: int) -> None:
        keys = self.keys(sender, receiver, bitmap)
        done, _ = self.attempt(lambda: self.state.unbind(receiver, sender, receiver, 0, bitmap))
        own = all(key in self.owner and self.owner[key][0] == sender for key in keys)
        assert done == (sender != receiver and bool(bitmap) and receiver in self.created and own and self.quiet(keys))
        for key in keys if done else ():
            del self.owner[key]

    @rule(sender=ids, receiver=ids, per_vcpu=st.booleans(), vcpu=st.integers(0, VCPUS), bitmap=bitmaps)
    def set(self, sender: int, receiver: int, per_vcpu: bool, vcpu: int, bitmap: int) -> None:
        keys = self.keys(sender, receiver, bitmap)
        flags = vcpu << 16 | per_vcpu
        done, outcome = self.attempt(lambda: self.state.set(sender, sender, receiver, flags, bitmap))
        own = all(self.owner.get(key) == (sender, per_vcpu) for key in keys)
        named = vcpu < VCPUS if per_vcpu else vcpu == 0
        assert done == (sender != receiver and bool(bitmap) and receiver in self.created and own and named)
        if done:
            new = {(key, vcpu if per_vcpu else GLOBAL) for key in keys}
            assert outcome.fresh == sum(1 << key[2] for key, _ in new - self.pending)
            self.pending |= new

    @rule(receiver=ids, vcpu=st.integers(0, VCPUS), flags=st.integers(0, 15))
    def get(self, receiver: int, vcpu: int, flags: int) -> None:
        done, taken = self.attempt(lambda: self.state.get(receiver, receiver, vcpu, flags))
        assert done == (receiver in self.created and vcpu < VCPUS)
        if not done:
            return
        for from_sp, got in ((True, taken.sp), (False, taken.vm)):
            asked = flags & (1 if from_sp else 2)
            mine = {
                entry for entry in self.pending if entry[0][:2] == (receiver, from_sp) and entry[1] in (GLOBAL, vcpu)
            }
            assert got == (sum({1 << key[2] for key, _ in mine}) if asked else 0)
            if asked:
                self.pending -= mine
                self.told -= mine

    @rule(wide=st.booleans())
    def info_get(self, wide: bool) -> None:
        news = {(key[0], vcpu) for key, vcpu in self.pending - self.told}
        done, info = self.attempt(lambda: self.state.info_get(wide))
        assert done == bool(news)
        if not done:
            return
        named = [(e.endpoint, vcpu) for e in info.lists for vcpu in (e.vcpus or (GLOBAL,))]
        assert len(set(named)) == len(named)
        assert set(named) <= news
        assert info.more == (set(named) != news)
        self.told |= {(key, vcpu) for key, vcpu in self.pending if (key[0], vcpu) in named}

    @rule(endpoint=ids)
    def end_of_an_endpoint(self, endpoint: int) -> None:
        self.state.teardown(endpoint)
        self.forget(lambda key: key[0] == endpoint or self.owner[key][0] == endpoint)
        self.created.discard(endpoint)

    def forget(self, gone: Callable[[Key], bool]) -> None:
        lost = {key for key in self.owner if gone(key)}
        self.owner = {key: value for key, value in self.owner.items() if key not in lost}
        self.pending = {entry for entry in self.pending if entry[0] not in lost}
        self.told = {entry for entry in self.told if entry[0] not in lost}

    @invariant()
    def pending_interrupt_agrees(self) -> None:
        assert set(self.state.endpoints) == self.created
        for endpoint in IDS:
            assert self.state.has_pending(endpoint) == any(key[0] == endpoint for key, _ in self.pending)

    @invariant()
    def bindings_agree(self) -> None:
        found = {
            (receiver, from_sp, bit): (sender, bool(bitmap.per_vcpu >> bit & 1))
            for receiver, state in self.state.endpoints.items()
            for from_sp, bitmap in ((True, state.from_sp), (False, state.from_vm))
            for bit, sender in bitmap.senders.items()
        }
        assert found == self.owner


TestSignalling = Signalling.TestCase
TestSignalling.settings = settings(max_examples=50, stateful_step_count=40)
