"""Exit codes; they are public and stay what they are."""

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    BAD_OUTCOME = 1  # it was done, and ended badly: a failed run, findings, a refused version
    USAGE = 2  # for `audit`: something could not be looked at
    UNAUTHENTICATED = 3
    FORBIDDEN = 4
    NOT_FOUND = 5
    CONFLICT = 6
    REFUSED_INPUT = 7
    UNAVAILABLE = 8
    UNEXPECTED = 9
    INTERRUPTED = 130


EXPLAINED = """\
Exit codes: 0 done; 1 done, but with a bad outcome (a run that failed, findings, a version not
approved); 2 wrong usage (for audit: something could not be looked at); 3 not logged in; 4 not
allowed; 5 not found; 6 in conflict with what is there; 7 the input was refused; 8 not reachable
or full, try later; 9 unexpected answer; 130 interrupted."""


class Failure(Exception):
    """Ends the command with a message for the person and an exit code for the script."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code
