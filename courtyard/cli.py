"""The command line. Each command says what it does and gives an example; the work is elsewhere.

Exit codes: 0 done, 1 failed, 2 wrong usage. Results go to standard output, everything else to
standard error. What a command needs is imported by the command: `token create` loads no web server.
"""

import sys
from collections.abc import Callable

import typer

from courtyard.commands import access, registry, rules, services, simulators, upkeep, usage
from courtyard.errors import FAILED, CommandError

app = typer.Typer(
    name="courtyard",
    help="Courtyard (楼院): watches the gates, charging sheds and lamps of residential compounds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(services.app)
app.add_typer(simulators.app)
app.add_typer(usage.reports)
app.add_typer(upkeep.app)
app.add_typer(registry.app, name="registry")
app.add_typer(services.alerts_app, name="alerts")
app.add_typer(usage.app, name="usage")
app.add_typer(rules.app, name="rules")
app.add_typer(access.tokens, name="token")
app.add_typer(access.users, name="user")
app.add_typer(access.log, name="audit")
app.add_typer(upkeep.database, name="db")


def main() -> None:
    """The entry point: what is wrong becomes one line and an exit code."""
    raise SystemExit(_run(app))


def _run(command: Callable[[], object]) -> int:
    try:
        command()
    except CommandError as error:
        _complain(str(error))
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from courtyard.failures import explain

        text = explain(error)
        if text is None:
            raise
        _complain(text)
        return FAILED
    return 0


def _complain(text: str) -> None:
    sys.stderr.write(f"courtyard: {text}\n")
