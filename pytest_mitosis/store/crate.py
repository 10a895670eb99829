"""A trial's folder as a Process Run Crate: what ran, with what, giving which files, for others.

``ro-crate-metadata.json`` after RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) and its profile
Process Run Crate 0.5 (https://w3id.org/ro/wfrun/process/0.5). Made of the manifest alone, as JSON.
"""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_mitosis.model import Kind, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CRATE = "ro-crate-metadata.json"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
ROCRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
LICENCE = "#licence-not-stated"
_ENDS = {Status.DONE: "http://schema.org/CompletedActionStatus"}
_FAILED = "http://schema.org/FailedActionStatus"
_TYPES = {".ipynb": "application/x-ipynb+json", ".parquet": "application/vnd.apache.parquet"}

Entity = dict[str, Any]


def crate_of(manifest: Mapping[str, Any], manifest_name: str) -> dict[str, Any]:
    """The metadata of the crate of one trial that has ended."""
    files = [manifest_name, *manifest.get("artifacts", {})]
    actions = _actions(manifest, [one for one in files if one != manifest_name])
    root = {
        **dataset("./", manifest),
        "conformsTo": _ref(PROFILE),
        "hasPart": [_ref(_path(name)) for name in files],
        "mentions": [_ref(action["@id"]) for action in actions],
    }
    entities = [
        descriptor(),
        root,
        *actions,
        *_instruments(manifest),
        *_parameters(manifest),
        *(_file(name, manifest.get("artifacts", {}).get(name, {})) for name in files),
        *people([manifest]),
        *fixed_entities(),
    ]
    return {"@context": CONTEXT, "@graph": _unique(entities)}


def dataset(place: str, manifest: Mapping[str, Any]) -> Entity:
    """A trial as data entity, at ``place`` in the crate."""
    name = f"{manifest['experiment']} {manifest.get('spec', '')}".strip()
    about = manifest.get("hypothesis") or "A trial of a computational experiment"
    return {
        "@id": place,
        "@type": "Dataset",
        "identifier": str(manifest["id"]),
        "name": f"{name} ({manifest['id']})",
        "description": f"{about}: {name}, iteration {manifest.get('iteration')}, "
        f"{manifest['status']}.",
        "datePublished": str(manifest.get("finished") or manifest.get("started") or "1970-01-01"),
        "author": _ref(_person(manifest)),
        "license": _ref(LICENCE),
    }


def descriptor() -> Entity:
    """What says that this is a crate."""
    return {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": _ref("./"),
        "conformsTo": _ref(ROCRATE),
    }


def fixed_entities() -> list[Entity]:
    """What every crate refers to."""
    return [
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {
            "@id": LICENCE,
            "@type": "CreativeWork",
            "name": "No licence stated",
            "description": "The authors of the trial did not say how it may be used. Ask them.",
        },
    ]


def people(manifests: Sequence[Mapping[str, Any]]) -> list[Entity]:
    """Who ran trials."""
    found = {_person(m): str(m.get("user") or "unknown") for m in manifests}
    return [{"@id": key, "@type": "Person", "name": name} for key, name in found.items()]


def _person(manifest: Mapping[str, Any]) -> str:
    return f"#person-{quote(str(manifest.get('user') or 'unknown'), safe='')}"


def _actions(manifest: Mapping[str, Any], files: Sequence[str]) -> list[Entity]:
    """One action per step that began; the last one has every file that is no other step's."""
    steps = [str(step["name"]) for step in manifest["steps"]]
    own = {step: [f for f in files if _is_result(f, step)] for step in steps}
    failed = next((n for n, step in enumerate(steps) if not own[step]), len(steps) - 1)
    is_done = manifest["status"] == Status.DONE
    begun = steps if is_done else steps[: failed + 1]
    others = [f for f in files if not any(f in own[step] for step in steps)]
    return [
        _action(
            manifest,
            step,
            before=own[begun[n - 1]] if n else [],
            made=own[step] + (others if step == begun[-1] else []),
            is_done=is_done or n < len(begun) - 1,
        )
        for n, step in enumerate(begun)
    ]


def _action(
    manifest: Mapping[str, Any],
    step: str,
    *,
    before: Sequence[str],
    made: Sequence[str],
    is_done: bool,
) -> Entity:
    entity: Entity = {
        "@id": f"#run-{quote(step, safe='')}",
        "@type": "CreateAction",
        "name": f"Run of {step}",
        "description": str(manifest.get("command") or f"{step} of trial {manifest['id']}"),
        "startTime": str(manifest.get("started")),
        "endTime": str(manifest.get("finished") or manifest.get("started")),
        "instrument": _ref(_instrument(step)),
        "agent": _ref(_person(manifest)),
        "object": [
            *(_ref(_parameter(p)) for p in manifest.get("parameters", ()) if p["step"] == step),
            *(_ref(_path(name)) for name in before),
        ],
        "result": [_ref(_path(name)) for name in made],
        "actionStatus": _ENDS[Status.DONE] if is_done else _FAILED,
    }
    if not is_done:
        failure = manifest.get("failure") or {}
        said = f"{failure.get('type', manifest['status'])}: {failure.get('message', '')}"
        entity["error"] = said.rstrip(": ")
    return entity


def _is_result(name: str, step: str) -> bool:
    return name.startswith((f"results/{step}.", f"figures/{step}-"))


def _instruments(manifest: Mapping[str, Any]) -> list[Entity]:
    commit = str(manifest.get("snapshot") or manifest.get("commit") or "unknown")
    remotes = [r.get("remote") for r in manifest.get("repositories", ())[:1] if r.get("remote")]
    return [
        {
            "@id": _instrument(str(step["name"])),
            "@type": "SoftwareApplication",
            "name": str(step.get("action") or step["name"]),
            "softwareVersion": commit,
            **({"url": remotes[0]} if remotes and remotes[0].startswith("https://") else {}),
        }
        for step in manifest["steps"]
    ]


def _instrument(step: str) -> str:
    return f"#step-{quote(step, safe='')}"


def _parameters(manifest: Mapping[str, Any]) -> list[Entity]:
    return [
        {
            "@id": _parameter(one),
            "@type": "PropertyValue",
            "name": str(one["name"]),
            "value": str(one["variant"] or one["value"]),
            "description": str(one["value"]),
            **({"identifier": f"sha256:{one['digest']}"} if one.get("digest") else {}),
        }
        for one in manifest.get("parameters", ())
        if one["kind"] in set(Kind)
    ]


def _parameter(entry: Mapping[str, Any]) -> str:
    return f"#parameter-{quote(entry['step'], safe='')}-{quote(entry['name'], safe='')}"


def _file(name: str, facts: Mapping[str, Any]) -> Entity:
    suffix = name[name.rfind(".") :] if "." in name else ""
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0]
    return {
        "@id": _path(name),
        "@type": "File",
        "name": name,
        **({"encodingFormat": kind} if kind else {}),
        **({"contentSize": str(facts["bytes"])} if "bytes" in facts else {}),
        **({"sha256": facts["sha256"]} if "sha256" in facts else {}),
    }


def _path(name: str) -> str:
    return quote(name)


def _ref(name: str) -> dict[str, str]:
    return {"@id": name}


def _unique(entities: Sequence[Entity]) -> list[Entity]:
    return list({one["@id"]: one for one in entities}.values())
