"""Print the digest of every lockable value and of every change as JSON.

``python -m identity_cases.report`` with ``tests/core`` on the path; one process per hash seed,
working directory or interpreter, whose outputs are compared.
"""

import importlib
import json
import sys
import warnings

FAMILIES = ("plain", "classes", "arrays", "frames", "libraries", "optional")


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


def digests():
    """Describe every lockable value and both sides of every change."""
    from pytest_mitosis.identity import describe

    values = {name: make() for name, make in cases("LOCKABLE").items()}
    for name, (make, _) in cases("CHANGES").items():
        values[f"{name} old"], values[f"{name} new"] = make()
    return {name: describe(value).digest for name, value in values.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    json.dump(digests(), sys.stdout, indent=0, sort_keys=True)
