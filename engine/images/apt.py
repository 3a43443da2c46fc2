"""Packages of another architecture through the system's own apt: no root, and nothing on the system changes.

apt runs over directories of its own that reuse the system's sources and keyrings.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from engine.errors import MachineError

_CONFIG = """\
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{root}/sources";
Dir::State "{root}/state";
Dir::State::lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
"""


_NEWER_SUITES = {"bookworm": ("bookworm-backports", "trixie")}
"""Of a release: where its newer packages are."""


class FetchError(MachineError):
    """A download or a package that did not work out, in one line."""


class Package(NamedTuple):
    """A binary package that apt can download."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Apt:
    """apt-get and apt-cache for one architecture, over directories below `root`."""

    def __init__(self, root: Path, architecture: str) -> None:
        """`root` must exist and be empty; the caller removes it. FetchError where there is no apt."""
        for tool in ("apt-get", "apt-cache", "apt-config", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise FetchError(f"{tool}: not found; Linux images come from the packages of a Debian system")
        self._root = root
        self._config = root / "apt.conf"
        self._config.write_text(_CONFIG.format(root=root, architecture=architecture))
        for name in ("sources", "state", "lists/partial", "cache/archives/partial", "packages"):
            (root / name).mkdir(parents=True)
        (root / "status").touch()
        self._copy_sources()

    def update(self) -> str:
        """Read the package lists; "", or the first complaint. A source that fails is no error here: another may do."""
        done = self._run("apt-get", "update")
        complaints = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
        return min(complaints, default="", key=lambda line: ("Failed to fetch" not in line, line))

    def candidate(self, name: str) -> Package | None:
        """The version apt would install; None if no source has the package."""
        fields = self._fields(name)
        return Package(name, fields["Version"]) if "Version" in fields else None

    def names(self, prefix: str) -> list[str]:
        """Names of packages that begin with `prefix`."""
        return self._run("apt-cache", "pkgnames", prefix).stdout.split()

    def depends(self, name: str) -> list[str]:
        """Names of the packages that this one depends on (the first of each choice)."""
        depends = self._fields(name).get("Depends", "")
        return [re.split(r"[\s(|:]", item.strip())[0] for item in depends.split(",") if item.strip()]

    def download(self, package: Package) -> Path:
        """Get a package, verified by apt against the signed lists; the .deb file."""
        target = self._root / "packages" / package.name
        target.mkdir()
        done = self._run("apt-get", "download", f"{package.name}={package.version}", cwd=target)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
            raise FetchError(f"apt-get download {package.name}: {errors[-1] if errors else 'failed'}")
        files = list(target.glob("*.deb"))
        if len(files) != 1:
            raise FetchError(f"apt-get download {package.name}: left {len(files)} files, expected one")
        return files[0]

    def add_newer_suites(self) -> bool:
        """Take packages of the system's next release, too, from where the system gets its own.

        False if there is none that is known. `update` has to follow.
        """
        release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
        added = False
        for file in sorted((self._root / "sources").iterdir()):
            text = _NEWER_IN[file.suffix](file.read_text(), release, _NEWER_SUITES.get(release, ()))
            if text:
                file.with_name(f"newer-{file.name}").write_text(text)
                added = True
        return added

    def _fields(self, name: str) -> dict[str, str]:
        """Control fields of the candidate; empty if there is none."""
        text = self._run("apt-cache", "show", "--no-all-versions", name).stdout
        stanza = text.partition("\n\n")[0]
        return dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))

    def _run(self, tool: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [tool, f"--config-file={self._config}", *arguments]
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace")

    def _copy_sources(self) -> None:
        """Copy the system's sources without their architecture filters, which name the native one."""
        shell = subprocess.run(
            ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"],
            capture_output=True,
            text=True,
        ).stdout
        places = dict(word.split("=", 1) for word in shlex.split(shell))
        files = [Path(places.get("LIST", "/etc/apt/sources.list"))]
        files += sorted(Path(places.get("PARTS", "/etc/apt/sources.list.d")).glob("*"))
        for file in files:
            rewrite = _REWRITERS.get(file.suffix)
            if rewrite and file.is_file() and os.access(file, os.R_OK):
                (self._root / "sources" / file.name).write_text(rewrite(file.read_text("utf-8", "replace")))


def _rewrite_list(text: str) -> str:
    """One-line format: binary packages only, `arch=` options left out."""
    lines = [line for line in text.splitlines() if re.match(r"\s*deb\s", line)]
    lines = [re.sub(r"(?<=[\s\[])arch[+-]?=[^\s\]]*", "", line) for line in lines]
    return "".join(re.sub(r"\[\s*\]", "", line) + "\n" for line in lines)


def _rewrite_sources(text: str) -> str:
    """deb822 format: binary packages only, `Architectures` fields left out."""
    stanzas = [_rewrite_stanza(stanza.splitlines()) for stanza in re.split(r"\n[ \t]*\n", text)]
    return "\n".join(stanza for stanza in stanzas if re.search(r"(?im)^types:\s*deb\s*$", stanza))


def _rewrite_stanza(lines: list[str]) -> str:
    kept: list[str] = []
    dropping = False
    for line in lines:
        if not line.startswith((" ", "\t")):
            dropping = bool(re.match(r"architectures(-add|-remove)?:", line, re.IGNORECASE))
        if not dropping:
            kept.append(re.sub(r"(?i)^(types:.*?)\s*\bdeb-src\b", r"\1", line))
    return "\n".join(kept) + "\n"


def _newer_list(text: str, suite: str, newer: Sequence[str]) -> str:
    """The lines that name a suite, with each of some others in its place."""
    found = re.findall(rf"(?m)^(\s*deb\s+(?:\[[^\]]*\]\s*)?\S+\s+){re.escape(suite)}(\s.*)$", text)
    return "".join(f"{before}{name}{after}\n" for before, after in found for name in newer)


def _newer_sources(text: str, suite: str, newer: Sequence[str]) -> str:
    """The stanzas that name a suite, with others in its place."""
    found = [
        re.sub(r"(?im)^(suites:).*$", rf"\1 {' '.join(newer)}", stanza)
        for stanza in re.split(r"\n[ \t]*\n", text)
        if re.search(rf"(?im)^suites:(.*\s)?{re.escape(suite)}(\s|$)", stanza)
    ]
    return "\n\n".join(found) + "\n" if found and newer else ""


_NEWER_IN: dict[str, Callable[[str, str, Sequence[str]], str]] = {".list": _newer_list, ".sources": _newer_sources}
_REWRITERS: dict[str, Callable[[str], str]] = {".list": _rewrite_list, ".sources": _rewrite_sources}


def unpack(deb: Path, wanted: dict[str, re.Pattern[str]]) -> dict[str, bytes]:
    """Contents of the first regular file in a package whose path (`boot/vmlinuz-6.1`) matches each pattern.

    Reading ends as soon as every pattern has its file; FetchError if one has none.
    """
    found: dict[str, bytes] = {}
    for path, stream in _files(deb, list(wanted.values())):
        data = stream.read()
        found |= {key: data for key, pattern in wanted.items() if pattern.fullmatch(path)}
        if len(found) == len(wanted):
            return found
    missing = ", ".join(wanted[key].pattern for key in wanted.keys() - found.keys())
    raise FetchError(f"{deb.name}: expected a package with {missing}")


def unpack_all(deb: Path, wanted: re.Pattern[str]) -> dict[str, bytes]:
    """Contents by path of every regular file in a package whose path matches."""
    return {path: stream.read() for path, stream in _files(deb, [wanted])}


def extract(deb: Path, wanted: re.Pattern[str], target: Path) -> None:
    """Write the first regular file in a package whose path matches to `target`; FetchError if there is none."""
    for _, stream in _files(deb, [wanted]):
        with target.open("wb") as output:
            shutil.copyfileobj(stream, output)
        return
    raise FetchError(f"{deb.name}: expected a package with {wanted.pattern}")


def _files(deb: Path, patterns: list[re.Pattern[str]]) -> Iterator[tuple[str, IO[bytes]]]:
    """Path and contents of matching regular files, in the package's order."""
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    path = member.name.removeprefix("./")
                    wanted = member.isfile() and any(pattern.fullmatch(path) for pattern in patterns)
                    stream = archive.extractfile(member) if wanted else None
                    if stream:
                        yield path, stream
        except tarfile.TarError as error:
            raise FetchError(f"{deb.name}: expected an intact package ({error})") from None
        finally:
            process.kill()
