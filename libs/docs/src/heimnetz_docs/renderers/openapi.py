"""The plugin's interface for programs as OpenAPI 3.1: its invocation, and routes of its own."""

from typing import Any

from heimnetz_docs import shapes
from heimnetz_docs.model import Subject
from heimnetz_docs.renderers import endpoints

_PROBLEMS = {
    "401": "No token, or one that is not valid",
    "403": "The token's role may not start runs",
    "404": "The plugin is not installed",
    "409": "The same idempotency key is being handled now",
    "413": "Input or files over the cap",
    "415": "Neither JSON nor multipart",
    "422": "Input is invalid; `errors` points to each mistake",
    "429": "Too many requests",
    "503": "Cannot start a run now",
}
_OUTCOMES = [
    "ok",
    "error",
    "timeout",
    "cpu_limit",
    "out_of_memory",
    "pids_limit",
    "disk_limit",
    "output_limit",
    "cancelled",
    "refused",
    "interrupted",
    "image_unavailable",
    "engine_error",
    "killed",
]
_GATEWAY = {"url": "/", "description": "The platform's gateway"}


def document(subject: Subject) -> dict[str, Any]:
    """A service has routes of its own on the plugins' port; a job is started at the gateway."""
    manifest = subject.manifest
    is_service = manifest.kind == "service"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.title,
            "version": str(manifest.version),
            "summary": manifest.summary,
            "license": {"name": manifest.licence, "identifier": manifest.licence},
        },
        "servers": [_plugins_port(str(manifest.name)) if is_service else _GATEWAY],
        "security": [] if is_service else [{"token": []}],
        "paths": endpoints.paths(manifest.endpoints, _problem) if is_service else _runs(subject),
        "components": _service_components() if is_service else _run_components(subject),
    }


def _plugins_port(name: str) -> dict[str, Any]:
    return {
        "url": f"https://{{home}}:{{port}}/{name}",
        "description": "The plugins' port. Whoever reaches it may ask; no token is passed on.",
        "variables": {
            "home": {"default": "localhost", "description": "Name or address of the home server"},
            "port": {"default": "8444", "description": "HEIMNETZ_PLUGIN_PORT"},
        },
    }


def _service_components() -> dict[str, Any]:
    return {"schemas": {"Problem": _problem_schema()}}


def _runs(subject: Subject) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    if subject.manifest.triggers.http:
        paths[f"/api/sandbox/v1/plugins/{subject.manifest.name}/runs"] = {"post": _start(subject)}
        paths["/api/sandbox/v1/runs/{id}"] = {"get": _get_run()}
    return paths


def _run_components(subject: Subject) -> dict[str, Any]:
    outputs = [item.output for item in subject.manifest.examples if item.output is not None]
    return {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Configuration": {
                "description": "What the owner sets for all runs; no part of a call",
                **subject.manifest.configuration,
            },
            "Input": _input_schema(subject),
            "Problem": _problem_schema(),
            "Result": {
                "description": "What a run that ended ok answers"
                + (", as far as the examples show" if outputs else ""),
                **(shapes.shape(outputs) | {"examples": outputs} if outputs else {}),
            },
            "Run": _run_schema(),
        },
    }


def _start(subject: Subject) -> dict[str, Any]:
    name = subject.manifest.name
    examples = {
        item.name: {"value": {"input": item.input}}
        | ({"summary": item.summary} if item.summary else {})
        for item in subject.manifest.examples
    }
    body: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Input"}}
    if examples:
        body["examples"] = examples
    return {
        "operationId": "startRun",
        "summary": f"Run {name}",
        "parameters": [
            _header(
                "Prefer",
                "`wait=N` waits up to N seconds for the result",
                {"type": "string", "examples": ["wait=30"]},
            ),
            _header(
                "Idempotency-Key",
                "The same key starts one run only",
                {"type": "string", "pattern": "^[!-~]{1,128}$"},
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": body, "multipart/form-data": {"schema": _multipart()}},
        },
        "responses": {
            "200": {"description": "The run ended", "content": _run_content()},
            "202": {
                "description": "The run was accepted",
                "headers": {
                    "Location": {"description": "Where to ask for it", "schema": {"type": "string"}}
                },
                "content": _run_content(),
            },
            **{status: _problem(text) for status, text in _PROBLEMS.items()},
        },
    }


def _get_run() -> dict[str, Any]:
    return {
        "operationId": "getRun",
        "summary": "What became of a run",
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        ],
        "responses": {
            "200": {"description": "The run", "content": _run_content()},
            **{status: _problem(_PROBLEMS[status]) for status in ("401", "403")},
            "404": _problem("There is no such run"),
        },
    }


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": schema,
    }


def _run_content() -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": "#/components/schemas/Run"}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _input_schema(subject: Subject) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "object", "description": "What the plugin is called with"}
    samples = [item.input for item in subject.manifest.examples if item.input]
    if samples:
        inner |= shapes.shape(samples) | {"examples": samples}
    return {"type": "object", "properties": {"input": inner}, "additionalProperties": False}


def _multipart() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "input": {"type": "object"},
            "file": {
                "type": "array",
                "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            },
        },
    }


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    mistake = {"type": "object", "properties": {"detail": text, "pointer": text}}
    return {
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "instance": text,
            "errors": {"type": "array", "items": mistake},
        },
    }


def _run_schema() -> dict[str, Any]:
    text, moment = {"type": "string"}, {"type": ["string", "null"], "format": "date-time"}
    number = {"type": ["number", "null"]}
    file = {
        "type": "object",
        "properties": {"name": text, "size_bytes": {"type": "integer"}, "sha256": text},
    }
    return {
        "type": "object",
        "required": ["id", "plugin", "version", "trigger", "state"],
        "properties": {
            "id": text,
            "plugin": text,
            "version": text,
            "trigger": text,
            "state": {"enum": ["queued", "running", "finished"]},
            "outcome": {"enum": [*_OUTCOMES, None]},
            "reason": {"type": ["string", "null"]},
            "result": {"anyOf": [{"$ref": "#/components/schemas/Result"}, {"type": "null"}]},
            "files": {"type": "array", "items": file},
            "queued_at": moment,
            "started_at": moment,
            "finished_at": moment,
            "duration_seconds": number,
            "peak_memory_bytes": {"type": ["integer", "null"]},
            "cpu_seconds": number,
            "exit_code": {"type": ["integer", "null"]},
            "trace_id": {"type": ["string", "null"]},
            "log_truncated": {"type": "boolean"},
        },
    }
