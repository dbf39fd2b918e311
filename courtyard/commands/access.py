"""`courtyard token`, `user` and `audit`: who may do what, and who did."""

import getpass
import sys
from typing import Annotated

import typer

from courtyard.commands import terminal
from courtyard.errors import UsageError

tokens = terminal.group("Who may use the API.")
users = terminal.group("Who logs in with a password.")
log = terminal.group("Who changed what.")


@tokens.command("create", epilog="Example: courtyard token create --role firm --firm yaxin")
def token_create(
    role: Annotated[terminal.Role, typer.Option(help="operator sees and does everything.")],
    firm: Annotated[str | None, typer.Option(help="Whose token; for the role firm.")] = None,
    name: Annotated[str, typer.Option(help="To tell it from others, and in the records.")] = "",
) -> None:
    """Print a new token, and nothing else, on standard output. It is shown only this once."""
    if (role is terminal.Role.FIRM) != (firm is not None):
        raise UsageError("--firm: goes with --role firm, and with no other")
    settings = terminal.start("token")
    from courtyard.access import create_token
    from courtyard.audit import by_command

    by = terminal.user()
    with by_command(by, "token create", name, role=role.value, firm=firm):
        typer.echo(create_token(settings, role.value, firm, name, by))


UserName = Annotated[str, typer.Argument(help="Of a user.")]
Password = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read it from standard input, not from the terminal."),
]


@users.command(
    "add",
    epilog="Examples: courtyard user add li-min --role operator --display 李敏;  … wang --role firm"
    " --firm yaxin --password-stdin < password.txt",
)
def user_add(
    name: Annotated[str, typer.Argument(help="2 to 63 of a-z, 0-9, dot, dash, underscore.")],
    role: Annotated[terminal.Role, typer.Option(help="operator sees and does everything.")],
    firm: Annotated[str | None, typer.Option(help="Whose; for the role firm.")] = None,
    display: Annotated[str, typer.Option(help="What they are called.")] = "",
    language: Annotated[
        terminal.Language | None, typer.Option(help="Of their console; else their browser's.")
    ] = None,
    from_stdin: Password = False,
) -> None:
    """Make somebody who logs in with a password of at least 12 characters, which is asked for."""
    if (role is terminal.Role.FIRM) != (firm is not None):
        raise UsageError("--firm: goes with --role firm, and with no other")
    settings = terminal.start("user")
    from api.passwords import Passwords
    from courtyard.users import Wanted, add_user

    spoken = None if language is None else language.value
    wanted = Wanted(name, display, role.value, firm, spoken)
    typer.echo(add_user(settings, wanted, _password(from_stdin), terminal.user(), Passwords()))


@users.command("list", epilog="Example: courtyard user list")
def user_list() -> None:
    """Print all users, one a line: name, role, firm, state, what they are called."""
    settings = terminal.start("user")
    from courtyard.users import list_users

    for line in list_users(settings):
        typer.echo(line)


@users.command("password", epilog="Example: courtyard user password li-min")
def user_password(name: UserName, from_stdin: Password = False) -> None:
    """Give somebody another password, and log them out everywhere."""
    settings = terminal.start("user")
    from api.passwords import Passwords
    from courtyard.users import set_password

    typer.echo(set_password(settings, name, _password(from_stdin), terminal.user(), Passwords()))


@users.command("disable", epilog="Example: courtyard user disable li-min")
def user_disable(name: UserName) -> None:
    """Log somebody out everywhere, and let them in no more; `user enable` undoes it."""
    settings = terminal.start("user")
    from courtyard.users import disable_user

    typer.echo(disable_user(settings, name, terminal.user()))


@users.command("enable", epilog="Example: courtyard user enable li-min")
def user_enable(name: UserName) -> None:
    """Let somebody in again, with the password they had."""
    settings = terminal.start("user")
    from courtyard.users import enable_user

    typer.echo(enable_user(settings, name, terminal.user()))


@log.command(
    "verify", epilog="Example: courtyard audit verify || echo 'somebody changed the audit log'"
)
def audit_verify(
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER:HASH", help="A row as an earlier run printed it: it must still be so."
        ),
    ] = None,
) -> None:
    """Hold every row of the audit log against its hash; exit code 1, and where, if it is broken.

    Prints number and hash of the last row: kept elsewhere, they show later that nobody has written
    the whole log anew.
    """
    settings = terminal.start("audit")
    from courtyard.audit import verify_log

    code, text = verify_log(settings, expect)
    typer.echo(text)
    terminal.end(code)


def _password(from_stdin: bool) -> str:
    """A password, of one line; never an argument, which other users of the machine could read."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError("--password-stdin: is needed where there is no terminal to ask at")
    first = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != first:
        raise UsageError("the two passwords differ; nothing was done")
    return first
