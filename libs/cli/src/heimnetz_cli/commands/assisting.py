"""An author's own assistant: a few of the commands, as tools of the Model Context Protocol.

None of them publishes, installs, grants or decides anything.
"""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heimnetz_cli.commands.auditing import tree_of
from heimnetz_cli.commands.catalogue import latest
from heimnetz_cli.commands.developing import Wish, run_draft, to_document
from heimnetz_cli.commands.options import example
from heimnetz_cli.commands.publishing import judge
from heimnetz_cli.commands.running import WAIT_SECONDS
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import explain, to_json
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_cli.answering import Tool
    from heimnetz_sdk.client import Client
    from heimnetz_sdk.models import Draft, Run

Arguments = Mapping[str, Any]

RUN_SECONDS = 300.0  # as long as a draft may take
LOG_LINES = 100
LINE_CHARACTERS = 500
ENTRIES = 50

_PATH = {
    "type": "string",
    "pattern": r"^[^\x00-\x1f\x7f]{1,1000}$",
    "description": "A directory, package or file below the author's folder; `.` is that folder.",
}
_PLUGIN = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9-]{0,62}$",
    "description": "The name of a plugin of the stack.",
}
_VERSION = {
    "type": "string",
    "pattern": "^[0-9A-Za-z][0-9A-Za-z.+-]{0,199}$",
    "description": "Without it, the latest version.",
}
_RULE_TOPIC = "checks/"
_TOPIC = {
    "type": "string",
    "pattern": "^[A-Za-z0-9-]{1,64}(/[A-Za-z0-9-]{1,64})?$",
    "description": "A guide: first-plugin, manifest, permissions, runner-protocol, auditing, "
    "checks/RULE for a rule that a finding names; index lists the guides.",
}
_INPUT = {"type": "object", "description": "The run's input, in place of the example's."}
_EXAMPLE = {
    "type": "string",
    "maxLength": 200,
    "description": "Of a path: one of the manifest's examples; without it, the first.",
}


def mcp(
    folder: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="Paths of the assistant stay below it."),
    ] = Path(),
) -> None:
    """Serve an author's assistant over the Model Context Protocol, on standard input and output.

    Its tools are check, audit, run, findings and docs. Nothing is published, installed or granted.
    Runs have what your log-in has: give a publisher's token in HEIMNETZ_TOKEN to let working
    copies reach nothing.
    """
    from heimnetz_cli.answering import serve

    source, out = sys.stdin.buffer, sys.stdout.buffer
    with redirect_stdout(sys.stderr):  # one stray line would break the protocol
        serve(tools(folder.resolve()), source, out)


def tools(folder: Path) -> list["Tool"]:
    from heimnetz_cli.answering import Tool

    reads = {"readOnlyHint": True, "openWorldHint": False}
    runs = {
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": False,
        "openWorldHint": True,
    }
    return [
        Tool(
            name="check",
            title="Check manifest and package",
            description="Check a plugin's directory, package or plugin.yaml as the registry would, "
            "offline. Gives each mistake with line, column and a suggestion.",
            schema=_schema({"path": _PATH}, ["path"]),
            annotations=reads,
            call=_told(lambda given: to_json(judge(_below(folder, given["path"])))),
        ),
        Tool(
            name="audit",
            title="Audit code",
            description="Score, grade and findings of a plugin's directory, package or file, as "
            "the auditor gives them, offline. docs with topic checks/RULE explains a rule.",
            schema=_schema({"path": _PATH}, ["path"]),
            annotations=reads,
            call=_told(lambda given: _audit(_below(folder, given["path"]))),
        ),
        Tool(
            name="run",
            title="Run in the sandbox",
            description="Run a plugin's directory (path) once in the stack's sandbox, as a draft "
            "of which nothing is kept; or run an installed plugin (plugin), with its grants and "
            "for real. Gives outcome, log, result, resources and what was refused.",
            schema=_schema(
                {"path": _PATH, "plugin": _PLUGIN, "input": _INPUT, "example": _EXAMPLE}, []
            ),
            annotations=runs,
            call=_told(lambda given: _run(folder, given)),
        ),
        Tool(
            name="findings",
            title="Findings of a published version",
            description="The stack's latest audit report of a published plugin's version.",
            schema=_schema({"plugin": _PLUGIN, "version": _VERSION}, ["plugin"]),
            annotations=reads,
            call=_told(_findings),
        ),
        Tool(
            name="docs",
            title="Read documentation",
            description="A guide of the platform (topic), or the pages of a published plugin "
            "(plugin, version), as Markdown. Without arguments, the list of guides.",
            schema=_schema({"topic": _TOPIC, "plugin": _PLUGIN, "version": _VERSION}, []),
            annotations=reads,
            call=_told(_docs),
        ),
    ]


def _schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _told(call: Callable[[Arguments], str]) -> Callable[[Arguments], str]:
    """What a person would be told on standard error is the tool's error."""

    def told(given: Arguments) -> str:
        from heimnetz_sdk.errors import HeimnetzError

        try:
            return call(given)
        except HeimnetzError as error:
            raise Failure(explain(error)) from None
        except OSError as error:
            raise Failure(f"{error.filename or 'file'}: {error.strerror or error}") from None

    return told


def _below(folder: Path, given: str) -> Path:
    """Raises: Failure, for what lies elsewhere once links are followed, or is a device or pipe."""
    try:
        path = (folder / given).resolve()
        is_inside = path.is_relative_to(folder)
        is_usable = is_inside and (path.is_dir() or path.is_file())
    except (OSError, ValueError, RuntimeError):  # too long, or links in a circle
        is_inside, is_usable = True, False
    if not is_inside:
        raise Failure(f"{given} is outside of {folder}; give a path below it")
    if not is_usable:
        raise Failure(f"{given} is no directory or file in {folder}", Exit.NOT_FOUND)
    return path


def _audit(path: Path) -> str:
    from heimnetz_audit import audit, reporters

    text: str = reporters.ALL["text"].render(audit(tree_of(path, is_source_only=False)))
    return text


def _findings(given: Arguments) -> str:
    with open_client() as client:
        version = given.get("version") or latest(client, given["plugin"])
        return client.auditor.get_report(given["plugin"], version, "text")


def _docs(given: Arguments) -> str:
    plugin, topic = given.get("plugin"), given.get("topic", "index")
    if plugin is not None and "topic" in given:
        raise Failure("name a topic or a plugin, not both")
    if plugin is None and (rule := topic.removeprefix(_RULE_TOPIC)) != topic and rule != "README":
        return _rule(rule)
    with open_client() as client:
        if plugin is None:
            return client.docs.get_guide(topic)
        version = given.get("version") or latest(client, plugin)
        return client.docs.get_page(plugin, version, "index.md")


def _rule(rule: str) -> str:
    from heimnetz_audit import explaining

    explanation = explaining.explain(rule)
    if explanation is None:
        raise Failure(f"there is no rule {rule}; the topic checks/README lists them")
    return explaining.page(explanation)


def _run(folder: Path, given: Arguments) -> str:
    if ("path" in given) == ("plugin" in given):
        raise Failure("name a path or an installed plugin, one of them")
    if "plugin" in given and "example" in given:
        raise Failure("an example is for a path; give an installed plugin its input")
    project = _below(folder, given["path"]) if "path" in given else None
    with open_client() as client:
        if project is None:
            return to_json(_installed(client, given["plugin"], given.get("input") or {}))
        wish = Wish(given.get("example"), given.get("input"), {}, as_json=True)
        draft, _, more = run_draft(client, project, wish)
    return to_json(_draft_facts(draft, to_document(draft, more)))


def _draft_facts(draft: "Draft", document: Mapping[str, Any]) -> dict[str, Any]:
    """What tells most first, since an answer that is too long is cut at its end."""
    last = {
        "reached": list(draft.reached)[:ENTRIES],
        "files": list(draft.files)[:ENTRIES],
        "log": _tail([f"{line.get('stream')}: {line.get('text')}" for line in draft.log]),
        "result": draft.result,
    }
    first = {"outcome": draft.outcome, "reason": draft.reason}
    return {**first, **{key: one for key, one in document.items() if key not in last}, **last}


def _installed(client: "Client", plugin: str, document: Mapping[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + RUN_SECONDS
    run = client.sandbox.start_run(plugin, document, wait_seconds=WAIT_SECONDS)
    while not run.is_finished and time.monotonic() < deadline:
        run = client.sandbox.get_run(run.id, wait_seconds=WAIT_SECONDS)
    return _facts(run, client.sandbox.get_logs(run.id))


def _facts(run: "Run", log: str) -> dict[str, Any]:
    facts = {
        "run": run.id,
        "plugin": run.plugin,
        "version": run.version,
        "duration_seconds": run.duration_seconds,
        "peak_memory_bytes": run.peak_memory_bytes,
        "files": [file.name for file in run.files][:ENTRIES],
        "log": _tail(log.splitlines()),
        "result": run.result,
    }
    if run.is_finished:
        return {"outcome": run.outcome, "reason": run.reason, **facts}
    return {"state": run.state, "reason": f"look later: heimnetz runs {run.plugin}", **facts}


def _tail(lines: list[str]) -> list[str]:
    return [line[:LINE_CHARACTERS] for line in lines[-LOG_LINES:]]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("heimnetz mcp ~/plugins"))(mcp)
