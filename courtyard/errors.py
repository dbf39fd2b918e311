"""What ends a command with one line and an exit code instead of a traceback."""

DONE, FAILED, WRONG_USAGE = 0, 1, 2


class CommandError(Exception):
    """The command cannot do what was asked; the text says what was wrong and what to do."""

    exit_code = FAILED


class UsageError(CommandError):
    """The command line, or a setting, is wrong: nothing was started."""

    exit_code = WRONG_USAGE
