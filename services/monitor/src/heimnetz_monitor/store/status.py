"""Reading what the server says about a command."""


def affected(status: str) -> int:
    """How many rows the command changed."""
    return int(status.rpartition(" ")[2])
