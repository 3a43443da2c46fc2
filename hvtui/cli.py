"""The command line. Every error is one line on stderr; what is a program's output goes to stdout.

Exit codes: 0 all went well, 1 time was up or a download failed, 2 bad file or usage, 3 a guest crashed the machine.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import click

from engine import config, machine_file, paths
from engine.errors import MachineError
from engine.machine_config import MachineConfig
from hvtui import captures, cast
from hvtui import steps as step_words
from hvtui.captures import CaptureFile
from hvtui.fip import fip
from hvtui.images import images
from hvtui.steps import Step, StepError
from hvtui.web import VISITORS

Pace = Literal["real", "max"]

EXIT_OK = 0
EXIT_TIMEOUT = 1
EXIT_BAD_FILE = 2
EXIT_INTERRUPTED = 130

GLANCE_SECONDS = 2.0
"""Virtual seconds that a machine runs when there is no terminal to show it on."""

DEFAULT_SECONDS = 60.0
"""Virtual seconds that a headless run may take."""

_STEP_OPTIONS = ("expect", "send")
_META_ORDER = "hvtui.step-order"


class _Commands(click.Group):
    """Commands, and anything else is a machine file to open."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help", "--version")):
            args = ["open", *args]
        return super().parse_args(ctx, args)


class _SteppedCommand(click.Command):
    """Remembers in which order options were given, across options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[_META_ORDER] = [option.name for option in order if option.name in _STEP_OPTIONS]
        return super().parse_args(ctx, args)


set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the machine: board.cores=4, vm0.image=PATH."
)
record_option = click.option(
    "--record",
    is_flag=False,
    flag_value="",
    metavar="[FILE.cast]",
    help="Record the app as asciicast v2; without a name, to NAME-DATE-TIME.cast here.",
)
file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hvtui", prog_name="hvtui")
def cli() -> None:
    """An Arm machine you can hold still.

    `hvtui [FILE]` opens a machine file, by default the machine that comes with the program.
    """


@cli.command("open", hidden=True)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@set_option
@record_option
def open_machine(file: Path | None, overrides: tuple[str, ...], record: str | None) -> int:
    """Open a machine in the app."""
    machine = config.load(file or paths.default_machine(), overrides)
    if _shows_app(record):
        return _app(machine, record=record)
    return _headless(machine, [], timeout=GLANCE_SECONDS, digest=False, as_json=False, pace="max")


@cli.command(cls=_SteppedCommand)
@file_argument
@click.option(
    "--headless",
    is_flag=True,
    help="No app: consoles go to stdout. Implied by steps, --timeout, --digest, --json, --pace.",
)
@click.option("--expect", multiple=True, metavar="[NAME:]REGEX", help="Wait for text on a console (default: any).")
@click.option(
    "--send", multiple=True, metavar="[NAME:]TEXT", help=r"Type on a console (default: the first VM's); \n, \t, \xNN."
)
@click.option(
    "--timeout", type=click.FloatRange(0, 1e6, min_open=True), metavar="SECONDS", help="Virtual seconds; default 60."
)
@set_option
@click.option("--digest", is_flag=True, help="Print a SHA-256 over the whole trace and the final registers.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--pace", type=click.Choice(["real", "max"]), help="Follow the wall clock, or go as fast as can be.")
@click.option(
    "--script",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Do the monitor lines of a file; see :help source.",
)
@click.option("--pcap", multiple=True, metavar="[PORT:]FILE", help="Capture frames at a port (default: all) as pcapng.")
@record_option
@click.pass_context
def run(
    ctx: click.Context,
    file: Path,
    *,
    headless: bool,
    expect: tuple[str, ...],
    send: tuple[str, ...],
    timeout: float | None,
    overrides: tuple[str, ...],
    digest: bool,
    as_json: bool,
    pace: Pace | None,
    script: Path | None,
    pcap: tuple[str, ...],
    record: str | None,
) -> int:
    """Run a machine, in the app or headless.

    --expect and --send are steps, done in the order given.
    """
    if script is not None and (expect or send or as_json):
        raise click.UsageError("expected --script alone, without --expect, --send and --json")
    machine = config.load(file, overrides)
    steps = _ordered_steps(machine, ctx.meta[_META_ORDER], expect, send)
    files = [captures.parse(text) for text in pcap]
    headless = headless or bool(steps or digest or as_json or timeout or pace)
    if _shows_app(record, headless):
        return _app(machine, files, script, record)
    timeout = timeout or DEFAULT_SECONDS
    if script is not None:
        return _session(machine, script, timeout=timeout, digest=digest, pace=pace or "max", pcap=files)
    return _headless(machine, steps, timeout=timeout, digest=digest, as_json=as_json, pace=pace or "max", pcap=files)


@cli.command()
@click.argument("name", required=False)
@click.option("--headless", is_flag=True, help="No app: consoles and what is said go to stdout, at full speed.")
@click.option("--digest", is_flag=True, help="Print a SHA-256 over the whole trace and the final registers.")
@record_option
def demo(name: str | None, headless: bool, digest: bool, record: str | None) -> int:
    """Show a narrated demo; without a name, list them."""
    from hvtui import demos

    if name is None:
        for each in demos.all_demos():
            click.echo(f"{each.name:14} {each.title} ({each.machine.name})")
        return EXIT_OK
    chosen = demos.find(name)
    machine = config.load(chosen.machine, ())
    if _shows_app(record, headless or digest):
        return _app(machine, script=chosen.script, record=record)
    return _session(machine, chosen.script, timeout=DEFAULT_SECONDS, digest=digest, pace="max")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@set_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="At 127.0.0.1; by default one that is free.")
@click.option(
    "--visitors",
    type=click.IntRange(1, 1000),
    default=VISITORS,
    show_default=True,
    help="Pages, and so machines, at once.",
)
def serve(file: Path | None, overrides: tuple[str, ...], port: int, visitors: int) -> None:
    """Show a machine in a browser on this computer.

    Prints the address to open. Every page that is opened has a machine of its own, until it is closed; Ctrl-C ends all.
    """
    from hvtui.web import server

    chosen = file or paths.default_machine()
    machine = config.load(chosen, overrides)
    given = [word for each in overrides for word in ("--set", each)]
    command = [sys.executable, "-m", "hvtui", "served", *given, "--", str(chosen)]
    server.serve(command, f"hvtui {machine.name}", port, visitors, click.echo)


@cli.command(hidden=True)
@file_argument
@set_option
def served(file: Path, overrides: tuple[str, ...]) -> int:
    """What `serve` starts for a page: the app, whose terminal is the page."""
    return _app(config.load(file, overrides))


@cli.command()
@file_argument
@set_option
def check(file: Path, overrides: tuple[str, ...]) -> None:
    """Check a machine file and its images."""
    from engine.images.placement import load_guest
    from engine.monitor.boot import boot_parts

    machine = config.load(file, overrides)
    for vm in machine.vms:
        guest = load_guest(vm, machine.seed, ffa=machine.serves_ffa(vm))
        click.echo(
            f"{vm.name}: {vm.vcpus} vCPUs, {vm.ram_size >> 20}M at {vm.ram_base:#x} (PA {vm.base_pa:#x}), "
            f"entry {guest.entry:#x}, device tree {guest.dtb:#x}, {len(guest.symbols)} symbols"
        )
    if machine.secure is not None:
        for sp in boot_parts(machine.secure).packages:
            click.echo(
                f"{sp.name}: 0x{sp.id:04x}, {sp.manifest.contexts} contexts, {sp.size >> 10}K at {sp.address:#x}, "
                f"entry {sp.entry:#x}, FF-A {sp.manifest.version}"
            )
    click.echo(f"{file}: ok")


@cli.command()
def schema() -> None:
    """Print the JSON schema of machine files."""
    click.echo(json.dumps(machine_file.json_schema(), indent=2))


@cli.command()
def keys() -> None:
    """Print theme and keys as a configuration file."""
    from hvtui import settings

    click.echo(f"# {settings.path()}\n{settings.as_toml(settings.load(settings.path()))}", nl=False)


cli.add_command(fip)


cli.add_command(images)


def _ordered_steps(
    machine: MachineConfig, order: Iterable[str], expect: Sequence[str], send: Sequence[str]
) -> list[Step]:
    """The steps of both options, in the order of the command line."""
    names = machine.consoles
    expects, sends = iter(expect), iter(send)
    steps: list[Step] = []
    for option in order:
        try:
            is_expect = option == "expect"
            steps.append(
                step_words.parse_expect(next(expects), names)
                if is_expect
                else step_words.parse_send(next(sends), names)
            )
        except StepError as error:
            raise click.UsageError(f"--{option}: {error}") from None
    return steps


def _on_terminal() -> bool:
    # Textual draws on stderr.
    return sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()


def _shows_app(record: str | None, headless: bool = False) -> bool:
    """Whether there is an app, which a recording needs."""
    shown = not headless and _on_terminal()
    if record is not None and not shown:
        raise click.UsageError("expected a terminal and no headless run: --record records the app")
    return shown


def _app(
    machine: MachineConfig,
    pcap: Sequence[CaptureFile] = (),
    script: Path | None = None,
    record: str | None = None,
) -> int:
    # Here, because a headless run has no use for Textual and starts faster without.
    from hvtui import settings
    from hvtui.app import run_app

    file = None if record is None else cast.parse(record) if record else cast.name(machine.name)
    return run_app(machine, settings.load(settings.path()), pcap=pcap, script=script, record=file) or EXIT_OK


def _headless(
    machine: MachineConfig,
    steps: list[Step],
    *,
    timeout: float,
    digest: bool,
    as_json: bool,
    pace: Pace,
    pcap: Sequence[CaptureFile] = (),
) -> int:
    from hvtui import headless

    return headless.run(machine, steps, timeout=timeout, digest=digest, as_json=as_json, pace=pace, pcap=pcap)


def _session(
    machine: MachineConfig, script: Path, *, timeout: float, digest: bool, pace: Pace, pcap: Sequence[CaptureFile] = ()
) -> int:
    from engine import machine as engine
    from hvtui import headless_session

    speed = engine.Pace(pace)
    return headless_session.run(machine, script, timeout=timeout, digest=digest, pace=speed, pcap=pcap)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run_cli(sys.argv[1:] if arguments is None else arguments))


def run_cli(arguments: Sequence[str]) -> int:
    """Run the command line; its exit code. Errors that are the user's to mend are told in one line."""
    try:
        result = cli.main(list(arguments), prog_name="hvtui", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        # Its message is the whole help text.
        click.echo(error.format_message(), err=True)
        return EXIT_BAD_FILE
    except click.ClickException as error:
        return _fail(error.format_message())
    except MachineError as error:
        return _fail(str(error), _exit_code(error))
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return result if isinstance(result, int) else EXIT_OK


def _exit_code(error: MachineError) -> int:
    from engine.images.apt import FetchError

    return EXIT_TIMEOUT if isinstance(error, FetchError) else EXIT_BAD_FILE


def _fail(message: str, code: int = EXIT_BAD_FILE) -> int:
    click.echo(f"hvtui: {' '.join(message.split())}", err=True)
    return code
