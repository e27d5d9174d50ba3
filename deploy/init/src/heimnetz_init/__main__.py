"""Makes what is missing and ends.

With `certs`, renews certificates and signing keys in time until told to stop; with `rotate`,
replaces every signing key now.
"""

import argparse
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

import yaml

from heimnetz_init import channels, issuing
from heimnetz_init.model import DATA_VOLUMES, PARTIES
from heimnetz_init.preparing import CHANNELS, House

ROOT = Path("/run/heimnetz")
ALERTMANAGER = Path("/etc/heimnetz/alertmanager")
#: Where Alertmanager sees its volume.
SECRETS_THERE = "/run/heimnetz/secrets"
MAX_LOOK_SECONDS = 6 * 60 * 60
READY_FILE = Path("/tmp/ready")  # noqa: S108 - a tmpfs of the container's own


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def initialise(house: House) -> None:
    house.prepare()
    house.own(DATA_VOLUMES)
    configure_channels(house, ALERTMANAGER)
    say("init: every secret is in its volume.")
    say(
        "init: the set-up token: docker compose exec registry cat /run/heimnetz/secrets/setup-token"
    )
    host, port = (
        os.environ.get("HEIMNETZ_HOST", "localhost"),
        os.environ.get("HEIMNETZ_PORT", "8443"),
    )
    say(f"init: the platform will be at https://{host}:{port}/")


def configure_channels(house: House, folder: Path) -> None:
    """Raises: SystemExit, with every mistake in the owner's file; the one before stays in place."""
    base = yaml.safe_load((folder / "alertmanager.yml").read_text("utf-8"))
    try:
        found = channels.read(folder)
        rendered = channels.render(base, found, folder, f"{SECRETS_THERE}/{CHANNELS}")
    except channels.ChannelsRefused as error:
        raise SystemExit("\n".join(f"init: {mistake}" for mistake in error.mistakes)) from error
    house.write_channels(rendered)
    names = ", ".join(channel.name for channel in found) or "nobody but the monitor"
    say(f"init: alerts go to {names}.")


def lifetime() -> timedelta:
    """Of a certificate. Raises: SystemExit."""
    text = os.environ.get("HEIMNETZ_CERTIFICATE_DAYS") or str(issuing.LIFETIME.days)
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= issuing.CA_LIFETIME.days:
        raise SystemExit(
            f"HEIMNETZ_CERTIFICATE_DAYS is {text!r}; it must be a number of days, at most "
            f"{issuing.CA_LIFETIME.days}"
        )
    return timedelta(days=days)


def keep_renewing(house: House, pause_seconds: float) -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    while not stopped.is_set():
        for name in house.renew_certificates():
            say(f"certs: a new certificate for {name}")
        for name in house.renew_signing_keys():
            say(f"certs: a new signing key for {name}")
        READY_FILE.touch()
        stopped.wait(pause_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="heimnetz_init", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("init", "certs", "rotate"), default="init")
    command = parser.parse_args().command
    house = House(ROOT, PARTIES, lifetime())
    if command == "certs":
        # Often enough to be in time for the shortest.
        keep_renewing(house, min(MAX_LOOK_SECONDS, lifetime().total_seconds() / 20))
    elif command == "rotate":
        for name in house.renew_signing_keys(is_forced=True):
            say(f"rotate: a new signing key for {name}")
    else:
        initialise(house)


if __name__ == "__main__":
    main()
