"""What pages and packages take, in processor time: it depends least on what else is running."""

import itertools
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, median

from heimnetz_docs import (
    Entry,
    Known,
    Subject,
    describe,
    entry_of,
    generate,
    generate_front,
    generate_site,
    render,
)
from heimnetz_docs_gen.trees import Trees
from heimnetz_manifest import pack, read_package

EXAMPLES = sorted((Path(__file__).parents[2] / "plugins").glob("*/plugin.yaml"))
PLUGIN = next(path.parent for path in EXAMPLES if path.parent.name == "energy-report")
PLUGINS = 1000
FILES = 1000
MIB = 1024 * 1024


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="heimnetz-bench-") as place:
        yield from _one(Path(place))
        yield from _many(Path(place))
        yield _pack(Path(place))


def _one(place: Path) -> Iterator[Figure]:
    data = pack(PLUGIN)
    _draw(data)
    spent = [_spent(lambda: _draw(data)) for _ in range(9)]
    yield Figure(
        "pages of one plugin, median of 9, processor time", median(spent) * 1000, "ms", None, "300"
    )
    (place / "package.tar.gz").write_bytes(data)
    request = {"version": {"state": "approved"}, "report": None, "care": "full"}
    (place / "request.json").write_text(json.dumps(request))
    spent = [_spent(lambda: _child(place)) for _ in range(5)]
    yield Figure(
        "the same in a process of its own, as docs-gen does it, median of 5, processor time",
        median(spent) * 1000,
        "ms",
    )


def _many(place: Path) -> Iterator[Figure]:
    """Each placed on its own, with the site's index after each, as versions arrive."""
    trees = Trees(place / "site")
    (place / "site").mkdir()
    trees.prepare()
    entries: list[Entry] = []
    packages = _packages(place / "many")
    spent = early = 0.0
    for number in range(1, PLUGINS + 1):
        spent += _spent(partial(_place, trees, next(packages), entries))
        if number == PLUGINS // 10:
            early = _peak_mib()
    yield Figure(
        f"pages of {PLUGINS:,} plugins in one process, one by one, with the index after each: "
        "processor time",
        spent,
        "s",
        None,
        "60",
    )
    yield Figure(
        f"peak memory after all, against after {PLUGINS // 10}",
        _peak_mib(),
        "MiB",
        (f"after {PLUGINS // 10}", early),
        "flat",
    )


def _place(trees: Trees, data: bytes, entries: list[Entry]) -> None:
    subject = Subject(read_package(data), Known(state="approved"))
    page = describe(subject)
    files, entry = render(subject, page), entry_of(page, subject.known)
    entries.append(entry)
    staged = trees.stage()
    for path, content in files.items():
        (staged / path).parent.mkdir(parents=True, exist_ok=True)
        (staged / path).write_bytes(content)
    tree = trees.keep(staged, f"{entry.plugin}@{entry.version}")
    trees.publish(entry.plugin, generate_front([entry], entry, files), {entry.version: tree})
    trees.put(generate_site(entries))
    trees.sweep()


def _pack(place: Path) -> Figure:
    folder = place / "files"
    shutil.copytree(PLUGIN, folder)
    for number in range(FILES - sum(path.is_file() for path in folder.rglob("*"))):
        path = folder / "src" / "many" / f"module_{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'"""Module {number}."""\n\n' + f"VALUE_{number} = {number}\n" * 100)
    spent = [_spent(lambda: pack(folder)) for _ in range(5)]
    return Figure(
        f"pack of {FILES:,} files, median of 5, processor time", median(spent), "s", None, "1"
    )


def _draw(data: bytes) -> dict[str, bytes]:
    return generate(Subject(read_package(data), Known(state="approved")))


def _packages(place: Path) -> Iterator[bytes]:
    """The repository's plugins again and again, each time under other names."""
    for number, path in enumerate(itertools.cycle(EXAMPLES)):
        name = path.parent.name
        folder = place / name
        if not folder.exists():
            shutil.copytree(path.parent, folder)
        manifest = path.read_text(encoding="utf-8")
        assert f"\nname: {name}\n" in manifest, path
        renamed = manifest.replace(f"\nname: {name}\n", f"\nname: plugin-{number}\n")
        (folder / "plugin.yaml").write_text(renamed, encoding="utf-8")
        yield pack(folder)


def _child(place: Path) -> None:
    command = [sys.executable, "-I", "-m", "heimnetz_docs_gen.drawing", str(place)]
    subprocess.run([*command, str(1024 * MIB), "60"], check=True, stdout=subprocess.DEVNULL)


def _spent(work: Callable[[], object]) -> float:
    before = _clock()
    work()
    return _clock() - before


def _clock() -> float:
    """Processor time of this process and of those that it waited for, in seconds."""
    mine = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in mine)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
