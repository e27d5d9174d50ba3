"""Fixtures for every test of the repository."""

import structlog

pytest_plugins = ["heimnetz_common.testing"]

# Tracebacks without pictures of every frame's locals, which take seconds to draw.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)
