"""The SDK for Node beside the other places that say the same: runtime, manifest, SDK for Python."""

import inspect
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from heimnetz_cli.preparing_node import facts_of
from heimnetz_manifest import parse_manifest
from heimnetz_sdk.plugin import Context

HERE = Path(__file__).parent
SDK = HERE.parents[1]
RUNTIME = SDK.parents[2] / "services" / "sandbox" / "runtimes" / "node"
OF_SERVICES = {"serve", "listener"}


def members(file: Path, begin: str, end: str) -> set[str]:
    """The names that a block of a file declares, in its outermost lines."""
    block = re.search(rf"{begin}(.*?)\n{end}", file.read_text(), re.DOTALL)
    assert block is not None
    indent = " " * (len(end) - len(end.lstrip()) + 2)
    return set(re.findall(rf"^{indent}(?:readonly )?(\w+)[:(,]", block[1], re.MULTILINE))


def test_its_own_tests_pass(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "Node 20 is needed"
    report = tmp_path / "report"
    done = subprocess.run(
        [
            *(node, "--test", "--test-reporter=spec", f"--test-reporter-destination={report}"),
            *sorted(HERE.glob("*.test.js")),
        ],
        cwd=SDK,
        env={"PATH": os.environ["PATH"]},
        check=False,
    )

    assert done.returncode == 0, report.read_text()


def test_tests_are_given_the_facts_that_the_command_gives() -> None:
    project = HERE / "asks-for-much"
    manifest = parse_manifest((project / "plugin.yaml").read_bytes())

    assert json.loads((project / "manifest.json").read_text()) == facts_of(manifest)


def test_the_types_the_runtime_and_python_have_the_same_context() -> None:
    types = members(SDK / "src" / "plugin.d.ts", r"interface Context \{", "}")
    runtime = members(RUNTIME / "working.js", r"function contextOf\(call\) \{\n  return \{", "  };")
    python = {name for name, _ in inspect.getmembers(Context) if not name.startswith("_")}

    assert types == runtime == python - OF_SERVICES


def test_the_types_and_the_runtime_have_the_same_for_services() -> None:
    types = members(
        SDK / "src" / "plugin.d.ts", r"interface ServiceContext extends Context \{", "}"
    )
    given = re.search(r"return \{ (.*) \};", (RUNTIME / "serving.js").read_text())

    assert given is not None
    assert types == OF_SERVICES == set(re.findall(r"(\w+)[,:]", given[1]))
