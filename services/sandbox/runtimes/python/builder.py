"""Fetches a plugin's dependencies: wheels only, hashes checked, nothing of theirs executed.

Runs as the single process of a builder container. Everything is unpacked in a tmpfs, which bounds
it, and copied out only when it is whole. The one way out is the broker's socket, which reaches the
index alone. Standard library and pip.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append("/opt/heimnetz")
import forwarding

LOCK = Path("/in/requirements.lock")
WORK = Path("/work")
OUT = Path("/out")
MAX_LOG_CHARACTERS = 4000

# What pip may be told. `--isolated` makes it ignore the environment and user files.
PIP = (
    sys.executable, "-I", "-m", "pip", "--isolated", "install",
    "--only-binary", ":all:", "--require-hashes", "--no-compile", "--no-cache-dir",
    "--no-input", "--disable-pip-version-check", "--no-warn-script-location",
    "--progress-bar", "off", "--proxy", f"http://127.0.0.1:{forwarding.PORT}", "--target",
)  # fmt: skip


def install(target: Path) -> str | None:
    """Why it did not work, or None."""
    index = os.environ.get("PIP_INDEX_URL")
    options = ["--index-url", index] if index else []
    if index and index.startswith("http://"):
        # An owner's own index in the house; the hashes are checked all the same.
        options += ["--trusted-host", urlsplit(index).hostname or ""]
    done = subprocess.run(  # noqa: S603
        [*PIP, str(target), *options, "--requirement", str(LOCK)],
        env={"PATH": os.defpath, "HOME": str(WORK), "TMPDIR": str(WORK), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode == 0:
        return None
    text = done.stdout.decode("utf-8", "replace")
    errors = [line for line in text.splitlines() if line.startswith("ERROR:")]
    return ("\n".join(errors) or text)[-MAX_LOG_CHARACTERS:]


def tidy(target: Path) -> None:
    """Leave what is imported: no console scripts, no links."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    for folder, folders, files in os.walk(target):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                path.unlink()
            else:
                path.chmod(0o755 if path.is_dir() else 0o644)


def main() -> None:
    os.umask(0o022)
    forwarding.start(forwarding.listen())
    target = WORK / "site"
    target.mkdir()
    reason = install(target)
    if reason is None:
        try:
            tidy(target)
            shutil.copytree(target, OUT / "site")
        except OSError as error:
            reason = f"the dependencies could not be stored: {error.strerror}"
    outcome = {"ok": reason is None, "reason": reason}
    (OUT / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main()
