"""Stores made of manifests, for the tests of what reads them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pytest_mitosis.identity import describe
from pytest_mitosis.store.files import write_json
from pytest_mitosis.store.locks import Name, take_lock

STEP = "fit_eval"
COMMIT = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4"
VARIANTS = {"noise": ["low", "medium", "high"], "solver": ["tv", "stlsq"]}


def variant(name: str, chosen: str, value: object = None, **more: Any) -> dict[str, Any]:
    """An entry of ``parameters``, of a variant."""
    found = describe(chosen if value is None else value)
    names = VARIANTS.get(name)
    return {
        "step": STEP,
        "name": name,
        "kind": "variant",
        "variant": chosen,
        "value": found.summary,
        "digest": found.digest,
        "tracked": True,
        **({"variants": names} if names else {}),
        **more,
    }


def lock(store: Path, name: str, chosen: str, value: object) -> dict[str, Any]:
    """Lock a name; its entry of ``parameters``."""
    take_lock(store / "locks", Name(STEP, name, chosen), describe(value), COMMIT)
    return variant(name, chosen, value)


def add_trial(
    store: Path,
    name: str,
    parameters: list[dict[str, Any]] | None = None,
    *,
    minute: int = 0,
    iteration: int = 1,
    experiment: str = STEP,
    files: dict[str, str] | None = None,
    **fields: Any,
) -> Path:
    """Record a trial in ``store``; files get their checksums."""
    entries = parameters or []
    parts = [f"{p['name']}={p['variant']}" for p in entries if p["kind"] != "default"]
    spec = fields.pop("spec", ",".join(parts) or "default")
    folder = store / experiment / spec / f"{iteration}-{name}"
    folder.mkdir(parents=True)
    for file, text in (files or {}).items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    artifacts = {
        file: {"bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for file, text in (files or {}).items()
    }
    record = {
        "schema": 1,
        "id": name,
        "experiment": experiment,
        "spec": spec,
        "iteration": iteration,
        "status": "done",
        "draft": False,
        "seed": None,
        "steps": [{"name": STEP, "action": "lab:fit_eval", "lookup": "lab:lookup_dict"}],
        "parameters": entries,
        "commit": COMMIT,
        "started": f"2026-05-01T08:{minute:02}:00.000+00:00",
        "finished": f"2026-05-01T08:{minute:02}:42.000+00:00",
        "duration_s": 42.0,
        "user": "jess",
        "host": "node-17",
        "metrics": {"main": 0.25 + minute},
        "command": f"pytest -p mitosis --exp {experiment}",
        "artifacts": artifacts,
        "notes": [],
        "tainted": [],
    }
    write_json(folder / "trial.json", {**record, **fields})
    return folder
