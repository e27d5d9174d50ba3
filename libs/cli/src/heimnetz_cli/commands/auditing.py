"""The auditor's engine, offline: same code, same report."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli.commands.advising import read_advisories
from heimnetz_cli.commands.options import example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, show_report, show_table

if TYPE_CHECKING:
    from heimnetz_audit import SourceTree


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    SARIF = "sarif"
    MARKDOWN = "markdown"
    CYCLONEDX = "cyclonedx"


class Severity(StrEnum):
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


def audit_path(
    path: Annotated[Path, typer.Argument(exists=True, help="A file, directory or package.")],
    is_source_only: Annotated[
        bool,
        typer.Option("--source-only", help="Look at code alone: no manifest, no lock file."),
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TEXT,
    since: Annotated[
        Path | None,
        typer.Option(exists=True, help="The version before: tell what changed since then."),
    ] = None,
    advisories: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Known vulnerabilities: OSV's all.zip."),
    ] = None,
    fail_on: Annotated[
        Severity | None, typer.Option(help="End with 1 when a finding is at least so severe.")
    ] = None,
) -> None:
    """Audit code without a platform and without a network.

    Ends with 0 when everything could be looked at, 1 with findings at or above --fail-on, 2 when
    something could not be looked at; 1 wins over 2. Without --advisories the report says that it is
    not known whether dependencies have known vulnerabilities.
    """
    from heimnetz_audit import Severity as Level
    from heimnetz_audit import audit, exit_code, reporters

    report = audit(
        tree_of(path, is_source_only=is_source_only),
        source_only=is_source_only,
        before=tree_of(since, is_source_only=is_source_only) if since is not None else None,
        advisories=read_advisories(advisories) if advisories else None,
    )
    show_report(reporters.ALL[form.value].render(report))
    raise typer.Exit(exit_code(report, Level.parse(fail_on.value) if fail_on else None))


def explain(
    rule: Annotated[
        str | None, typer.Argument(help="The rule that a finding names; without, all of them.")
    ] = None,
) -> None:
    """Explain a rule of the audit: what it finds, why, what to do, and examples."""
    from heimnetz_audit import explaining

    if rule is None:
        rows = [
            [each.check.rule, each.check.severity.label, each.what]
            for each in explaining.explain_all()
        ]
        show_table(["rule", "severity", "what it finds"], rows)
        return
    explanation = explaining.explain(rule)
    if explanation is None:
        raise Failure(f"there is no rule {rule!r}; `heimnetz explain` lists them", Exit.NOT_FOUND)
    show_report(explaining.page(explanation))


def tree_of(path: Path, *, is_source_only: bool) -> "SourceTree":
    """What the service would see: the packed files, where there is a package to be made."""
    from heimnetz_audit import SourceTree

    is_package = path.name.endswith(".tar.gz")
    if is_source_only or not (is_package or (path / "plugin.yaml").is_file()):
        return SourceTree.from_path(path)
    from heimnetz_manifest import ManifestError, pack, read_package

    try:
        return SourceTree.from_files(read_package(path if is_package else pack(path)).files)
    except ManifestError as error:
        note(
            f"{path} is no package that the registry takes ({error.detail}); its files as they are"
        )
        return SourceTree.from_path(path)


def add_to(app: typer.Typer) -> None:
    app.command(
        "audit",
        epilog=example(
            "heimnetz audit plugins/energy-report --fail-on medium",
            "heimnetz audit plugins/energy-report --advisories PyPI/all.zip",
            "heimnetz audit script.py --source-only --format jsonl",
            "heimnetz audit plugins/energy-report --format cyclonedx",
            "heimnetz audit pump-1.1.0.tar.gz --since pump-1.0.0.tar.gz",
        ),
    )(audit_path)
    app.command(epilog=example("heimnetz explain command-injection"))(explain)
