"""Validated settings. A wrong one stops the service and says which variable, and what to do."""

import difflib
import os
import sys
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

EX_CONFIG = 78  # sysexits.h


class ServiceSettings(BaseSettings):
    """What every service is told. A subclass sets `service` and its own `env_prefix`."""

    model_config = SettingsConfigDict(frozen=True)

    service: ClassVar[str]

    database_url: str = Field(
        default="",
        description="PostgreSQL URL without a password; empty means the stack's own server",
    )
    nats_url: str = Field(default="tls://nats:4222", description="NATS URL")
    secrets_dir: Path = Field(
        default=Path("/run/heimnetz/secrets"), description="directory of the secret files"
    )
    bind: str = Field(default="0.0.0.0", description="address to listen on")  # noqa: S104 - inside a container, on an internal network
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severe level that is logged"
    )
    tls: bool = Field(default=True, description="TLS for HTTP and Postgres, from the secret files")
    ready_file: Path = Field(
        default=Path("/tmp/ready"),  # noqa: S108 - a tmpfs of the container's own
        description="touched every two seconds while the service is ready",
    )

    @property
    def role(self) -> str:
        """The service's PostgreSQL role and schema."""
        return self.service.replace("-", "_")

    @property
    def database(self) -> str:
        return self.database_url or f"postgresql://{self.role}@postgres:5432/heimnetz"

    def secret(self, name: str) -> str | None:
        """The text of a secret file, or None where there is no such file."""
        path = self.secrets_dir / name
        return path.read_text(encoding="utf-8").strip() if path.exists() else None


S = TypeVar("S", bound=ServiceSettings)


def load_settings(cls: type[S]) -> S:
    """Read the settings from the environment, or say what is wrong and end with status 78."""
    complaints = _unknown_variables(cls)
    try:
        settings = cls()
    except ValidationError as error:
        complaints += [_complaint(cls, item) for item in error.errors()]  # type: ignore[arg-type]
    else:
        if not complaints:
            return settings
    for complaint in complaints:
        print(complaint, file=sys.stderr)  # noqa: T201 - no log is set up yet
    raise SystemExit(EX_CONFIG)


def _prefix(cls: type[ServiceSettings]) -> str:
    return str(cls.model_config.get("env_prefix", ""))


def _unknown_variables(cls: type[ServiceSettings]) -> list[str]:
    prefix = _prefix(cls)
    known = {f"{prefix}{name.upper()}" for name in cls.model_fields}
    complaints = []
    for name in sorted(os.environ):
        if name.startswith(prefix) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            complaints.append(f"{name}: there is no such setting; {remedy}")
    return complaints


def _complaint(cls: type[ServiceSettings], item: dict[str, object]) -> str:
    location = item["loc"]
    field = str(location[0]) if isinstance(location, tuple) and location else ""
    name = f"{_prefix(cls)}{field.upper()}"
    about = cls.model_fields[field].description if field in cls.model_fields else ""
    value = "(not set)" if item["type"] == "missing" else repr(item["input"])[:200]
    return f"{name}={value}: {item['msg']}. It is the {about}. Set it in .env and start again."
