"""The process in which one package is audited: `python -I -m heimnetz_auditor.worker`.

It reads a line of JSON (limits, policy), the package, the version before and the advisories from
its input, and answers with one JSON document. Everything it may need is imported before it gives up
its rights.
"""

import gzip
import json
import sys
from collections.abc import Mapping
from datetime import date
from typing import Any

from heimnetz_audit import Advisories, Memory, Report, SourceTree, audit, reporters
from heimnetz_audit.model import Severity
from heimnetz_audit.model.waivers import Standing
from heimnetz_audit.verdict import Policy, decide
from heimnetz_auditor.confining import confine, python_folders
from heimnetz_auditor.model import WHOLE
from heimnetz_manifest import ManifestError, read_package


def main() -> None:
    header = json.loads(sys.stdin.buffer.readline())
    confinement = confine(header["memory_bytes"], header["cpu_seconds"], python_folders())
    try:
        answer = examine(sys.stdin.buffer.read(), header)
    except ManifestError as error:
        answer = {"failure": f"the package cannot be read: {error}"}
    except MemoryError:
        answer = {"failure": "the audit needed more memory than it may use"}
    except RecursionError:
        answer = {"failure": "the package is nested more deeply than the engine can follow"}
    answer["has_no_network"] = confinement.has_no_network
    answer["has_no_files"] = confinement.has_no_files
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


def examine(packages: bytes, header: Mapping[str, Any]) -> dict[str, Any]:
    """Raises: ManifestError, MemoryError, RecursionError."""
    size = header["package_bytes"]
    end = size + header["before_bytes"]
    tree = SourceTree.from_files(read_package(packages[:size]).files)
    before = packages[size:end]
    known = Advisories(gzip.decompress(packages[end:])) if packages[end:] else None
    memory = Memory()
    report = whole = audit(tree, memory=memory, advisories=known)
    if before:
        older = SourceTree.from_files(read_package(before).files)
        whole = audit(tree, memory=memory, before=older, advisories=known)
    verdict = decide(
        whole,
        Policy.from_mapping(header["policy"]),
        plugin=header["plugin"],
        version=header["version"],
        publisher=header["publisher"],
        is_signed=header["is_signed"],
        today=date.fromisoformat(header["today"]),
    )
    return describe(report, whole, verdict.standing) | {
        "verdict": verdict.outcome,
        "reasons": [_plain(reason) for reason in verdict.reasons],
    }


def describe(report: Report, whole: Report, standing: Standing) -> dict[str, Any]:
    """What the service keeps of a report, its texts included.

    `whole` knows the version before. Where that or waivers change a text, it is there twice:
    without and with them.
    """
    difference = report.difference
    severities = [finding.severity for finding in standing.open_findings]
    reports = {name: reporter.render(report) for name, reporter in reporters.ALL.items()}
    if whole is not report or not standing.is_plain:
        reports |= {
            name + WHOLE: text
            for name, reporter in reporters.ALL.items()
            if (text := reporter.render(whole, standing)) != reports[name]
        }
    last_days = [waiver.expires_on for waiver in standing.waivers if waiver is not None]
    return {
        "score": standing.score,
        "grade": standing.grade,
        "counts": {severity.label: severities.count(severity) for severity in Severity},
        "undeclared": [_plain(text) for text in difference.undeclared] if difference else [],
        "unused": [_plain(text) for text in difference.unused] if difference else [],
        "reports": {name: _plain(text) for name, text in reports.items()},
        "holds_until": min(last_days).isoformat() if last_days else None,
    }


def _plain(text: str) -> str:
    """Text that a database keeps: a hostile file name may hold a NUL or half a character."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


if __name__ == "__main__":
    main()
