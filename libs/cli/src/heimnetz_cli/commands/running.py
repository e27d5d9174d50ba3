"""Runs: start, wait, follow, look back."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heimnetz_cli.commands.catalogue import latest
from heimnetz_cli.commands.options import Json, Limit, Plugin, PluginAtVersion, example, split
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import (
    note,
    progress,
    seconds,
    show,
    show_json,
    show_table,
    size,
    visible,
    when,
)
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_sdk.client import Client
    from heimnetz_sdk.models import Line, Run, Trial

FIRST_WAIT_SECONDS = 2
WAIT_SECONDS = 5  # short enough to show that the state changed
PAUSE_SECONDS = 0.2


def run(
    plugin: Plugin,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", exists=True, dir_okay=False, readable=True, help="Send this file."),
    ] = None,
    given: Annotated[
        str, typer.Option("--input", help="The input as a JSON object; @FILE or - reads it.")
    ] = "{}",
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Save the run's files there.")
    ] = None,
    is_followed: Annotated[
        bool, typer.Option("--follow", "-f", help="Show the log while it runs.")
    ] = False,
    is_awaited: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end.")] = True,
    as_json: Json = False,
) -> None:
    """Run an installed plugin, wait, and print its result.

    The result goes to standard output, everything about the run to standard error.
    """
    document = input_of(given)
    _refuse_twins(files or [])
    with open_client() as client:
        with progress(f"asking for a run of {plugin}"):
            started = client.sandbox.start_run(
                plugin, document, files or [], wait_seconds=0 if is_followed else FIRST_WAIT_SECONDS
            )
        if not is_awaited:
            show_json(started.document) if as_json else show(started.id)
            return
        if is_followed:
            for line in client.sandbox.follow_logs(started.id):
                note(line)
        finished = _wait(client, started)
        if out is not None:
            _save(client, finished, out)
    if as_json:
        show_json(finished.document)
    else:
        _tell(finished, is_saved=out is not None)
    if not finished.is_ok:
        raise typer.Exit(Exit.BAD_OUTCOME)


def input_of(given: str) -> Mapping[str, Any]:
    source = "--input"
    if given == "-":
        given, source = sys.stdin.read(), "stdin"
    elif given.startswith("@"):
        given, source = Path(given[1:]).read_text(), given[1:]
    try:
        document = json.loads(given)
    except json.JSONDecodeError as error:
        raise Failure(f"{source}, line {error.lineno}, column {error.colno}: {error.msg}") from None
    if not isinstance(document, dict):
        raise Failure(f"{source}: the input is a JSON object, such as {{}}")
    return document


def _refuse_twins(files: list[Path]) -> None:
    names = [file.name for file in files]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise Failure(f"two files have the name {twins[0]}; the plugin would see one of them")


def _wait(client: "Client", run: "Run") -> "Run":
    if run.state == "finished":
        return run
    with progress(f"run {run.id} is {run.state}") as line:
        try:
            while run.state != "finished":
                time.sleep(PAUSE_SECONDS)
                run = client.sandbox.get_run(run.id, wait_seconds=WAIT_SECONDS)
                line.update(f"run {run.id} is {run.state}")
        except KeyboardInterrupt:
            client.sandbox.cancel_run(run.id)
            line.update(f"run {run.id} cancelled")
            raise
    return run


def _save(client: "Client", run: "Run", out: Path) -> None:
    import hashlib
    import tempfile

    out.mkdir(parents=True, exist_ok=True)
    for file in run.files:
        # The name comes from the plugin: only its last part is used, and hidden files are not made.
        name = visible(Path(file.name.replace("\\", "/")).name).lstrip(".") or "file"
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=out, delete=False) as stream:
            for chunk in client.sandbox.download_file(run.id, file.name):
                digest.update(chunk)
                stream.write(chunk)
        part = Path(stream.name)
        if file.sha256 and digest.hexdigest() != file.sha256:
            part.unlink()
            raise Failure(f"{name} arrived with other bytes than were kept", Exit.UNEXPECTED)
        part.chmod(0o644)
        part.replace(out / name)
        note(f"saved {out / name} ({size(file.size_bytes)})")


def _tell(run: "Run", *, is_saved: bool) -> None:
    if run.result is not None:
        show_json(run.result)
    facts = [seconds(run.duration_seconds)]
    if run.peak_memory_bytes:
        facts.append(f"{size(run.peak_memory_bytes)} at most")
    told = ", ".join(fact for fact in facts if fact)
    note(f"{run.outcome}: {run.plugin} {run.version}" + (f", {told}" if told else ""))
    if not run.is_ok:
        note(run.reason or "no reason was given")
        note(f"its log: heimnetz logs {run.id}")
    if run.files and not is_saved:
        names = ", ".join(file.name for file in run.files)
        note(f"files: {names}; keep them with: heimnetz files {run.id} --out DIR")
    note(f"run {run.id}, trace {run.trace_id}")


def files(
    run_id: Annotated[str, typer.Argument(metavar="RUN")],
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Save them there.")] = None,
    as_json: Json = False,
) -> None:
    """List the files that a run left, or save them."""
    with open_client() as client:
        found = client.sandbox.get_run(run_id)
        if out is not None:
            _save(client, found, out)
    if as_json:
        show_json(found.document.get("files") or [])
    elif out is None:
        show_table(
            ["name", "size", "sha256"],
            [[file.name, size(file.size_bytes), file.sha256] for file in found.files],
        )


def logs(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    is_followed: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
    plugin: Annotated[
        str | None, typer.Option(help="Instead of a run: the latest lines of all its runs.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="With --plugin: lines with this text only.")
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(help="With --plugin: stdout, stderr, log (the plugin's own) or sandbox."),
    ] = None,
    limit: Limit = 200,
    as_json: Json = False,
) -> None:
    """Print the log of a run, or search those of a plugin."""
    if (run_id is None) == (plugin is None):
        raise Failure("name a run, or a plugin with --plugin")
    with open_client() as client:
        if plugin is not None:
            page = client.sandbox.find_lines(plugin, contains=search, stream=stream, limit=limit)
            _show_lines(page.items, as_json=as_json)
            return
        assert run_id is not None
        if is_followed:
            for line in client.sandbox.follow_logs(run_id):
                show_json({"line": line}) if as_json else show(line)
                sys.stdout.flush()
            return
        text = client.sandbox.get_logs(run_id)
    if as_json:
        show_json({"run_id": run_id, "lines": text.splitlines()})
    elif text:
        show(text.rstrip("\n"))


def _show_lines(newest_first: "Sequence[Line]", *, as_json: bool) -> None:
    lines = newest_first[::-1]
    if as_json:
        show_json([line.document for line in lines])
        return
    for line in lines:
        show(f"{line.at} {line.run_id} {line.stream} {line.text}")


def runs(
    plugin: Annotated[str | None, typer.Argument(help="Of this plugin only.")] = None,
    outcome: Annotated[str | None, typer.Option(help="With this outcome only.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the latest runs."""
    with open_client() as client:
        page = client.sandbox.list_runs(plugin, outcome, limit=limit)
    if as_json:
        show_json([item.document for item in page.items])
        return
    show_table(
        ["run", "plugin", "version", "outcome", "queued", "took", "memory", "trigger"],
        [
            [
                item.id,
                item.plugin,
                item.version,
                item.outcome or item.state,
                when(item.queued_at),
                seconds(item.duration_seconds),
                size(item.peak_memory_bytes),
                item.trigger,
            ]
            for item in page.items
        ],
    )


def cancel(run_id: Annotated[str, typer.Argument(metavar="RUN")]) -> None:
    """Stop a run."""
    with open_client() as client:
        client.sandbox.cancel_run(run_id)
    note(f"run {run_id} is being cancelled")


def trial(plugin: PluginAtVersion, as_json: Json = False) -> None:
    """Try a version out, approved or not, on its own examples; nothing that it sends arrives.

    Secrets are canaries, hosts are sinks. What is seen is evidence: a version may do something else
    the next time. Exit code 1 when a secret was seen outside, or nothing could be tried.
    """
    with open_client() as client:
        name, version = split(plugin)
        number = version or latest(client, name)
        with progress(f"trying {name} {number}"):
            found = client.sandbox.try_out(name, number)
    if as_json:
        show_json(found.document)
    else:
        _show_trial(found)
    if found.verdict != "observed" or found.leaked:
        raise typer.Exit(Exit.BAD_OUTCOME)


def _show_trial(found: "Trial") -> None:
    show(f"{found.plugin} {found.version}, on {len(found.examples)} examples\n")
    if found.examples:
        show_table(
            ["example", "outcome", "what came of it"],
            [
                [one["example"], one["outcome"], one.get("reason") or one.get("result") or ""]
                for one in found.examples
            ],
        )
    else:
        show("it has none, so nothing is known of it")
    if found.touched:
        show("\nit reached for:")
        show_table(
            ["what", "target", "declared"],
            [[one["kind"], one["target"], _declared(one)] for one in found.touched],
        )
    for one in found.leaked:
        show(f"\nthe secret {one['secret']} was seen: {one['where']}")


def behaviour(plugin: Plugin, as_json: Json = False) -> None:
    """What runs of a plugin did, or tried without a grant, at least once; newest first.

    It is evidence, not a barrier: a plugin that wants to hide something from it can.
    """
    with open_client() as client:
        found = client.sandbox.get_behaviour(plugin)
    if as_json:
        show_json({"items": list(found)})
        return
    show_table(
        ["what", "target", "granted", "since", "version"],
        [
            [
                one["kind"],
                one["target"],
                "yes" if one["is_granted"] else "no",
                when(datetime.fromisoformat(one["seen_at"])),
                one["version"],
            ]
            for one in found
        ],
    )


def _declared(touch: Mapping[str, Any]) -> str:
    if touch["kind"] not in ("connect", "resolve", "storage", "publish", "call"):
        return ""
    return "yes" if touch["is_declared"] else "no"


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("heimnetz trial energy-report@1.0.0"))(trial)
    app.command(epilog=example("heimnetz behaviour energy-report"))(behaviour)
    app.command(
        epilog=example(
            "heimnetz run energy-report --file year.csv --out charts",
            "heimnetz run energy-report --file year.csv --json | jq .outcome",
        )
    )(run)
    app.command(epilog=example("heimnetz files 0193… --out charts"))(files)
    app.command(
        epilog=example(
            "heimnetz logs -f 0193…", "heimnetz logs --plugin energy-report --search 'cannot read'"
        )
    )(logs)
    app.command(epilog=example("heimnetz runs energy-report --outcome error"))(runs)
    app.command(epilog=example("heimnetz cancel 0193…"))(cancel)
