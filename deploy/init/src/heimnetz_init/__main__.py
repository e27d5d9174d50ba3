"""Makes what is missing and ends; with `certs`, renews certificates until told to stop."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from heimnetz_init.model import DATA_VOLUMES, PARTIES
from heimnetz_init.preparing import House

ROOT = Path("/run/heimnetz")
LOOK_SECONDS = 6 * 60 * 60
READY_FILE = Path("/tmp/ready")  # noqa: S108 - a tmpfs of the container's own


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def initialise(house: House) -> None:
    house.prepare()
    house.own(DATA_VOLUMES)
    say("init: every secret is in its volume.")
    say(
        "init: the set-up token: docker compose exec registry cat /run/heimnetz/secrets/setup-token"
    )
    host, port = (
        os.environ.get("HEIMNETZ_HOST", "localhost"),
        os.environ.get("HEIMNETZ_PORT", "8443"),
    )
    say(f"init: the platform will be at https://{host}:{port}/")


def keep_renewing(house: House) -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    while not stopped.is_set():
        for name in house.renew_certificates():
            say(f"certs: a new certificate for {name}")
        READY_FILE.touch()
        stopped.wait(LOOK_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="heimnetz_init", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("init", "certs"), default="init")
    command = parser.parse_args().command
    house = House(ROOT, PARTIES)
    if command == "certs":
        keep_renewing(house)
    else:
        initialise(house)


if __name__ == "__main__":
    main()
