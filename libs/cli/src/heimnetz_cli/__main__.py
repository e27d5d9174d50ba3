"""Starts the command, and turns every expected failure into a message and an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.help import TEXT

if TYPE_CHECKING:
    from heimnetz_sdk.errors import HeimnetzError


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given in (["-h"], ["--help"]) and _has_eighty_columns():
            sys.stdout.write(TEXT)
            sys.stdout.flush()
            return Exit.OK
        from heimnetz_cli.app import app

        app(args=given, prog_name="heimnetz")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.OK
    except KeyboardInterrupt:
        _complain("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader went away, as `| head` does. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        code = _answer(error)
        if code is None:
            raise
        return code
    return Exit.OK


def _has_eighty_columns() -> bool:
    """As `shutil.get_terminal_size`, which takes longer to import than the help to print."""
    try:
        columns = int(os.environ.get("COLUMNS") or 0)
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(1).columns or 80
        except OSError:
            columns = 80  # not a terminal
    # Wider ones get eighty too.
    return columns >= 80


def _answer(error: Exception) -> Exit | None:
    """Say what went wrong; None for what is a mistake of this program."""
    if isinstance(error, Failure):
        _complain(str(error))
        return error.code
    if isinstance(error, OSError | UnicodeDecodeError):
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        _complain(f"{where}{getattr(error, 'strerror', None) or error}")
        return Exit.USAGE
    from heimnetz_sdk.errors import HeimnetzError

    if isinstance(error, HeimnetzError):
        from heimnetz_cli.output import explain

        _complain(explain(error))
        return _code(error)
    return None


def _complain(message: str) -> None:
    from heimnetz_cli.output import note

    note(f"heimnetz: {message}")


def _code(error: "HeimnetzError") -> Exit:
    from heimnetz_sdk import errors

    codes: tuple[tuple[type[errors.HeimnetzError], Exit], ...] = (
        (errors.Unauthenticated, Exit.UNAUTHENTICATED),
        (errors.Forbidden, Exit.FORBIDDEN),
        (errors.NotFound, Exit.NOT_FOUND),
        (errors.Conflict, Exit.CONFLICT),
        (errors.TooLarge, Exit.REFUSED_INPUT),
        (errors.UnsupportedMedia, Exit.REFUSED_INPUT),
        (errors.InvalidInput, Exit.REFUSED_INPUT),
        (errors.InvalidRequest, Exit.REFUSED_INPUT),
        (errors.Unavailable, Exit.UNAVAILABLE),
        (errors.TooMany, Exit.UNAVAILABLE),
        (errors.Full, Exit.UNAVAILABLE),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), Exit.UNEXPECTED)


if __name__ == "__main__":
    sys.exit(main())
