"""The command `heimnetz`, for owners of a home server and for plugin authors.

Only typer and the standard library load at start; a command imports what else it needs when it
runs. `heimnetz --help` loads nothing: its text is made beforehand.
"""

__version__ = "0.1.0"
