"""`hvtui images`: getting and building the Linux images, which are not part of the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.images.cached import Manifest


@click.group()
def images() -> None:
    """The Linux images, which are not part of the program."""


@images.command()
@click.option("--force", is_flag=True, help="Fetch again what is there already.")
def fetch(force: bool) -> None:
    """Fetch the Debian kernel and BusyBox with apt, as an ordinary user."""
    from engine.images import linux

    linux.fetch(lambda message: click.echo(f"{message} ...", err=True), force)
    _list_images()


@images.command()
@click.argument("name", type=click.Choice(["linux-ffa"]))
@click.option("--force", is_flag=True, help="Build again what is there already.")
def build(name: str, force: bool) -> None:
    """Build a kernel with FF-A and Binder from Debian's sources, in some minutes."""
    from engine.images import linux_ffa

    del name
    linux_ffa.build(lambda message: click.echo(f"{message} ...", err=True), force)
    _list_images()


@images.command("list")
def list_images() -> None:
    """Show the images that are there."""
    _list_images()


def _list_images() -> None:
    from engine.images import linux, linux_ffa

    _list_cache(linux.cache(), linux.installed(), linux.outdated, "get them with: hvtui images fetch")
    _list_cache(linux_ffa.cache(), linux_ffa.installed(), linux_ffa.outdated, f"build them with: {linux_ffa.COMMAND}")


def _list_cache(directory: Path, manifest: Manifest | None, outdated: Callable[[Manifest], bool], remedy: str) -> None:
    if manifest is None:
        click.echo(f"{directory}: no Linux images; {remedy}")
        return
    note = f"; not what today's program makes: {remedy}" if outdated(manifest) else ""
    click.echo(f"{directory}: Linux {manifest.kernel}{note}")
    for file in manifest.files:
        click.echo(f"  {file.name:<20} {file.size:>10} bytes  {file.origin}")
