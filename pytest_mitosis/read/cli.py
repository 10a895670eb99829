"""The command line tool ``pytest-mitosis``: reading and upkeep that is not running.

The door only: commands are modules of :mod:`pytest_mitosis.read.commands`, imported when asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from pytest_mitosis.model import LockError, MitosisError, ReproduceError, StoreError, TreeError

EXIT_CODES = {ReproduceError: 1, TreeError: 10, LockError: 11, StoreError: 13}
_READ = "pytest_mitosis.read"
COMMANDS = {
    "ls": f"{_READ}.commands.ls:ls",
    "watch": f"{_READ}.running:watch",
    "cancel": f"{_READ}.commands.cancel:cancel",
    "show": f"{_READ}.commands.show:show",
    "diff": f"{_READ}.commands.diff:diff",
    "log": f"{_READ}.commands.log:log",
    "open": f"{_READ}.commands.log:open_trial",
    "explain": f"{_READ}.commands.explain:explain",
    "export": f"{_READ}.commands.export:export",
    "reproduce": f"{_READ}.commands.reproduce:reproduce",
    "summary": f"{_READ}.commands.summary:summary",
    "freeze": f"{_READ}.commands.freeze:freeze",
    "checklist": f"{_READ}.commands.checklist:checklist",
    "merge": f"{_READ}.commands.merge:merge",
    "import-mitosis": f"{_READ}.commands.import_mitosis:import_mitosis",
    "verify": f"{_READ}.commands.upkeep:verify",
    "gc": f"{_READ}.commands.upkeep:gc",
    "rename": f"{_READ}.commands.rename:rename",
    "site": f"{_READ}.commands.site:site",
    "locks": f"{_READ}.relock:locks",
    "relock": f"{_READ}.relock:relock",
}


class Door(click.Group):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the manual."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called so."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Door, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-mitosis")
def commands() -> None:
    """Read recorded trials. Running them is pytest's part: pytest -p mitosis --exp NAME.

    A TRIAL is named by the beginning of its id, by its folder, or as fit_eval[noise=low], which is
    the latest of those.
    """


def main() -> None:
    """Run the tool; a mistake is said on standard error, its exit code is that of ``pytest``."""
    try:
        commands(prog_name="pytest-mitosis")
    except MitosisError as error:
        click.echo(f"ERROR: {error}", err=True)
        sys.exit(next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 4))


if __name__ == "__main__":
    main()
