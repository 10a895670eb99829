"""``pytest-mitosis checklist``: what venues ask of computational results, from what is recorded."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_mitosis.model import Kind, Status, StoreError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.official import is_declared, read_declaration
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.store.catalogue import Catalogue
from pytest_mitosis.store.files import read_json
from pytest_mitosis.store.reference import read_group
from pytest_mitosis.table import verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_mitosis.model import Trial

Answers = dict[str, list[str]]
MOST_NAMES = 12


@click.command(short_help="What venues ask: runs, seeds, error bars, ranges, hardware, hours.")
@JSON
@FOLDER
def checklist(*, as_json: bool, trials_folder: Path | None) -> None:
    """Print what reproducibility checklists ask for, as Markdown: from all trials, drafts too.

    What is not recorded is said to be missing.
    """
    store = find_store(trials_folder)
    trials = sorted(Catalogue(store, drafts=True).trials(), key=_begin)
    if not trials:
        raise StoreError(f"there are no trials in {store}")
    answers = {
        "Official results": _official(),
        "Number of runs": _runs(trials),
        "Seeds": _seeds(trials),
        "Hyper-parameters and their ranges": _ranges(trials),
        "Hypotheses": _hypotheses(trials),
        "Hardware": _hardware(trials, store),
        "Software": _software(trials, store),
        "Compute": _compute(trials),
        "Code": _code(trials),
    }
    if as_json:
        print_json(answers)
        return
    for question, lines in answers.items():
        click.echo(f"## {question}\n")
        for line in lines or ["not recorded"]:
            click.echo(f"- {line}")
        click.echo()


def _official() -> list[str]:
    project = read_project(Path.cwd())
    if not is_declared(project):
        return ["no official trials are declared, so nothing says which trials the results are"]
    declaration = read_declaration(project)
    lines = []
    for group in declaration.groups.values():
        references = read_group(declaration.folder, group.name)
        seeds = Counter(one.family for one in references)
        title = f" ({group.title})" if group.title else ""
        bars = "error bars can be given" if min(seeds.values(), default=0) > 1 else "no error bars"
        told = f"{len(references)} trials, {len(seeds)} settings, "
        told += f"{min(seeds.values(), default=0)} or more seeds each: {bars}"
        lines.append(f"{group.name}{title}: {told if references else 'nothing accepted yet'}")
    return lines


def _runs(trials: Sequence[Trial]) -> list[str]:
    lines = []
    for name, own in _by_experiment(trials):
        kept = Counter(one.status for one in own if not one.manifest.get("draft"))
        drafts = sum(bool(one.manifest.get("draft")) for one in own)
        told = [f"{kept[status]} {status.value}" for status in Status if kept[status]]
        lines.append(f"{name}: {', '.join([*told, *([f'{drafts} as draft'] if drafts else [])])}")
    return lines


def _seeds(trials: Sequence[Trial]) -> list[str]:
    lines = []
    for name, own in _by_experiment(_done(trials)):
        seeds = sorted({s for one in own if (s := one.manifest.get("seed")) is not None})
        told = f"{len(seeds)} ({_listed(map(str, seeds))})" if seeds else "takes none"
        lines.append(f"{name}: {told}")
    noted = {str(f["text"]) for one in _done(trials) for f in one.manifest.get("randomness") or ()}
    return lines + [f"not of the seed: {text}" for text in sorted(noted)[:MOST_NAMES]]


def _ranges(trials: Sequence[Trial]) -> list[str]:
    """All values that were tried, also by trials that failed and by drafts."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for one in trials:
        for p in one.manifest.get("parameters", ()):
            if p["kind"] not in {Kind.SEED, Kind.RNG}:
                name = (one.manifest["experiment"], f"{p['step']}.{p['name']}")
                value = (
                    f"{p['variant']} ({p['value']})" if p["kind"] == Kind.VARIANT else p["value"]
                )
                found.setdefault(name, {})[value] = None
    return [
        f"{experiment}: {name}: {len(values)} tried: {_listed(values)}"
        for (experiment, name), values in found.items()
    ]


def _hypotheses(trials: Sequence[Trial]) -> list[str]:
    found: dict[tuple[str, str], Counter[str]] = {}
    for one in trials:
        m = one.manifest
        if m.get("hypothesis") and not m.get("draft"):
            word = verdict_on(m.get("supported"))
            found.setdefault((m["experiment"], m["hypothesis"]), Counter())[word] += 1
    return [
        f"{name}: {text}: {', '.join(f'{word} by {n}' for word, n in counts.items())}"
        for (name, text), counts in found.items()
    ]


def _hardware(trials: Sequence[Trial], store: Path) -> list[str]:
    machines: dict[str, set[str]] = {}
    for one in trials:
        facts = _machine(one, store)
        words = (facts.get("cpu"), f"{facts.get('cpus')} processors", facts.get("system"))
        text = ", ".join(map(str, words)) if facts else "not recorded"
        machines.setdefault(text, set()).add(str(one.manifest.get("host")))
    peak = max((one.manifest.get("peak_memory_bytes") or 0 for one in trials), default=0)
    lines = [f"{text} ({_listed(sorted(hosts))})" for text, hosts in machines.items()]
    return lines + ([f"at most {peak / 2**30:.2f} GiB of memory a trial"] if peak else [])


def _software(trials: Sequence[Trial], store: Path) -> list[str]:
    found: dict[str, Counter[str]] = {}
    for one in _done(trials):
        used = (one.manifest.get("code") or {}).get("distributions") or {}
        for name, version in used.items():
            found.setdefault(name, Counter())[str(version)] += 1
    lines = [f"{name} {', '.join(versions)}" for name, versions in sorted(found.items())]
    return [*lines, f"all packages: {store / 'environments'}"] if lines else []


def _compute(trials: Sequence[Trial]) -> list[str]:
    def hours(chosen: Iterable[Trial], field: str = "duration_s") -> str:
        return f"{sum(one.manifest.get(field) or 0.0 for one in chosen) / 3600:.3g} h"

    kept = [one for one in trials if not one.manifest.get("draft")]
    drafts = [one for one in trials if one.manifest.get("draft")]
    failed = [one for one in kept if one.status is not Status.DONE]
    return [
        f"{hours(trials)} on the clock in all, {hours(trials, 'cpu_s')} of processor time",
        f"{hours(_done(trials))} by trials that are done",
        f"{hours(failed)} by {len(failed)} that failed or were stopped",
        f"{hours(drafts)} by {len(drafts)} run as draft",
    ]


def _code(trials: Sequence[Trial]) -> list[str]:
    done = _done(trials)
    commits = {str(one.manifest["commit"])[:7] for one in done if one.manifest.get("commit")}
    remotes = {
        str(r["remote"])
        for one in done
        for r in (one.manifest.get("repositories") or ())[:1]
        if r.get("remote")
    }
    tainted = sum(bool(one.manifest.get("tainted")) for one in done)
    lines = [f"trials that are done ran commits {_listed(sorted(commits))}"] if commits else []
    lines += [f"published at {_listed(sorted(remotes))}" if remotes else "no remote was recorded"]
    return lines + ([f"{tainted} trials ran code that no commit has"] if tainted else [])


def _machine(trial: Trial, store: Path) -> Mapping[str, Any]:
    return _machine_of(store, str(trial.manifest.get("environment")))


@lru_cache(maxsize=256)
def _machine_of(store: Path, digest: str) -> Mapping[str, Any]:
    try:
        return read_json(store / "environments" / digest / "environment.json").get("machine") or {}
    except StoreError:
        return {}


def _by_experiment(trials: Sequence[Trial]) -> Iterable[tuple[str, list[Trial]]]:
    names = sorted({str(one.manifest["experiment"]) for one in trials})
    return ((n, [one for one in trials if one.manifest["experiment"] == n]) for n in names)


def _begin(trial: Trial) -> tuple[str, str]:
    return str(trial.manifest.get("started")), trial.id


def _done(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if t.status is Status.DONE and not t.manifest.get("draft")]


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - MOST_NAMES} more" if len(listed) > MOST_NAMES else ""
    return ", ".join(listed[:MOST_NAMES]) + more
