"""The door: options and hook specifications, and waking the rest only when it is asked for.

Imports the standard library and pytest, nothing else: every pytest run of a project that has this
package installed comes through here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

MARKERS = (
    "experiment(lookup=None, hypothesis='', check=None, timeout=None, reuse=True, cpus=None, "
    "gpus=None, memory=None): an experiment with its lookup dictionary, the sentence it is to "
    "support, a function that says whether a result does, the time a trial may take, whether "
    "trials may share what it returns as an earlier step, and what a trial needs of the machine "
    "(pytest-mitosis)",
    "variant(**names): set on every trial with the variants it has, for -m \"variant(noise='low')\""
    " (pytest-mitosis)",
)
REUSE = ("same-code", "same-params", "never")


OPTIONS: dict[str, dict[str, Any]] = {
    "--exp": {
        "action": "append",
        "metavar": "NAME",
        "default": [],
        "help": "run an experiment: an exp_* callable, a name declared in [tool.mitosis], "
        "step+step for a pipeline, or pkg.mod with 'run' and 'lookup_dict' (repeatable)",
    },
    "--variant": {
        "action": "append",
        "metavar": "[STEP.]P=NAME[,NAME…]",
        "default": [],
        "help": "take parameter P from its lookup dictionary by name; P=* for all of its variants; "
        "several parameters give their product; +P is not tracked (repeatable)",
    },
    "--eval-param": {
        "action": "append",
        "metavar": "[STEP.]P=LITERAL",
        "default": [],
        "help": "give parameter P a Python literal such as 0.5 or \"'rbf'\"; repeat it for a grid",
    },
    "--seeds": {
        "metavar": "0-4|0,7",
        "help": "one trial per seed, for experiments with a parameter 'seed' or 'rng'",
    },
    "--exp-jobs": {
        "metavar": "N|auto",
        "help": "run N trials at once, auto for as many as there are usable processors; they are "
        "reported as they end",
    },
    "--exp-draft": {
        "action": "store_true",
        "help": "run outside the rules: dirty tree allowed, nothing locked, kept under drafts",
    },
    "--exp-reuse": {
        "choices": REUSE,
        "help": "what counts as already done and is not run again: a trial of the same parameters "
        "and code (same-code, the default), of the same parameters whatever the code "
        "(same-params), or nothing (never)",
    },
    "--exp-resume": {
        "action": "store_true",
        "help": "continue trials that were interrupted, lost or timed out, each in its own folder, "
        "as its next attempt",
    },
    "--exp-launcher": {
        "metavar": "NAME",
        "help": "what runs each trial: kernel (the default), process (without Jupyter), inline "
        "(in this process, for debugging; implied by --pdb and --trace), slurm, one of "
        "[tool.mitosis.launchers] (Slurm; with the extra hpc PBS, LSF, Flux), or one of a "
        "conftest's",
    },
    "--exp-detach": {
        "action": "store_true",
        "help": "with a launcher that sends trials to a cluster: submit and return at once; the "
        "same command without it waits for them",
    },
    "--exp-generate": {
        "action": "store_true",
        "help": "with a launcher that sends trials to a cluster: write the jobs and the script "
        "that submits them, and submit nothing",
    },
    "--exp-official": {
        "action": "append",
        "nargs": "*",
        "metavar": "GROUP",
        "help": "run the official trials of these groups, of all without names; what follows up to "
        "the next option is taken for names of groups, so paths stand before it",
    },
    "--exp-all": {
        "action": "store_true",
        "help": "with --collect-only: check in seconds that no name of any experiment means "
        "another value than it was locked to, or than official trials had",
    },
    "--exp-accept": {
        "action": "store_true",
        "help": "with --exp-official: record what the trials give as what the project vouches for, "
        "in files of the repository to review and commit; asks for --why",
    },
    "--why": {
        "metavar": "REASON",
        "help": "with --exp-accept: why these results are right, in a sentence",
    },
    "--exp-md": {
        "metavar": "FILE",
        "help": "write what became of the trials to FILE as Markdown, for a pull request",
    },
    "--trials-folder": {
        "metavar": "DIR",
        "help": "keep trials in DIR instead of the configured folder",
    },
}
NEEDS_EXPERIMENT = (
    "--variant",
    "--eval-param",
    "--seeds",
    "--exp-jobs",
    "--exp-draft",
    "--exp-reuse",
    "--exp-resume",
    "--exp-launcher",
    "--exp-detach",
    "--exp-generate",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Emitted at every start of pytest."""
    group = parser.getgroup(
        "mitosis",
        "experiments as test items (pytest-mitosis)",
        after="general",
    )
    for name, settings in OPTIONS.items():
        group.addoption(name, **settings)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Emitted at every start of pytest."""
    from pytest_mitosis import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Emitted in every pytest process; wakes the plugin if experiments are asked for."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    asked = config.getoption("exp") or config.getoption("exp_all")
    asked = asked or config.getoption("exp_official") is not None
    if asked or any(is_experiment_node(arg) for arg in config.args):
        from pytest_mitosis.waking import wake

        wake(config)
        return
    if config.getoption("exp_accept"):
        raise pytest.UsageError("--exp-accept is for official trials: --exp-official [GROUP …]")
    for option in NEEDS_EXPERIMENT:
        if config.getoption(option):
            raise pytest.UsageError(f"{option} is for experiments; name one with --exp NAME")


def is_experiment_node(argument: str) -> bool:
    """Whether a command line argument is a file or a node id of experiments."""
    path, _, node = argument.partition("[")[0].partition("::")
    name = Path(path).name
    if name.startswith("exp_") and name.endswith(".py"):
        return True
    # pkg/mod.py::pkg.mod and a+b.py::a+b: no test function has such a name.
    return bool(node) and (name == "pyproject.toml" or not node.replace("::", "").isidentifier())
