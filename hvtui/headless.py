"""A machine without the app: consoles on stdout, steps to wait for and to type, an exit code for scripts.

Steps are looked at on a fixed grid of virtual time, so a run with the same steps is the same run to
the instruction, however fast the host is.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import Any, BinaryIO, Literal

import msgspec

from engine.build import build
from engine.console import Console
from engine.control import Control
from engine.machine_config import MachineConfig
from engine.views import RunState, VmRunState
from hvtui.captures import CaptureFile, capturing
from hvtui.steps import Expect, Send, Step

EXIT_OK, EXIT_TIMEOUT, EXIT_CRASHED = 0, 1, 3
POLL_NS = 1_000_000
"""Virtual time between two looks at the steps."""
_REPORT_S = 0.2
_STATUS_REQUEST = re.compile(rb"\x1b\[\d*n")
"""A guest asking its terminal something: not passed on, since a real terminal would answer into our stdin."""
_BROKEN_ESCAPE = re.compile(rb"(?:\x1b(?:\[\d*)?)?\Z")


class Output:
    """Streams consoles to stdout: as they are when there is one, else line by line behind their names."""

    def __init__(self, names: Sequence[str], stream: BinaryIO) -> None:
        self._stream = stream
        self._prefix = {name: f"{name}| ".encode() if len(names) > 1 else b"" for name in names}
        self._partial = dict.fromkeys(names, b"")
        self._ended = True
        """A lone console's output ends with a line's end."""

    def listen(self, console: Console) -> None:
        """Stream what a console prints from now on."""
        console.listeners.append(lambda data: self.write(console.name, data))

    def write(self, name: str, data: bytes) -> None:
        self._partial[name] += data

    def flush(self) -> None:
        """Pass on what is complete: whole lines, or with one console all but a broken escape sequence."""
        for name, prefix in self._prefix.items():
            text = _STATUS_REQUEST.sub(b"", self._partial[name])
            if prefix:
                *lines, self._partial[name] = text.split(b"\n")
                self._stream.writelines(prefix + line.rstrip(b"\r") + b"\n" for line in lines)
            else:
                cut = len(text) - len(_BROKEN_ESCAPE.findall(text)[0])
                self._stream.write(text[:cut])
                self._ended = text[:cut].endswith(b"\n") if cut else self._ended
                self._partial[name] = text[cut:]
        self._stream.flush()

    def tell(self, words: str) -> None:
        """A line of a script, between those of consoles."""
        self.flush()
        self._stream.write(b"" if self._ended else b"\n")
        self._stream.write(f"# {words}\n".encode())
        self._ended = True

    def close(self) -> None:
        """Write what is left of unfinished lines, and end the last one."""
        self.flush()
        if not self._ended:
            self._stream.write(b"\n")
        for name, rest in self._partial.items():
            if rest:
                self._stream.write(self._prefix[name] + rest + b"\n")
        self._stream.flush()


class _Script:
    """The steps still to be done."""

    def __init__(self, control: Control, steps: Sequence[Step]) -> None:
        self._control = control
        self._steps = list(steps)
        self._unsent = b""
        self.done = 0

    @property
    def finished(self) -> bool:
        return self.done == len(self._steps)

    @property
    def current(self) -> str:
        """What the run waits for, for people."""
        if self.finished:
            return ""
        step = self._steps[self.done]
        return f"waiting for {step.pattern.pattern!r}" if isinstance(step, Expect) else "typing"

    def poll(self) -> None:
        """Do every step that can be done now."""
        while not self.finished and self._try(self._steps[self.done]):
            self.done += 1

    def _try(self, step: Step) -> bool:
        if isinstance(step, Send):
            return self._send(step)
        return self._control.system.goals.screens.take(step.console, step.pattern) is not None

    def _send(self, step: Send) -> bool:
        """Type as much as the port takes now; the rest follows at the next poll."""
        data = self._unsent or step.data
        self._unsent = data[self._control.type(step.console, data) :]
        return not self._unsent


class _Progress:
    """One line on stderr that is rewritten, when that is a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next = 0.0
        self._started = time.monotonic()

    def show(self, control: Control, script: _Script) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + _REPORT_S
        hypervisor = control.system.hypervisor
        seconds = hypervisor.ns_of_cycles(hypervisor.now) / 1e9
        speed = hypervisor.progress / max(now - self._started, 1e-3) / 1e6
        sys.stderr.write(f"\r\x1b[K{seconds:9.3f} s virtual  {speed:5.0f} M instr/s  {script.current}")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def run(
    config: MachineConfig,
    steps: Sequence[Step],
    *,
    timeout: float,
    digest: bool = False,
    as_json: bool = False,
    pace: Literal["real", "max"] = "max",
    pcap: Sequence[CaptureFile] = (),
) -> int:
    """Run a machine for at most `timeout` virtual seconds or until all steps are done; the exit code.

    0: all steps were done, or there were none. 1: the time was up, or every guest was off, before that.
    3: the same, and a guest had crashed.
    """
    control = Control(build(config, digest=digest))
    script = _Script(control, steps)
    consoles = control.system.consoles
    output = None if as_json else Output([console.name for console in consoles], sys.stdout.buffer)
    if output is not None:
        for console in consoles:
            output.listen(console)
    control.open_links()
    try:
        with capturing(control.system.ports, pcap, tell):
            _drive(control, script, output, int(timeout * 1e9), pace)
    finally:
        control.close_links()
        if output is not None:
            output.close()
    code = _exit_code(control, script)
    if as_json:
        sys.stdout.write(msgspec.json.encode(_summary(control, script, code, digest)).decode() + "\n")
    elif digest:
        sys.stdout.write(f"digest {control.digest()}\n")
    _explain(control, script, code)
    return code


def tell(problem: str) -> None:
    """Something that a run goes on without."""
    sys.stderr.write(f"hvtui: {problem}\n")


def _drive(control: Control, script: _Script, output: Output | None, limit_ns: int, pace: str) -> None:
    hypervisor, progress, started = control.system.hypervisor, _Progress(), time.monotonic()
    stepped = not script.finished
    for reached in range(POLL_NS, limit_ns + POLL_NS, POLL_NS):
        script.poll()
        if (stepped and script.finished) or hypervisor.finished:
            break
        for problem in control.receive_frames():
            tell(problem)
        control.advance(hypervisor.cycles_of_ns(min(reached, limit_ns)))
        if output is not None:
            output.flush()
        progress.show(control, script)
        if pace == "real":
            time.sleep(max(0.0, reached / 1e9 - (time.monotonic() - started)))
    script.poll()
    progress.clear()


def crashed(control: Control) -> list[str]:
    """A line for each guest that crashed."""
    return [f"{vm.name} crashed: {vm.detail}" for vm in control.system.partitions if vm.state is VmRunState.CRASHED]


def _exit_code(control: Control, script: _Script) -> int:
    failed = bool(crashed(control))
    if script.finished and not (failed and script.done == 0):
        return EXIT_OK
    return EXIT_CRASHED if failed else EXIT_TIMEOUT


def _explain(control: Control, script: _Script, code: int) -> None:
    """Why it was not a success, in one line on stderr."""
    if code == EXIT_CRASHED:
        sys.stderr.write(f"hvtui: {'; '.join(crashed(control))}\n")
    elif code == EXIT_TIMEOUT:
        why = "every guest is off" if control.system.hypervisor.finished else "the time is up"
        sys.stderr.write(f"hvtui: {why} while {script.current} ({script.done} steps done)\n")


def _summary(control: Control, script: _Script, code: int, digest: bool) -> dict[str, Any]:
    view = control.view(RunState.PAUSED, "")
    result = {EXIT_OK: "ok", EXIT_TIMEOUT: "timeout", EXIT_CRASHED: "crashed"}[code]
    consoles = {each.name: each.since(0)[0].decode("utf-8", "replace") for each in control.system.consoles}
    summary = {"result": result, "steps_done": script.done, "machine": view, "consoles": consoles}
    return summary | ({"digest": control.digest()} if digest else {})
