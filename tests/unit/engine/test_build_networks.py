"""Networks that a machine file places, with guests that talk over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.arch.psci import Function
from engine.board.network.ethernet import BROADCAST
from engine.board.network.port import Drop, Port
from engine.board.virtio.net import VirtioNet
from engine.views import Part, RunState
from tests.support.assembler import Program
from tests.support.machines import Bench, Guest, machine_config, spin, tiny
from tests.support.net_guest import answering, sending, silent

A, B = bytes.fromhex("525400000001"), bytes.fromhex("525400000002")
ONE_NIC: dict[str, Any] = {"nic": [{}]}


def pair(tmp_path: Path, *, pause: int = 1000, vcpus: int = 1, cores: int = 1, **network: Any) -> Bench:
    """vm0 sends to vm1, which answers."""
    here, there = sending(B, A, pause=pause), answering(A, B)
    guests = [Guest(program, vcpus=vcpus, virtio=ONE_NIC) for program in (here, there)]
    return Bench(
        machine_config(tmp_path, *guests, cores=cores, time_slice_ms=0.1, networks=[{"name": "lan", **network}])
    )


def port(bench: Bench, name: str) -> Port:
    [found] = [each for each in bench.system.ports if each.name == name]
    return found


def nic(bench: Bench, vm: int = 0) -> VirtioNet:
    device = bench.system.vms[vm].virtio[0].device
    assert isinstance(device, VirtioNet)
    return device


def test_slots_are_in_the_order_of_the_machine_file(tmp_path: Path) -> None:
    virtio = {"disk": [{"size": "1M"}], "nic": [{}, {"network": "other"}], "rng": True}
    bench = tiny(tmp_path, Guest(spin(), virtio=virtio), Guest(spin(), virtio=ONE_NIC))
    names = [[slot.name for slot in vm.virtio] for vm in bench.system.vms]
    assert names == [["virtio-blk0", "virtio-net0", "virtio-net1", "virtio-rng"], ["virtio-net0"]]
    networks = {network.name: [port.name for port in network.ports] for network in bench.system.networks}
    assert networks == {"lan": ["vm0", "vm1"], "other": ["vm0.1"]}


def test_a_machine_without_nics_has_no_networks(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    assert (list(bench.system.networks), bench.system.ports) == ([], [])


@pytest.mark.parametrize("cores", [1, 2])
def test_two_guests_talk(tmp_path: Path, cores: int) -> None:
    bench = pair(tmp_path, cores=cores).run(400_000)
    asked, answers = nic(bench).sent, bench.x(0) >> 16
    assert asked > 50
    assert answers > asked / 2
    assert bench.x(0, vm=1) >= answers
    assert port(bench, "vm0").frames_in == asked


@pytest.mark.parametrize("cores", [1, 2])
def test_frames_take_the_time_that_the_machine_file_says(tmp_path: Path, cores: int) -> None:
    bench = pair(tmp_path, cores=cores, delay_us=500)
    bench.run_ms(0.9)
    assert nic(bench).sent > 0
    assert bench.x(0) == 0
    bench.run_ms(2)
    assert bench.x(0) > 0
    assert 0 < bench.system.networks[0].view().waiting < nic(bench).sent


def test_frames_arrive_in_time_at_a_core_that_sleeps(tmp_path: Path) -> None:
    """The core that keeps the network's time is idle; the other one must not run far ahead of the frames."""
    guests = [Guest(silent(), virtio=ONE_NIC), Guest(sending(BROADCAST, B, pause=100_000), virtio=ONE_NIC)]
    bench = tiny(tmp_path, *guests, cores=2, networks=[{"name": "lan", "delay_us": 1}])
    waiting = [bench.run(10_000).system.networks[0].view().waiting for _ in range(100)]
    assert nic(bench, 1).sent == 5
    assert 0 < sum(waiting) <= 3 * 5


def test_lost_frames_are_those_of_the_seed(tmp_path: Path) -> None:
    lost = pair(tmp_path, loss_ppm=300_000).run(400_000)
    drops = port(lost, "vm0").drops[Drop.LOSS]
    assert 0 < drops < nic(lost).sent
    assert pair(tmp_path, loss_ppm=300_000).run(400_000).digest() == lost.digest()


def test_another_seed_loses_other_frames(tmp_path: Path) -> None:
    """The guests get no random numbers, so that nothing else differs."""
    base = pair(tmp_path).system.config
    networks = pair(tmp_path, loss_ppm=300_000).system.config.networks
    machines = [Bench(msgspec.structs.replace(base, networks=networks, seed=seed)).run(400_000) for seed in (1, 1, 2)]
    answers = [nic(bench).receiver.frames for bench in machines]
    asked = [bench.system.vms[1].vcpus[0].registers.x[0] for bench in machines]
    assert (answers[0], asked[0]) == (answers[1], asked[1])
    assert (answers[0], asked[0]) != (answers[2], asked[2])


@pytest.mark.parametrize(("more", "known"), [({}, 1), ({"ageing_s": 0.001}, 0)])
def test_addresses_are_forgotten_in_time(tmp_path: Path, more: dict[str, Any], known: int) -> None:
    bench = pair(tmp_path, pause=50_000_000, **more)
    bench.control.plug("vm1", False)
    seen = [len(bench.run_ms(ms).system.networks[0].view().stations) for ms in (0.5, 4)]
    assert (nic(bench).sent, seen) == (1, [1, known])


@pytest.mark.parametrize(("more", "known"), [({}, 2), ({"mac_table": 1}, 1)])
def test_only_so_many_addresses_are_known(tmp_path: Path, more: dict[str, Any], known: int) -> None:
    assert len(pair(tmp_path, **more).run_ms(2).system.networks[0].view().stations) == known


@pytest.mark.parametrize("cores", [1, 2])
def test_the_same_machine_gives_the_same_trace(tmp_path: Path, cores: int) -> None:
    digests = [pair(tmp_path, cores=cores, delay_us=37, loss_ppm=1000).run(300_000).digest() for _ in range(2)]
    assert digests[0] == digests[1]


def test_the_port_follows_the_guest(tmp_path: Path) -> None:
    bench = pair(tmp_path)
    seen = [port(bench, "vm1").up]
    bench.run(50_000)
    seen.append(port(bench, "vm1").up)
    bench.control.reset("vm1")
    seen.append(port(bench, "vm1").up)
    bench.run(50_000)
    seen.append(port(bench, "vm1").up)
    assert seen == [False, True, False, True]


def test_the_port_goes_down_with_a_guest_that_goes_off(tmp_path: Path) -> None:
    program = Program().call(Function.SYSTEM_OFF)
    bench = tiny(tmp_path, Guest(sending(B, A), virtio=ONE_NIC), Guest(program, virtio=ONE_NIC))
    bench.run(20_000)
    assert port(bench, "vm0").up
    bench.hypervisor.stop_vm(bench.vm, bench.vm.state, "ended")
    assert not port(bench, "vm0").up


def test_views_show_networks_and_nics(tmp_path: Path) -> None:
    bench = pair(tmp_path).run(100_000)
    view = bench.control.view(RunState.PAUSED, "", Part.DEVICES).devices
    assert view is not None
    [network] = view.networks
    assert [each.name for each in network.ports] == ["vm0", "vm1"]
    assert {station.address for station in network.stations} == {"52:54:00:00:00:01", "52:54:00:00:00:02"}
    assert dict(view.devices[0].facts)["frames sent"] == str(nic(bench).sent)
