"""The owner's channels: what is taken, what is refused and how, and what becomes of secrets."""

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_init import channels
from heimnetz_init.__main__ import configure_channels
from heimnetz_init.channels import ChannelsRefused
from heimnetz_init.model import PARTIES
from heimnetz_init.preparing import House

ALERTMANAGER = Path(__file__).parents[4] / "deploy" / "alertmanager"
BASE = yaml.safe_load((ALERTMANAGER / "alertmanager.yml").read_text("utf-8"))
OURS = tuple(replace(party, uid=os.getuid()) for party in PARTIES)
PHONE = "channels: [{name: phone, kind: ntfy, url: 'https://ntfy.sh/topic'}]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "alertmanager"
    (folder / "secrets").mkdir(parents=True)
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(BASE))
    for name in ("mail-password", "ntfy-token", "telegram-token"):
        (folder / "secrets" / name).write_text(f"hush-{name}\n")
    (folder / "secrets" / "house-url").write_text("https://house.example.org/hush-url\n")
    return folder


def put(folder: Path, text: str) -> None:
    (folder / "channels.yml").write_text(text)


def render(folder: Path) -> channels.Rendered:
    return channels.render(BASE, channels.read(folder), folder, "/there")


def refused(folder: Path, text: str) -> str:
    put(folder, text)
    with pytest.raises(ChannelsRefused) as caught:
        render(folder)
    return "\n".join(caught.value.mistakes)


def test_without_a_file_the_configuration_is_what_the_stack_has(folder):
    assert render(folder).configuration == BASE


def test_the_example_is_taken_as_it_stands_with_its_secrets(folder):
    put(folder, (ALERTMANAGER / "channels.example.yml").read_text("utf-8"))

    rendered = render(folder)

    names = [receiver["name"] for receiver in rendered.configuration["receivers"]]
    assert names[:3] == ["monitor", "owner-mail", "test-mail"]
    assert set(rendered.secrets) == {
        "mail-password",
        "phone-url",
        "phone-token",
        "chat-token",
        "house-url",
    }


def test_no_secret_is_in_the_configuration_or_in_what_is_shown_of_it(folder):
    put(folder, (ALERTMANAGER / "channels.example.yml").read_text("utf-8"))

    rendered = render(folder)

    assert "hush" not in json.dumps(rendered.configuration)
    assert "hush" not in repr(rendered)
    assert "hush-mail-password" in rendered.secrets.values()


def test_the_monitor_hears_of_every_alert_as_before(folder):
    put(folder, PHONE)

    routes = render(folder).configuration["route"]["routes"]

    assert routes[2:-1] == BASE["route"]["routes"]
    assert routes[-1] == {"receiver": "monitor"}


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("{name: a, kind: fax}", "its kind is one of email, ntfy, telegram, webhook"),
        ("{name: a, kind: [fax]}", "its kind is one of"),
        ("phone", "its kind is one of"),
        ("{name: A b, kind: ntfy, url: 'https://h/t'}", "channels.0.name: this is not a name"),
        ("{kind: webhook, url: 'https://h/'}", "channels.0.name: this is missing"),
        ("{name: a, kind: ntfy}", "give either url, or url_file"),
        ("{name: a, kind: ntfy, url: 'https://h/t', url_file: f}", "give either url, or url_file"),
        ("{name: a, kind: ntfy, url: 'https://h/'}", "this is not a topic"),
        ("{name: a, kind: webhook, url: 'ftp://h/x'}", "this is not an address"),
        ("{name: a, kind: webhook, url: 'https://h:x/'}", "this is not an address"),
        ("{name: a, kind: webhook, url: 'https://u:hush@h/'}", "does not belong in an address"),
        (
            "{name: a, kind: webhook, url: 'https://h/', tokn: hush}",
            "channels.0.tokn: there is no such key",
        ),
        ("{name: a, kind: webhook, url: 'https://h/', token_file: ../x}", "the name of a file"),
        ("{name: a, kind: webhook, url: 'https://h/', token_file: none}", "secrets/none cannot be"),
        ("{name: a, kind: webhook, url: 'https://h/', severity: bad}", "channels.0.severity"),
        ("{name: a, kind: telegram, chat_id: x, bot_token_file: telegram-token}", "chat_id"),
        ("{name: a, kind: telegram, chat_id: 0, bot_token_file: telegram-token}", "chat_id"),
        ("{name: a, kind: email, to: [], from: a@b, server: 'h:25'}", "channels.0.to"),
        ("{name: a, kind: email, to: [a@b], from: a b, server: 'h:25'}", "an e-mail address"),
        ("{name: a, kind: email, to: [a@b], from: a@b, server: h}", "with its port"),
        ("{name: a, kind: email, to: [a@b], from: a@b, server: 'h:70000'}", "with its port"),
        ("{name: a, kind: email, to: [a@b], from: a@b, server: 'h:25', user: u}", "together"),
        (
            "{name: a, kind: email, to: [a@b], from: a@b, server: 'h:25', user: u, "
            "password_file: mail-password, tls: false}",
            "not sent without tls",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_never_with_what_stands_there(folder, channel, said):
    message = refused(folder, f"channels:\n  - {channel}\n")

    assert said in message
    assert "channels.yml, line 2" in message or "channel a, token_file" in message
    assert "hush" not in message


@pytest.mark.parametrize(
    "text",
    ["", "[]", "channels: 3", "channels: []\nmore: x", "a: [", "\0", "channels: [{a: 1, a: 2}]"],
)
def test_a_file_that_is_no_list_of_channels_is_refused(folder, text):
    assert "channels.yml" in refused(folder, text)


def test_two_channels_of_one_name_are_refused(folder):
    one = "{name: a, kind: webhook, url: 'https://h/'}"

    assert "another channel has this name" in refused(folder, f"channels: [{one}, {one}]")


@pytest.mark.parametrize("text", ["", "two\nlines", "x" * 5000, "nul\0"])
def test_a_secret_is_one_line_of_text(folder, text):
    (folder / "secrets" / "t").write_text(text)
    channel = "{name: a, kind: webhook, url: 'https://h/', token_file: t}"

    assert "secrets/t has to hold one line" in refused(folder, f"channels: [{channel}]")


def test_a_file_that_is_too_large_and_a_crowd_of_channels_are_refused(folder):
    channel = "{name: a%d, kind: webhook, url: 'https://h/'}"
    crowd = ", ".join(channel % number for number in range(17))

    assert "larger than 64 KiB" in refused(folder, "#" * 70_000)
    assert "at most 16 channels" in refused(folder, f"channels: [{crowd}]")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_whatever_is_in_the_file_is_taken_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "channels.yml").write_bytes(data)
        with suppress(ChannelsRefused):
            channels.read(Path(name))


def test_alertmanagers_volume_has_the_configuration_and_only_the_secrets_that_it_names(
    folder, tmp_path, capsys
):
    house = House(tmp_path, OURS)
    house.prepare()
    put(folder, (ALERTMANAGER / "channels.example.yml").read_text("utf-8"))
    configure_channels(house, folder)
    put(folder, PHONE)

    configure_channels(house, folder)

    volume = tmp_path / "secrets" / "alertmanager"
    written = yaml.safe_load((volume / "alertmanager.yml").read_text("utf-8"))
    assert [path.name for path in (volume / "channels").iterdir()] == ["phone-url"]
    assert "/run/heimnetz/secrets/channels/phone-url" in json.dumps(written)
    assert "hush" not in capsys.readouterr().out


def test_a_file_with_a_mistake_leaves_the_configuration_before_in_place(folder, tmp_path):
    house = House(tmp_path, OURS)
    house.prepare()
    put(folder, PHONE)
    configure_channels(house, folder)
    before = (tmp_path / "secrets/alertmanager/alertmanager.yml").read_text("utf-8")
    put(folder, "channels: 3")

    with pytest.raises(SystemExit, match=r"init: channels\.yml"):
        configure_channels(house, folder)

    assert (tmp_path / "secrets/alertmanager/alertmanager.yml").read_text("utf-8") == before
