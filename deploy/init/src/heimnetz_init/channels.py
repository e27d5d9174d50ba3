"""Where alerts go: the owner's file of channels, read strictly, as Alertmanager's own receivers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from heimnetz_manifest.errors import InvalidManifest
from heimnetz_manifest.loading import Document, load

FILE = "channels.yml"
SECRETS = "secrets"
MAX_FILE_BYTES = 64 * 1024
_MAX_SECRET_BYTES = 4096
_MOST_CHANNELS = 16
_MOST_ADDRESSES = 16
#: What `heimnetz alert test` raises; only channels hear of it.
TEST_ALERT = "ChannelTest"
OWNER, TEST = "owner-", "test-"

# Alertmanager's templates; alerts hold names and texts of plugins, so nothing is HTML or Markdown.
_TEXT = (
    '{{ range .Alerts }}{{ if eq .Status "resolved" }}over: {{ end }}{{ .Annotations.summary }}\n'
    "{{ .Annotations.description }}\n{{ end }}"
)
_SUBJECT = (
    "Heimnetz: {{ .CommonLabels.alertname }}"
    '{{ if eq .Status "resolved" }} is over{{ end }}'
    "{{ with .CommonLabels.service }}, {{ . }}{{ end }}"
    "{{ with .CommonLabels.plugin }}, {{ . }}{{ end }}"
)
# ntfy fills these from the webhook's body: https://docs.ntfy.sh/publish/#message-templating
_NTFY = {
    "tpl": "yes",
    "title": "Heimnetz: {{range .alerts}}{{.labels.alertname}} {{end}}",
    "message": (
        '{{range .alerts}}{{if eq .status "resolved"}}over: {{end}}{{.annotations.summary}}\n'
        "{{.annotations.description}}\n{{end}}"
    ),
}


class ChannelsRefused(Exception):
    """The file cannot be used; each mistake says where."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(mistakes))


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("this is not an address like https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a password does not belong in an address: use token_file or url_file")
    if parts.fragment:
        raise ValueError("an address of a server has no #fragment")
    return text


def _topic(text: str) -> str:
    parts = urlsplit(_web_address(text))
    if parts.query or not re.fullmatch(r"/(?:[^/]+/)*[-_A-Za-z0-9]{1,64}", parts.path):
        raise ValueError("this is not a topic like https://ntfy.sh/topic")
    return text


def _server(text: str) -> str:
    match = re.fullmatch(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", text)
    if match is None or not 0 < int(match[1]) < 65536:
        raise ValueError("this is not a server with its port like smtp.example.org:587")
    return text


def _matching(pattern: str, what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"this is not {what}")
        return text

    return AfterValidator(check)


_Name = Annotated[
    str, _matching(r"[a-z][a-z0-9-]{0,30}", "a name of at most 31 small letters, digits and -")
]
_Address = Annotated[
    str, _matching(r"[^\s@<>,\x00-\x1f]{1,64}@[^\s@<>,\x00-\x1f]{1,189}", "an e-mail address")
]
_Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_web_address)]
_File = Annotated[
    str, _matching(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", f"the name of a file in {SECRETS}/")
]


class _Channel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: _Name
    #: The least bad that it is told.
    severity: Literal["warning", "critical"] = "warning"


class Email(_Channel):
    kind: Literal["email"]
    to: list[_Address] = Field(min_length=1, max_length=_MOST_ADDRESSES)
    sender: _Address = Field(alias="from")
    server: Annotated[str, AfterValidator(_server)]
    user: Annotated[str, StringConstraints(min_length=1, max_length=254)] | None = None
    password_file: _File | None = None
    #: Port 465 speaks TLS from the first byte, others turn to it by STARTTLS.
    tls: bool = True

    @model_validator(mode="after")
    def _whole(self) -> "Email":
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together")
        if self.user is not None and not self.tls:
            raise ValueError("a password is not sent without tls")
        return self


class _Posted(_Channel):
    url_file: _File | None = None
    token_file: _File | None = None

    @model_validator(mode="after")
    def _addressed(self) -> "_Posted":
        if (getattr(self, "url", None) is None) == (self.url_file is None):
            raise ValueError("give either url, or url_file when nobody may read it")
        return self


class Webhook(_Posted):
    kind: Literal["webhook"]
    url: _Url | None = None


class Ntfy(_Posted):
    kind: Literal["ntfy"]
    url: Annotated[str, StringConstraints(max_length=500), AfterValidator(_topic)] | None = None


class Telegram(_Channel):
    kind: Literal["telegram"]
    chat_id: int = Field(ge=-(2**62), le=2**62)
    bot_token_file: _File
    server: _Url = "https://api.telegram.org"

    @model_validator(mode="after")
    def _chatting(self) -> "Telegram":
        if self.chat_id == 0:
            raise ValueError("chat_id is the number of the chat, not 0")
        return self


Channel = Email | Webhook | Ntfy | Telegram
_KINDS: Mapping[str, type[Channel]] = {
    "email": Email,
    "ntfy": Ntfy,
    "telegram": Telegram,
    "webhook": Webhook,
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """Alertmanager's configuration, and the files with secrets that it names."""

    configuration: dict[str, Any]
    secrets: dict[str, str] = field(repr=False)


def read(folder: Path) -> list[Channel]:
    """The channels of the file in the folder; none where there is no file.

    Raises: ChannelsRefused, with every mistake and its line.
    """
    path = folder / FILE
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ChannelsRefused([f"{FILE} cannot be read: {error.strerror}"]) from error
    if len(data) > MAX_FILE_BYTES:
        raise ChannelsRefused([f"{FILE} is larger than {MAX_FILE_BYTES // 1024} KiB"])
    try:
        document = load(data)
    except InvalidManifest as error:
        raise ChannelsRefused([f"{FILE}: {mistake}" for mistake in error.mistakes]) from error
    return _read(document)


def _read(document: Document) -> list[Channel]:
    tree: Any = document.tree
    entries = tree.get("channels") if isinstance(tree, dict) and len(tree) == 1 else None
    if not isinstance(entries, list):
        raise ChannelsRefused([f"{FILE}: this holds one key, channels, with a list of them"])
    if len(entries) > _MOST_CHANNELS:
        raise ChannelsRefused([f"{FILE}: at most {_MOST_CHANNELS} channels, not {len(entries)}"])
    found: list[Channel] = []
    mistakes: list[str] = []
    for number, entry in enumerate(entries):
        at: tuple[str | int, ...] = ("channels", number)
        kind = _KINDS.get(str(entry.get("kind"))) if isinstance(entry, dict) else None
        if kind is None:
            mistakes.append(_placed(document, at, f"its kind is one of {', '.join(_KINDS)}"))
            continue
        try:
            channel = kind.model_validate(entry, by_alias=True, by_name=False)
        except ValidationError as error:
            mistakes += [
                _placed(document, (*at, *item["loc"]), _detail(item["type"], item["msg"]))
                for item in error.errors(include_input=False, include_url=False)
            ]
            continue
        if any(channel.name == other.name for other in found):
            mistakes.append(_placed(document, (*at, "name"), "another channel has this name"))
        found.append(channel)
    if mistakes:
        raise ChannelsRefused(mistakes)
    return found


_DETAILS = {"extra_forbidden": "there is no such key", "missing": "this is missing"}


def _detail(kind: str, message: str) -> str:
    return _DETAILS.get(kind, message.removeprefix("Value error, "))


def _placed(document: Document, path: tuple[str | int, ...], detail: str) -> str:
    """What is in the file is not repeated: it may be a secret in the wrong place."""
    whole, place = path, document.place(path)
    while place is None and path:
        path = path[:-1]
        place = document.place(path)
    where = ".".join(str(part) for part in whole)
    line = f", line {place.line}" if place is not None else ""
    return f"{FILE}{line}, {where}: {detail}"


def render(base: Mapping[str, Any], channels: Sequence[Channel], folder: Path, at: str) -> Rendered:
    """The base with the channels; `at` is where Alertmanager finds the secrets.

    Raises: ChannelsRefused, when a file with a secret cannot be used.
    """
    secrets: dict[str, str] = {}
    receivers: list[dict[str, Any]] = []
    mistakes: list[str] = []
    for channel in channels:
        try:
            kind, made = _receiver(channel, folder, secrets, at)
        except ChannelsRefused as error:
            mistakes += error.mistakes
            continue
        for prefix, is_told_ends in ((OWNER, True), (TEST, False)):
            settings = {**made, "send_resolved": is_told_ends}
            receivers.append({"name": prefix + channel.name, f"{kind}_configs": [settings]})
    if mistakes:
        raise ChannelsRefused(mistakes)
    if not channels:
        return Rendered(dict(base), {})
    route = dict(base["route"])
    route["routes"] = [
        _test_route(channels),
        *(_route(channel) for channel in channels),
        *route["routes"],
        # Whoever matched a channel's route only would never come to the route above.
        {"receiver": route["receiver"]},
    ]
    return Rendered(
        {**base, "route": route, "receivers": [*base["receivers"], *receivers]}, secrets
    )


def _test_route(channels: Sequence[Channel]) -> dict[str, Any]:
    return {
        "matchers": [f'alertname="{TEST_ALERT}"'],
        "receiver": TEST + channels[0].name,
        # Each test is a group of its own, and is told once.
        "group_by": ["alertname", "test"],
        "group_wait": "0s",
        "group_interval": "5m",
        "repeat_interval": "24h",
        "routes": [{"receiver": TEST + channel.name, "continue": True} for channel in channels],
    }


def _route(channel: Channel) -> dict[str, Any]:
    severity = "critical" if channel.severity == "critical" else "critical|warning"
    receiver = OWNER + channel.name
    return {
        "matchers": ['alertname!="Watchdog"', f'severity=~"{severity}"'],
        "receiver": receiver,
        "continue": True,
        "routes": [
            {
                "matchers": ['severity="critical"'],
                "receiver": receiver,
                "group_wait": "5s",
                "repeat_interval": "4h",
            }
        ],
    }


def _receiver(
    channel: Channel, folder: Path, secrets: dict[str, str], at: str
) -> tuple[str, dict[str, Any]]:
    """Alertmanager's kind of receiver, and its settings.

    Raises: ChannelsRefused.
    """

    def keep(what: str, text: str) -> str:
        name = f"{channel.name}-{what}"
        secrets[name] = text
        return f"{at}/{name}"

    def secret(key: str, name: str) -> str:
        return _secret(folder / SECRETS / name, f"channel {channel.name}, {key}")

    if isinstance(channel, Email):
        return "email", dict(_email(channel, secret, keep))
    if isinstance(channel, Telegram):
        token = secret("bot_token_file", channel.bot_token_file)
        return "telegram", {
            "api_url": channel.server.rstrip("/"),
            "chat_id": channel.chat_id,
            "bot_token_file": keep("token", token),
            "parse_mode": "",
            "message": _TEXT,
        }
    url = channel.url or secret("url_file", channel.url_file or "")
    try:
        url = (_topic if isinstance(channel, Ntfy) else _web_address)(url)
    except ValueError as error:
        raise ChannelsRefused([f"channel {channel.name}, url_file: {error}"]) from error
    if isinstance(channel, Ntfy):
        url += "?" + "&".join(f"{name}={quote(text, safe='')}" for name, text in _NTFY.items())
    made: dict[str, Any] = {"url_file": keep("url", url), "max_alerts": 20}
    if channel.token_file is not None:
        token = keep("token", secret("token_file", channel.token_file))
        made["http_config"] = {"authorization": {"type": "Bearer", "credentials_file": token}}
    return "webhook", made


def _email(channel: Email, secret: Any, keep: Any) -> Iterator[tuple[str, Any]]:
    yield "to", ", ".join(channel.to)
    yield "from", channel.sender
    yield "smarthost", channel.server
    yield "require_tls", channel.tls and not channel.server.endswith(":465")
    yield "headers", {"Subject": _SUBJECT}
    yield "text", _TEXT
    yield "html", ""
    if channel.user is not None and channel.password_file is not None:
        yield "auth_username", channel.user
        yield "auth_password_file", keep("password", secret("password_file", channel.password_file))


def _secret(path: Path, whose: str) -> str:
    """Raises: ChannelsRefused, which names the file and says nothing of what is in it."""
    where = f"{whose}: {SECRETS}/{path.name}"
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ChannelsRefused([f"{where} cannot be read: {error.strerror}"]) from error
    text = data.decode("utf-8", "replace").strip()
    if (
        not text
        or len(data) > _MAX_SECRET_BYTES
        or not re.fullmatch(r"[^\x00-\x1f\x7f\ufffd]+", text)
    ):
        raise ChannelsRefused([f"{where} has to hold one line of text"])
    return text
