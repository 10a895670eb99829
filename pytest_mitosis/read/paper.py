"""Tables for papers: LaTeX of a data frame of trials, which says what it was made of."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any, Literal

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.names import say_what_exists

if TYPE_CHECKING:
    import pandas as pd

_LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "\n": " ",
}
_STATISTICS = ("mean", "std", "sem", "min", "max", "median", "n")


def paper_table(
    df: pd.DataFrame,
    rows: str,
    cols: str | None = None,
    *,
    metric: str = "main",
    cell: str = "{mean:.3f} ± {sem:.3f}",
    best: Literal["min", "max"] | None = None,
) -> str:
    r"""A LaTeX table (``booktabs``) of one metric, over the trials of each cell.

    Parameters
    ----------
    df : pandas.DataFrame
        What ``load_trials`` gave; choose the trials before.
    rows, cols : str
        A parameter, or any column; without ``cols`` there is one column.
    metric : str
        The metric that is shown.
    cell : str
        A format of ``mean``, ``std``, ``sem``, ``min``, ``max``, ``median`` and ``n``. ``std`` and
        ``sem`` are of a sample; of one trial they are not a number, which is shown as ``--``.
    best : ``"min"`` or ``"max"``, optional
        Set the best mean of each row bold.

    Returns
    -------
    str
        The table; names and texts are escaped. A comment above it has the number of trials of
        each cell, and the ids of the trials.

    Raises
    ------
    PlanError
        If there is no such column, or the cell's format is none.
    """
    row, metric_column = _column(df, rows), _column(df, metric, "metric.")
    column = _column(df, cols) if cols is not None else None
    if best not in (None, "min", "max"):
        raise PlanError(f"best is {best!r}; it can be 'min', 'max' or None")
    _check_format(cell)
    groups = _groups(df, row, column, metric_column)
    row_names = _names(df, row)
    column_names = _names(df, column) if column else [""]
    lines = [
        *_comment(groups, metric_column, df),
        rf"\begin{{tabular}}{{l{'r' * len(column_names)}}}",
    ]
    lines.append(r"\toprule")
    header = [escape(rows if column is None else ""), *map(escape, column_names)]
    if column is None:
        header = [escape(rows), escape(metric)]
    lines += [" & ".join(header) + r" \\", r"\midrule"]
    for name in row_names:
        found = [groups.get((name, one)) for one in column_names]
        lines.append(" & ".join([escape(name), *_cells(found, cell, best)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escape(text: str) -> str:
    """``text`` as LaTeX that prints it."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _column(df: pd.DataFrame, name: str, *kinds: str) -> str:
    for candidate in (
        *(f"{kind}{name}" for kind in kinds),
        f"param.{name}",
        name,
        f"metric.{name}",
    ):
        if candidate in df.columns:
            return candidate
    raise PlanError(f"the data frame has no {name!r}; {say_what_exists(name, _short(df))}")


def _short(df: pd.DataFrame) -> list[str]:
    return [re.sub(r"^(param|metric)\.", "", str(name)) for name in df.columns]


def _check_format(cell: str) -> None:
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(cell) if name is not None]
        unknown = [name for name in fields if name not in _STATISTICS]
        if unknown:
            exists = say_what_exists(unknown[0], _STATISTICS)
            raise PlanError(f"cell has {{{unknown[0]}}}; {exists}")
        cell.format(**dict.fromkeys(_STATISTICS, 1.0) | {"n": 1})
    except ValueError as error:
        raise PlanError(f"cell {cell!r} is no format: {error}") from None


def _groups(
    df: pd.DataFrame, row: str, column: str | None, metric: str
) -> dict[tuple[str, str], pd.Series[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    columns = df[column] if column else [""] * len(df)
    for position, (name, other) in enumerate(zip(df[row], columns, strict=True)):
        found.setdefault((str(name), str(other)), []).append(position)
    return {key: df[metric].iloc[places].dropna() for key, places in found.items()}


def _names(df: pd.DataFrame, column: str) -> list[str]:
    """In the order of the dictionary, if the column has one."""
    values = df[column]
    if hasattr(values, "cat"):
        present = set(values.dropna())
        return [str(one) for one in values.cat.categories if one in present]
    unique = values.dropna().unique().tolist()
    try:
        return [str(one) for one in sorted(unique)]
    except TypeError:
        return [str(one) for one in unique]


def _cells(found: list[Any], cell: str, best: str | None) -> list[str]:
    means = [
        float(values.mean()) if values is not None and len(values) else None for values in found
    ]
    present = [mean for mean in means if mean is not None]
    target = (min if best == "min" else max)(present) if best and len(present) > 1 else None
    return [
        _cell(values, cell, is_best=target is not None and mean == target)
        for values, mean in zip(found, means, strict=True)
    ]


def _cell(values: Any, cell: str, *, is_best: bool) -> str:
    if values is None or not len(values):
        return "--"
    numbers = {name: float(getattr(values, name)()) for name in _STATISTICS if name != "n"}
    text = escape(re.sub(r"\bnan\b", "--", cell.format(**numbers, n=len(values))))
    return rf"\textbf{{{text}}}" if is_best else text


def _comment(groups: dict[tuple[str, str], Any], metric: str, df: pd.DataFrame) -> list[str]:
    lines = [f"% {metric} of {len(df)} trials, made by pytest_mitosis.paper_table"]
    for (row, column), values in groups.items():
        label = _flat(f"{row}, {column}" if column else row)
        lines.append(
            f"% {label}: n={len(values)}: {' '.join(_flat(str(one)) for one in values.index)}"
        )
    return lines


def _flat(text: str) -> str:
    """In a comment of LaTeX a new line would end the comment."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
