"""Fault F8: docs-gen is killed in the middle of a build; the old pages stay whole."""

import subprocess
import sys
from pathlib import Path

from heimnetz_docs_gen.trees import Trees

# In a copy of its own for every step on the disk: a child dies just before that step, or half-way
# through a file. The last
# child, which lives, has counted them.
BUILD = """
import os, signal, sys
from pathlib import Path
from heimnetz_docs_gen.trees import Trees

STEPS = {
    "os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "open"
}

def build(root, text):
    trees = Trees(root)
    staged = trees.stage()
    (staged / "index.html").write_text(text)
    tree = trees.keep(staged, "lamp@1.0.0")
    trees.publish("lamp", {"index.html": text.encode(), "index.md": text.encode()}, {"1.0.0": tree})
    trees.put({"index.html": text.encode(), "_static/docs.css": text.encode()})
    trees.sweep()

def dying_at(step):
    left = [step]
    def count():
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def write_halves(path, data):
        with open(path, "wb", buffering=0) as file:
            file.write(data[:100])
            count()
            file.write(data[100:])
    sys.addaudithook(lambda event, _: count() if event in STEPS else None)
    Path.write_bytes = write_halves

for step in range(1000):
    root = Path(sys.argv[1], str(step))
    root.mkdir()
    Trees(root).prepare()
    build(root, "old" * 100)
    child = os.fork()
    if child == 0:
        dying_at(step)
        build(root, "new" * 100)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""
PAGES = ("lamp/index.html", "lamp/index.md", "lamp/1.0.0/index.html")
SHARED = ("index.html", "_static/docs.css")
OLD, NEW = "old" * 100, "new" * 100


def shown(root: Path, *paths: str) -> set[str]:
    return {(root / path).read_text() for path in paths}


def test_pages_are_whole_wherever_a_build_is_killed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], check=True, timeout=60)
    *killed, last = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))

    assert len(killed) > 20
    plugin = [shown(root, *PAGES) for root in killed]
    assert all(texts in ({OLD}, {NEW}) for texts in plugin)
    assert plugin[0] == {OLD}
    assert plugin[-1] == {NEW}
    assert all(shown(root, path) <= {OLD, NEW} for root in killed for path in SHARED)
    assert shown(last, *PAGES, *SHARED) == {NEW}


def test_what_a_killed_build_left_is_gone_after_the_next_start(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], check=True, timeout=60)
    roots = list(tmp_path.iterdir())
    before = [shown(root, *PAGES) for root in roots]

    for root in roots:
        Trees(root).prepare()

    assert [shown(root, *PAGES) for root in roots] == before
    assert {len(Trees(root).names()) for root in roots} == {2}
    assert [path for root in roots for path in (root / ".staging").iterdir()] == []
