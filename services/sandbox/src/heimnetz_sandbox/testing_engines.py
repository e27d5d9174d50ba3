"""Engines of the tests' own, which may be stopped, killed and set up as the one they share may not.

Each is a `dockerd` with its own containerd, images, containers and sockets, without a network and
without a rule in the host's firewall. Starting one takes a second, putting an image in seven; so
tests that want one stand together in a file of their own, and share it where they can. Root only.

    @pytest.fixture(scope="module")
    def engine() -> Iterator[OwnEngine]:
        with own_engine("--add-runtime", "mine=/usr/bin/mine") as engine:
            yield engine

    with standing(place, postgres_url, key_ring, engine=engine.socket) as stand: ...
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from heimnetz_common.testing import eventually_sync
from heimnetz_sandbox.testing import ENGINE, RUNTIME_IMAGE, ask_engine

START_SECONDS = 30
STOP_SECONDS = 30
# Any that the kernel calls nobody exists everywhere.
_REMAPPED_UID = 65534
FIRST_UID, UIDS = 3_000_000, 65_536


@dataclass
class OwnEngine:
    """`prelude` is shell in a mount namespace of the engine's own, where it is not empty."""

    home: Path
    options: Sequence[str] = ()
    prelude: str = ""
    child: "subprocess.Popen[bytes] | None" = None

    @property
    def socket(self) -> Path:
        return self.home / "docker.sock"

    def docker(self, *arguments: str) -> str:
        return ask_engine(self.socket, *arguments)

    def start(self) -> None:
        """Until it answers; containers that outlived it with live-restore are its again."""
        command = [
            *("dockerd", "--config-file", str(self.home / "daemon.json")),
            *("--data-root", str(self.home / "data"), "--exec-root", str(self.home / "exec")),
            *("--pidfile", str(self.home / "pid"), "--host", f"unix://{self.socket}"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"),
            *("--live-restore", *self.options),
        ]
        # Without a bridge dockerd removes docker0 from its network namespace: not from the host's.
        apart = ["unshare", "--net"]
        if self.prelude:
            # What others unmount is to be gone here too.
            apart += [
                "--mount",
                "--propagation=slave",
                "sh",
                "-ec",
                f'{self.prelude}\nexec "$@"',
                "sh",
            ]
        with (self.home / "log").open("ab") as log:
            self.child = subprocess.Popen(  # noqa: S603
                [*apart, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually_sync(self._has_answered, START_SECONDS)

    def _has_answered(self) -> bool:
        assert self.child is not None
        if self.child.poll() is not None:
            log = (self.home / "log").read_text("utf-8", "replace")
            raise AssertionError(f"the engine ended:\n{log[-3000:]}")
        with contextlib.suppress(subprocess.CalledProcessError):
            self.docker("version")
            return True
        return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Until it and its containerd are gone; with live-restore the containers run on."""
        if self.child is None:
            return
        self.child.send_signal(number)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child = None
        eventually_sync(lambda: not self._find("containerd"), STOP_SECONDS)
        # Killed, both leave their number behind, and would not start beside a process of that one.
        for left in (self.home / "pid", self.home / "exec/containerd/containerd.pid"):
            left.unlink(missing_ok=True)

    def load(self, *images: str) -> None:
        """From the engine that all share."""
        save = ["docker", "--host", f"unix://{ENGINE}", "save", *images]
        with subprocess.Popen(save, stdout=subprocess.PIPE) as saving:  # noqa: S603
            load = ["docker", "--host", f"unix://{self.socket}", "load", "--quiet"]
            subprocess.run(load, stdin=saving.stdout, check=True, capture_output=True)  # noqa: S603

    def _find(self, name: str = "") -> list[int]:
        """Processes, no zombies, whose program begins so and whose arguments name our folder."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (
                    (folder / "cmdline").read_bytes().split(b"\0")
                    if folder.name.isdecimal()
                    else []
                )
                if not words or str(self.home).encode() not in b" ".join(words[1:]):
                    continue
                if not name or Path(os.fsdecode(words[0])).name == name:
                    found.append(int(folder.name))
        return found

    def remove(self) -> None:
        """Containers, processes, mounts and files."""
        try:
            if self.child is None:
                self.start()
            if containers := self.docker("ps", "-aq").split():
                self.docker("rm", "--force", *containers)
        finally:
            self.stop()
            for pid in self._find():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
            for place in reversed([one for one in places if one.startswith(f"{self.home}/")]):
                subprocess.run(["umount", "--lazy", place], check=True)  # noqa: S603, S607
            shutil.rmtree(self.home)


@contextlib.contextmanager
def own_engine(
    *options: str,
    images: Sequence[str] = (RUNTIME_IMAGE,),
    prelude: str = "",
    configuration: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[OwnEngine]:
    """A running engine with these images; `options` are dockerd's, the last of a kind counts.

    `configuration` is its daemon.json.
    """
    assert os.geteuid() == 0, "an engine of their own is for tests that run as root"
    home = Path(tempfile.mkdtemp(prefix="hn-engine-", dir="/tmp"))
    home.chmod(0o711)
    (home / "daemon.json").write_text(json.dumps(dict(configuration)))
    engine = OwnEngine(home, options, prelude)
    try:
        engine.start()
        engine.load(*images)
        yield engine
    finally:
        engine.remove()


@contextlib.contextmanager
def remapped_engine(*options: str, images: Sequence[str] = (RUNTIME_IMAGE,)) -> Iterator[OwnEngine]:
    """One that maps its containers' users to FIRST_UID and on; the machine's files stay as is."""
    name = pwd.getpwuid(_REMAPPED_UID).pw_name
    remap = f"--userns-remap={_REMAPPED_UID}:{_REMAPPED_UID}"
    with tempfile.NamedTemporaryFile("w", prefix="hn-subid-") as file:
        file.write(f"{name}:{FIRST_UID}:{UIDS}\n")
        file.flush()
        prelude = "\n".join(
            f"mount --bind {file.name} {place}" for place in ("/etc/subuid", "/etc/subgid")
        )
        with own_engine(remap, *options, images=images, prelude=prelude) as engine:
            yield engine
