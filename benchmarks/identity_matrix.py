"""Write ``docs/explanation/identity-matrix.md`` from the case matrix of the tests.

``python benchmarks/identity_matrix.py`` after a change to ``tests/core/identity_cases``.
"""

from __future__ import annotations

import asyncio
import pathlib
import sys
import warnings

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "identity-matrix.md"
sys.path.insert(0, str(ROOT / "tests" / "core"))

from identity_cases import report  # noqa: E402  the path to it is set above

from pytest_mitosis.identity import (  # noqa: E402
    Undescribable,
    compare,
    describe,
    render_changes,
)

INTRODUCTION = """\
# What counts as the same value

This page is generated from the project's own test data (`tests/core/identity_cases`) by
`python benchmarks/identity_matrix.py`. Every row is a test that runs in fresh processes with
different hash seeds and working directories, on every supported Python, numpy and pandas.

- **Locked**: values that have an identity, with the line a table shows for them.
- **Seen**: changes that must be noticed, with the line that says what changed.
- **Same**: rebuilds that must not be noticed.
- **Refused**: what has no identity, and what to do instead.
"""


def cell(text: object) -> str:
    """Return text that does not break a table row."""
    return str(text).replace("|", "\\|").replace("<", "&lt;")


def locked() -> list[str]:
    """Return the rows of values that have an identity."""
    return [
        f"| {name} | {cell(describe(make()).summary)} |"
        for name, make in report.cases("LOCKABLE").items()
    ]


def seen() -> list[str]:
    """Return the rows of changes, each with the first line that is shown for it."""
    rows = []
    for name, (make, _) in report.cases("CHANGES").items():
        old, new = make()
        line = render_changes(compare(describe(old), describe(new))).splitlines()[0]
        rows.append(f"| {name} | {cell(' '.join(line.split())[:140])} |")
    return rows


def refused() -> list[str]:
    """Return the rows of refusals with their message."""
    rows = []
    for name, (make, _) in report.cases("REFUSED").items():
        value = make()
        try:
            describe(value)
        except Undescribable as error:
            rows.append(f"| {name} | {cell(error)} |")
        if isinstance(value, asyncio.AbstractEventLoop):
            value.close()
    return rows


def main() -> None:
    """Write the page."""
    warnings.simplefilter("ignore")
    same = [f"| {name} |" for name in report.cases("EQUAL")]
    parts = [INTRODUCTION]
    for title, head, rows in (
        ("Locked", "| value | shown as |\n|---|---|", locked()),
        ("Seen", "| change | first line |\n|---|---|", seen()),
        ("Same", "| rebuild |\n|---|", same),
        ("Refused", "| value | message |\n|---|---|", refused()),
    ):
        parts.append("\n".join([f"## {title}: {len(rows)}", "", head, *rows, ""]))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(PAGE.read_text(encoding='utf-8').splitlines())} lines")


if __name__ == "__main__":
    main()
