"""Print the digest of every lockable value and of every change as JSON.

``python -m identity_cases.report`` with ``tests/core`` on the path; one process per hash seed,
working directory or interpreter, whose outputs are compared. ``--update`` writes what this
interpreter finds into ``digests.json``, the table every supported interpreter must agree with.
"""

import importlib
import json
import pathlib
import sys
import warnings

FAMILIES = ("plain", "classes", "arrays", "frames", "libraries", "odd", "optional")


def families():
    """Import the families whose packages are installed."""
    found = {}
    for name in FAMILIES:
        try:
            found[name] = importlib.import_module(f"identity_cases.{name}")
        except ImportError as error:
            if error.name and error.name.startswith("identity_cases"):
                raise
    return found


def cases(table):
    """Return ``family/name -> case`` of one table over all families."""
    return {
        f"{family}/{name}": case
        for family, module in families().items()
        for name, case in getattr(module, table).items()
    }


def digests(tables=("LOCKABLE", "CHANGES")):
    """Describe every lockable value and both sides of every change."""
    from pytest_mitosis.identity import describe

    values = {}
    if "LOCKABLE" in tables:
        values |= {name: make() for name, make in cases("LOCKABLE").items()}
    if "CHANGES" in tables:
        for name, (make, _) in cases("CHANGES").items():
            values[f"{name} old"], values[f"{name} new"] = make()
    return {name: describe(value).digest for name, value in values.items()}


def update(table):
    """Add what this interpreter can describe to the committed table; nothing is taken away."""
    known = json.loads(table.read_text(encoding="ascii")) if table.exists() else {}
    known |= {name: digest[:16] for name, digest in digests(("LOCKABLE",)).items()}
    table.write_text(json.dumps(known, indent=0, sort_keys=True) + "\n", encoding="ascii")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "--update" in sys.argv:
        update(pathlib.Path(__file__).with_name("digests.json"))
    else:
        json.dump(digests(), sys.stdout, indent=0, sort_keys=True)
