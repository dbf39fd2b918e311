"""What every command shares: how arguments are read, settings, and how it ends."""

import getpass
import os
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from courtyard import logs
from courtyard.settings import Settings, load_settings, parse_duration


def group(what: str) -> typer.Typer:
    """Commands under one name: `courtyard registry …`."""
    return typer.Typer(help=what, no_args_is_help=True, rich_markup_mode=None)


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


class Role(StrEnum):
    OPERATOR = "operator"
    FIRM = "firm"
    VIEWER = "viewer"


WithParent = Annotated[
    bool, typer.Option("--with-parent", hidden=True, help="End when standard input ends.")
]


def duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time like 2026-11-23T00:00:00Z") from None
    if at.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone: end it with Z or +08:00")
    return at


def day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day like 2026-11-10") from None


def epoch_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def user() -> str:
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a user without a name, as in a container
        return f"user {os.getuid()} (command line)"


def tell(text: str) -> None:
    typer.echo(text, err=True)


def start(part: str, **changes: object) -> Settings:
    """The settings, and logs under the name of the part. Raises UsageError."""
    environ = dict(os.environ)
    for name, value in changes.items():
        environ[f"COURTYARD_{name.upper()}"] = str(value)
    settings = load_settings(environ)
    logs.set_up(settings, part)
    return settings


def end(code: int) -> NoReturn:
    raise typer.Exit(code)
