"""``pytest-mitosis log`` and ``open``: what a trial wrote, and its page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from pytest_mitosis.model import Status, StoreError
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.store.folder import read_trial

if TYPE_CHECKING:
    from pathlib import Path

LOG, OUTPUT, PAGE = "log.txt", "output.txt", "notebook.html"
PAUSE = 0.5


@click.command(short_help="Show the log of a trial.")
@click.argument("trial")
@click.option("--follow", "-f", is_flag=True, help="Go on as the trial runs, until it ends.")
@click.option("--output", is_flag=True, help="What the trial printed, in place of what it logged.")
@JSON
@FOLDER
def log(
    trial: str, *, follow: bool, output: bool, as_json: bool, trials_folder: Path | None
) -> None:
    """Print what TRIAL logged."""
    found = find_trial(find_store(trials_folder), trial)
    file = found.folder / (OUTPUT if output else LOG)
    if as_json:
        print_json({"trial": found.id, "file": str(file), "text": _read(file, 0)[0]})
        return
    if not follow and not file.is_file():
        raise StoreError(f"trial {found.id} has no {file.name}; it {_verb(output=output)} nothing")
    place = 0
    while True:
        is_running = read_trial(found.folder).status is Status.RUNNING
        text, place = _read(file, place)
        click.echo(text, nl=False)
        if not (follow and is_running):
            return
        time.sleep(PAUSE)


@click.command(name="open", short_help="Open the page of a trial.")
@click.argument("trial")
@click.option("--print", "only_print", is_flag=True, help="Only print where it is.")
@JSON
@FOLDER
def open_trial(trial: str, *, only_print: bool, as_json: bool, trials_folder: Path | None) -> None:
    """Open the notebook of TRIAL in the browser, or its folder if it has none."""
    found = find_trial(find_store(trials_folder), trial)
    page = found.folder / PAGE
    target = page if page.is_file() else found.folder
    if as_json:
        print_json({"trial": found.id, "path": str(target)})
        return
    click.echo(target)
    if not only_print and click.launch(str(target)) != 0:
        click.echo("no program here opens it", err=True)


def _read(file: Path, place: int) -> tuple[str, int]:
    """The text of a file from ``place`` on, and where it ends now."""
    try:
        with file.open("rb") as stream:
            stream.seek(place)
            content = stream.read()
    except FileNotFoundError:
        return "", place
    text = content.decode("utf-8", "replace")
    shown = "".join(c for c in text if c.isprintable() or c in "\n\t")
    return shown, place + len(content)


def _verb(*, output: bool) -> str:
    return "printed" if output else "logged"
