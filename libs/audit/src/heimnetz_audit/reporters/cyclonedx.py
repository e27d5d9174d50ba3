"""CycloneDX 1.6: what a package is made of, as its lock pins it (a software bill of materials).

The same package gives the same bytes: there is no time in it, and its serial number is made from
its content.
"""

import hashlib
import json
import uuid
from collections import defaultdict
from typing import Any, Final
from urllib.parse import quote

from heimnetz_audit.model import Report
from heimnetz_audit.model.pinned import Dependency, Pinned
from heimnetz_audit.model.waivers import Standing

#: A lock in which everything needs everything would make a document a thousand times its size.
EDGES_LIMIT: Final = 20_000
#: What the list of dependencies may claim about itself.
_AGGREGATES: Final = {
    "missing": "unknown",
    "none": "complete",
    "damaged": "incomplete",
    "whole": "complete",
}


def render(report: Report, _standing: Standing | None = None) -> str:
    pinned = report.pinned
    own = _own_reference(pinned)
    references = {each: _reference(each) for each in pinned.dependencies}
    edges, has_all_edges = _edges(pinned, references)
    aggregate = _AGGREGATES[pinned.state]
    if aggregate == "complete" and not has_all_edges:
        aggregate = "incomplete"
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": "heimnetz-audit",
                        "version": report.engine_version,
                    }
                ]
            },
            "component": _own_component(pinned, own),
        },
        "components": [_component(each, reference) for each, reference in references.items()],
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(edges[reference])}
            for reference in (own, *references.values())
        ],
        "compositions": [
            {
                "aggregate": aggregate,
                "dependencies": [own, *references.values()],
            }
        ],
    }
    content = json.dumps(document, sort_keys=True, ensure_ascii=True).encode()
    serial = uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(content).hexdigest())
    document["serialNumber"] = f"urn:uuid:{serial}"
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _own_reference(pinned: Pinned) -> str:
    name = quote(pinned.name or "package", safe="")
    return f"pkg:generic/heimnetz/{name}" + (
        f"@{quote(pinned.version, safe='')}" if pinned.version else ""
    )


def _own_component(pinned: Pinned, reference: str) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "application",
        "bom-ref": reference,
        "name": pinned.name or "package",
    }
    if pinned.version:
        component["version"] = pinned.version
    if pinned.licence:
        component["licenses"] = [{"expression": pinned.licence}]
    component["purl"] = reference
    return component


def _reference(dependency: Dependency) -> str:
    return f"pkg:pypi/{dependency.name}@{quote(dependency.version, safe='')}"


def _component(dependency: Dependency, reference: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": reference,
        "name": dependency.name,
        "version": dependency.version,
        # Of every file of the version that the lock admits.
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in dependency.hashes],
        "purl": reference,
    }


def _edges(pinned: Pinned, references: dict[Dependency, str]) -> tuple[dict[str, set[str]], bool]:
    """Who needs whom, and whether the lock tells it of every dependency.

    What nobody is named for is needed by the package itself, since its lock asks for it.
    """
    own = _own_reference(pinned)
    by_name: dict[str, list[str]] = defaultdict(list)
    for each, reference in references.items():
        by_name[each.name].append(reference)
    edges: dict[str, set[str]] = defaultdict(set)
    is_told, count = True, 0
    for each, reference in references.items():
        askers = [
            found for asker in each.needed_by for found in (by_name[asker] if asker else [own])
        ]
        count += len(askers)
        if not askers or count > EDGES_LIMIT:
            is_told, askers = False, [own]
        for asker in askers:
            edges[asker].add(reference)
    return edges, is_told
