"""Everything a person can do, once: keys, palette, monitor lines, help and session scripts come from this list."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass


class Scope(enum.Enum):
    """Where an action applies; the value is a heading of the help."""

    MACHINE = "Machine"
    STOPS = "Breakpoints and watchpoints"
    SCREENS = "Screens"
    VIEW = "Panes"
    CONSOLES = "Consoles"
    SCRIPTS = "Session scripts"
    PROGRAM = "Program"


class Kind(enum.Enum):
    """What a word of a monitor line is: how it is read, and what completes it. The value is for error messages."""

    COUNT = "a number from 1"
    NUMBER = "a number"
    INTID = "an INTID"
    VM = "a partition"
    VCPU = "a vCPU, like vm0/1"
    CONSOLE = "a console"
    PORT = "a port of a network"
    PLACE = "an address: a number, symbol or register, or a sum of such"
    GOAL = "trap, ffa, interrupt, world, a virtual time or a place"
    REGISTER = "a register"
    ACCESS = "r, w or rw"
    SPACE = "va, ipa or pa"
    STOP = "the number of a breakpoint or watchpoint"
    SCREEN = "a screen"
    THEME = "a theme"
    ACTION = "a command"
    PATH = "a file"
    TIME = "virtual seconds"
    EVENT = "a kind of event"
    TEXT = "text"
    EXPRESSION = "an expression"
    CONDITION = "if, and an expression"


@dataclass(frozen=True, slots=True)
class Param:
    """One word that a monitor line may have after the command; the last one takes the rest of the line."""

    name: str
    kind: Kind
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done."""

    name: str
    keys: tuple[str, ...]
    """Textual key names; none where it is a command only."""
    title: str
    help: str
    """One sentence."""
    example: str
    """Keys, or a monitor line with its colon."""
    scope: Scope
    params: tuple[Param, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other words for it in a monitor line."""
    takes_key: bool = False
    """Each key stands for the place that it has in `keys`, from 1, and that is the first parameter."""
    hint: str = ""
    """A word for the status line; "" if it is not shown there."""
    needs_page: str = ""
    """Only for machines with this screen; elsewhere the key does nothing and nobody hears of it."""
    scripted: bool = False
    """A word of session scripts that nobody would type."""

    @property
    def word(self) -> str:
        """What a monitor line begins with."""
        return self.name.replace("_", "-")

    @property
    def usage(self) -> str:
        """`break PLACE [CONDITION]`"""
        words = (f"[{each.name.upper()}]" if each.optional else each.name.upper() for each in self.params)
        return " ".join([self.word, *words])


def _optional(name: str, kind: Kind) -> Param:
    return Param(name, kind, optional=True)


_NUMBER = Param("number", Kind.STOP)

ACTIONS: tuple[Action, ...] = (
    # --- the machine
    Action(
        "pause",
        ("space",),
        "Pause or resume",
        "Hold every guest still between two instructions, or let them go on.",
        "space, look around, space",
        Scope.MACHINE,
        hint="pause",
    ),
    Action(
        "continue",
        ("c",),
        "Continue",
        "Let the guests go on, to the next breakpoint or watchpoint.",
        "b dispatch_irq enter c",
        Scope.MACHINE,
    ),
    Action(
        "step",
        ("s",),
        "Step one instruction",
        "Pause, then run exactly one instruction of the selected vCPU, or as many as told; what changes lights up.",
        ":step 10",
        Scope.MACHINE,
        (_optional("count", Kind.COUNT),),
        hint="step",
    ),
    Action(
        "next",
        ("n",),
        "Step over",
        "One instruction, but calls, and traps to above the guest, run until they are back.",
        "n n n",
        Scope.MACHINE,
        aliases=("step-over",),
        hint="over",
    ),
    Action(
        "finish",
        ("f",),
        "Run to return",
        "Run until the selected vCPU's function has returned to its caller.",
        "s f",
        Scope.MACHINE,
    ),
    Action(
        "run_to_trap",
        ("t",),
        "Run to the next trap",
        "Let guests run until one of them traps to the hypervisor, then pause there.",
        "space, then t",
        Scope.MACHINE,
        hint="trap",
    ),
    Action(
        "until",
        ("u",),
        "Run until",
        "Run to the next trap, FF-A call, interrupt or world switch, to a virtual time or a place, then pause there.",
        ":until ffa   :until +0.5   :until guest_main",
        Scope.MACHINE,
        (_optional("goal", Kind.GOAL),),
    ),
    Action(
        "inject",
        ("i",),
        "Inject an interrupt",
        "Make an SGI, PPI or SPI pending in a VM, by default in the selected vCPU.",
        "i 33 enter   :inject 33 vm1/0",
        Scope.MACHINE,
        (_optional("intid", Kind.INTID), _optional("vcpu", Kind.VCPU)),
        hint="inject",
    ),
    Action(
        "set",
        ("equals_sign",),
        "Write a register or memory",
        "Write a register of the selected vCPU, or a number of 8 bytes at [ADDRESS], pa:[ADDRESS] or ipa:[ADDRESS].",
        ":set x0 0x40   :set [sp+8] 0",
        Scope.MACHINE,
        (_optional("place", Kind.REGISTER), _optional("value", Kind.EXPRESSION)),
    ),
    Action(
        "write",
        (),
        "Write bytes",
        "Write bytes, in hexadecimal, into a VA of the selected vCPU, an IPA of its partition or a PA.",
        ":write pa 0x48001000 de ad be ef",
        Scope.MACHINE,
        (Param("space", Kind.SPACE), Param("place", Kind.PLACE), Param("bytes", Kind.TEXT)),
    ),
    Action(
        "print",
        ("p",),
        "Print an expression",
        "Tell what an expression over registers, symbols and memory of the selected vCPU is.",
        ":print [sp+8] & 0xff   :print u32[guest_main]",
        Scope.MACHINE,
        (_optional("expression", Kind.EXPRESSION),),
    ),
    Action(
        "reset",
        ("r",),
        "Reset a VM",
        "Cold reset of a VM, by default the selected one; a key asks first.",
        "r y   :reset vm1",
        Scope.MACHINE,
        (_optional("vm", Kind.VM),),
    ),
    Action(
        "power_off",
        ("O",),
        "Power a VM off",
        "Stop a VM, by default the selected one, as if its guest had asked for it; a key asks first.",
        "O y   :power-off vm1",
        Scope.MACHINE,
        (_optional("vm", Kind.VM),),
    ),
    Action(
        "type",
        (),
        "Type into a console",
        r"Type text into a guest; \n \r \t \e and \xNN stand for bytes.",
        r":type vm0 uname -a\n",
        Scope.MACHINE,
        (Param("console", Kind.CONSOLE), Param("text", Kind.TEXT)),
    ),
    Action(
        "plug",
        (),
        "Plug a cable in",
        "Put the cable of a network port in.",
        ":plug vm0",
        Scope.MACHINE,
        (Param("port", Kind.PORT),),
    ),
    Action(
        "unplug",
        (),
        "Pull a cable out",
        "Pull the cable of a network port out: its guest loses the carrier.",
        ":unplug vm0",
        Scope.MACHINE,
        (Param("port", Kind.PORT),),
    ),
    # --- breakpoints and watchpoints
    Action(
        "break",
        ("b",),
        "Breakpoints",
        "Hold the machine before the selected partition executes at a place, if a condition holds; "
        "the dialog lists all and removes the one picked.",
        ":break dispatch_irq if x0 == 33",
        Scope.STOPS,
        (_optional("place", Kind.PLACE), _optional("condition", Kind.CONDITION)),
    ),
    Action(
        "watch",
        ("w",),
        "Watch memory",
        "Hold the machine when the selected partition accesses a virtual address, or anybody a pa:ADDRESS.",
        ":watch 0x48001000 8 w   :watch pa:0x48001000 4 rw if x1 > 3",
        Scope.STOPS,
        (
            _optional("place", Kind.PLACE),
            _optional("size", Kind.COUNT),
            _optional("access", Kind.ACCESS),
            _optional("condition", Kind.CONDITION),
        ),
    ),
    Action(
        "delete",
        (),
        "Remove a breakpoint",
        "Remove a breakpoint or watchpoint.",
        ":delete 2",
        Scope.STOPS,
        (_NUMBER,),
    ),
    Action(
        "condition",
        (),
        "Change a condition",
        "Give a breakpoint or watchpoint another condition, or none.",
        ":condition 2 x0 == 1",
        Scope.STOPS,
        (_NUMBER, _optional("expression", Kind.EXPRESSION)),
    ),
    Action(
        "ignore",
        (),
        "Ignore hits",
        "Let the next hits of a breakpoint or watchpoint pass; they are counted.",
        ":ignore 2 100",
        Scope.STOPS,
        (_NUMBER, Param("count", Kind.NUMBER)),
    ),
    Action(
        "enable",
        (),
        "Enable a breakpoint",
        "Have a breakpoint or watchpoint stop the machine again.",
        ":enable 2",
        Scope.STOPS,
        (_NUMBER,),
    ),
    Action(
        "disable",
        (),
        "Disable a breakpoint",
        "Keep a breakpoint or watchpoint, but let everybody pass.",
        ":disable 2",
        Scope.STOPS,
        (_NUMBER,),
    ),
    # --- screens
    Action(
        "screen",
        tuple("1234567"),
        "Go to a screen",
        "Go to the board, CPU, memory, FF-A, trace, interrupts or devices.",
        "5: the trace   :screen memory",
        Scope.SCREENS,
        (Param("screen", Kind.SCREEN),),
        takes_key=True,
    ),
    Action(
        "address",
        ("a",),
        "Look at an address",
        "CPU: show code and memory there; memory: translate it; trace: go to that instruction count.",
        ":address guest_main   :address pa:0x48001000   :address pc",
        Scope.SCREENS,
        (_optional("place", Kind.PLACE),),
        aliases=("x",),
    ),
    Action(
        "space",
        ("M",),
        "Change the address space",
        "CPU and memory: read addresses as the vCPU's VAs, the partition's IPAs or the board's PAs.",
        "2 M M: the memory at a PA",
        Scope.SCREENS,
        (_optional("space", Kind.SPACE),),
    ),
    Action(
        "here",
        ("h",),
        "Back to the program counter",
        "CPU and memory follow the selected vCPU again; the trace follows the newest row.",
        "a guest_main enter, look, h",
        Scope.SCREENS,
    ),
    Action(
        "lanes",
        ("l",),
        "Sequence lanes",
        "Trace: a log, or lanes with a column for each partition and arrows between them.",
        "5 l",
        Scope.SCREENS,
    ),
    Action(
        "filter",
        ("F",),
        "Filter the trace",
        "Trace: show only rows with this text; a kind (ffa, trap, interrupt, ...) or a partition counts as such.",
        ":filter ffa vm0   :filter",
        Scope.SCREENS,
        (_optional("text", Kind.TEXT),),
    ),
    Action(
        "ffa_filter",
        ("x",),
        "Filter FF-A by endpoint",
        "FF-A: show only the shares, notifications and calls that concern the next endpoint; at last, all again.",
        "4 x x: the second endpoint",
        Scope.SCREENS,
        needs_page="ffa",
    ),
    # --- panes
    Action(
        "next_vcpu",
        ("v",),
        "Select the next vCPU",
        "Registers and stepping follow the selected vCPU; in the table, arrow keys choose it too.",
        "v s: step another vCPU",
        Scope.VIEW,
    ),
    Action(
        "select",
        (),
        "Select a vCPU",
        "Follow this vCPU.",
        ":select vm1/0",
        Scope.VIEW,
        (Param("vcpu", Kind.VCPU),),
    ),
    Action(
        "registers",
        ("g",),
        "Show the registers",
        "Go to the registers of the selected vCPU; on a small terminal they take the events' place.",
        "g",
        Scope.VIEW,
    ),
    Action(
        "events",
        ("e",),
        "Show the events",
        "Go to the event log; on a small terminal it takes the registers' place. Arrows scroll, End follows.",
        "e home: the oldest event kept",
        Scope.VIEW,
    ),
    Action(
        "traffic",
        ("o",),
        "Filter console traffic",
        "Show or hide the serial port's bytes and register accesses in the event log.",
        "e o",
        Scope.VIEW,
    ),
    Action("next_pane", ("tab",), "Next pane", "Move to the next pane.", "tab", Scope.VIEW),
    Action("previous_pane", ("shift+tab",), "Previous pane", "Move to the pane before.", "shift+tab", Scope.VIEW),
    Action(
        "jump",
        ("ctrl+o",),
        "Jump to a pane",
        "Put a letter on every pane; typing one goes there.",
        "ctrl+o b",
        Scope.VIEW,
    ),
    Action(
        "maximise",
        ("z",),
        "Maximise the pane",
        "Give the whole screen to the focused pane, or share it out again.",
        "g z: all registers at once",
        Scope.VIEW,
    ),
    Action("grow", ("plus",), "Grow the pane", "Give the focused pane more room.", "e + + +", Scope.VIEW),
    Action("shrink", ("minus",), "Shrink the pane", "Give the focused pane less room.", "e - - -", Scope.VIEW),
    # --- consoles
    Action(
        "console",
        tuple(f"alt+{digit}" for digit in "123456789"),
        "Go to a console",
        "Move to the console with this number or name; Enter there types into the guest, Ctrl-] comes back.",
        "alt+2 enter: type into the second console",
        Scope.CONSOLES,
        (Param("console", Kind.CONSOLE),),
        takes_key=True,
    ),
    Action(
        "next_console",
        ("full_stop",),
        "Next console",
        "Move to the next console.",
        ". enter",
        Scope.CONSOLES,
    ),
    Action(
        "previous_console",
        ("comma",),
        "Previous console",
        "Move to the console before.",
        ", enter",
        Scope.CONSOLES,
    ),
    Action(
        "search",
        ("slash",),
        "Search",
        "Find text in the focused console's lines or in the trace, backwards; Enter finds the next one.",
        "/ panic enter enter",
        Scope.CONSOLES,
        (_optional("text", Kind.TEXT),),
    ),
    Action(
        "mark",
        ("m",),
        "Copy mode",
        "Mark text of the focused console with the arrows, m starts anew, y copies it.",
        "m, arrows, y",
        Scope.CONSOLES,
    ),
    Action("copy", ("y",), "Copy", "Copy what is marked to the clipboard.", "y", Scope.CONSOLES),
    Action(
        "timestamps",
        ("T",),
        "Timestamps",
        "Show or hide the virtual time at which each line of the focused console began.",
        "T",
        Scope.CONSOLES,
    ),
    Action(
        "split",
        ("vertical_line",),
        "Split consoles",
        "Show one, two, three or four consoles at once, or as many as fit.",
        "| |",
        Scope.CONSOLES,
    ),
    Action(
        "save",
        ("ctrl+s",),
        "Save a console",
        "Write all lines of the focused console into a file.",
        ":save boot.log",
        Scope.CONSOLES,
        (_optional("file", Kind.PATH),),
    ),
    # --- session scripts
    Action(
        "wait",
        (),
        "Wait for console text",
        "Run until a console shows text that an expression matches, and hold the machine there.",
        ":wait vm0 tick [0-9]+",
        Scope.SCRIPTS,
        (Param("console", Kind.CONSOLE), Param("expression", Kind.TEXT)),
        aliases=("expect",),
        scripted=True,
    ),
    Action(
        "wait_event",
        (),
        "Wait for an event",
        "Run until an event of a kind whose line an expression matches, and hold the machine there.",
        ":wait-event ffa FFA_MEM_SHARE",
        Scope.SCRIPTS,
        (Param("kind", Kind.EVENT), _optional("expression", Kind.TEXT)),
        scripted=True,
    ),
    Action(
        "run",
        (),
        "Run for a while",
        "Run for so many virtual seconds, and hold the machine then.",
        ":run 0.5",
        Scope.SCRIPTS,
        (Param("seconds", Kind.TIME),),
        scripted=True,
    ),
    Action(
        "check",
        (),
        "Check an expression",
        "End the script with an error unless an expression of the selected vCPU is true.",
        ":check x0 == 0x84000061",
        Scope.SCRIPTS,
        (Param("expression", Kind.EXPRESSION),),
        scripted=True,
    ),
    Action(
        "say",
        (),
        "Say something",
        "Show a line to read, for as long as reading takes.",
        ":say vm0 lends a page to sp_irq",
        Scope.SCRIPTS,
        (Param("text", Kind.TEXT),),
        scripted=True,
    ),
    Action(
        "source",
        (),
        "Run a session script",
        "Do the lines of a file, one after the other; space holds it, escape ends it.",
        ":source machines/demos/share.hvt",
        Scope.SCRIPTS,
        (Param("file", Kind.PATH),),
    ),
    Action(
        "end_script",
        ("escape",),
        "End the script",
        "Stop doing the lines of a session script, or waiting for something; the machine stays as it is.",
        "escape",
        Scope.SCRIPTS,
    ),
    # --- the program
    Action(
        "monitor",
        ("colon",),
        "Monitor line",
        "Type a command; Tab completes it, Up has the ones before.",
        ":inj<tab> 33 enter",
        Scope.PROGRAM,
        hint="command",
    ),
    Action(
        "help",
        ("question_mark", "f1"),
        "Help",
        "Show all keys and commands, or all about one.",
        ":help break",
        Scope.PROGRAM,
        (_optional("command", Kind.ACTION),),
        hint="help",
    ),
    Action(
        "palette",
        ("ctrl+p",),
        "Command palette",
        "Find an action by name.",
        "ctrl+p inj enter",
        Scope.PROGRAM,
    ),
    Action(
        "details",
        ("d",),
        "Why it stopped",
        "Tell why the machine stopped; after an internal error, with the traceback.",
        "d",
        Scope.PROGRAM,
    ),
    Action(
        "theme",
        ("Y",),
        "Change the theme",
        "Change to the next theme, or to one by name.",
        ":theme contrast",
        Scope.PROGRAM,
        (_optional("theme", Kind.THEME),),
    ),
    Action(
        "screenshot",
        ("ctrl+x",),
        "Screenshot",
        "Write what is on the screen into an SVG file.",
        ":screenshot share.svg",
        Scope.PROGRAM,
        (_optional("file", Kind.PATH),),
    ),
    Action(
        "quit",
        ("q", "ctrl+q", "ctrl+c"),
        "Quit",
        "Leave the program, after a question.",
        "q y",
        Scope.PROGRAM,
        hint="quit",
    ),
)


def find(name: str) -> Action:
    """The action of this name; KeyError if there is none."""
    for action in ACTIONS:
        if action.name == name:
            return action
    raise KeyError(name)


def available(pages: Collection[str]) -> list[Action]:
    """The actions of a machine with these screens, in the registry's order."""
    return [action for action in ACTIONS if action.needs_page in ("", *pages)]
