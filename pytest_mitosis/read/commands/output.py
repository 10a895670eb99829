"""What commands share: their options, and how they print: tables, facts, JSON.

On a terminal tables have colours and fit its width; in a pipe they are plain and complete.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pytest_mitosis.table import align

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDER = click.option(
    "--trials-folder", type=click.Path(path_type=Path), help="The store, if not the project's."
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
_COLOURS = {
    "done": "green",
    "draft": "cyan",
    "running": "yellow",
    "lost": "red",
    "interrupted": "yellow",
    "CRASHED": "red",
    "TIMEOUT": "red",
}


def print_json(value: object) -> None:
    """Strict JSON; floats it lacks are text, as other programs read it."""
    click.echo(json.dumps(_strict(value), indent=1, default=str, allow_nan=False))


def _strict(value: object) -> object:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _strict(one) for key, one in value.items()}
    return [_strict(one) for one in value] if isinstance(value, list | tuple) else value


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> None:
    """A table; its first ``left`` columns are flush left, the others flush right."""
    cells = [[_one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in align([list(header), *cells], left=left):
            click.echo(line)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(header):
        justify: Literal["left", "right"] = "left" if number < left else "right"
        table.add_column(Text(name), justify=justify, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    Console().print(table)


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """One fact a line, the names in a column."""
    for name, value in facts:
        label = f"{name:<12}"
        click.echo(f"{click.style(label, bold=True)} {_one_line(str(value))}")


def print_patch(text: str) -> None:
    """A patch, coloured on a terminal."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in text.splitlines():
        click.echo(click.style(line, fg=colours.get(line[:1])))


def _one_line(text: str) -> str:
    """Names and messages of trials may hold anything; control characters would run the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
