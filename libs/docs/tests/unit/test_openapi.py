import dataclasses
import json

import pytest
from openapi_spec_validator import validate

from heimnetz_docs import Subject, generate
from heimnetz_docs.shapes import mistake, shape
from heimnetz_manifest import Manifest

SCHEMA = {
    "type": "object",
    "required": ["room"],
    "properties": {"room": {"type": "string"}, "limit": {"type": "integer", "default": 3}},
}


@pytest.fixture
def document_of(make_package, known):
    def document_of(**changes):
        package = make_package()
        whole = package.manifest.model_dump(mode="json", by_alias=True) | changes
        if changes.get("kind") == "service":
            whole["triggers"] = {}
        package = dataclasses.replace(package, manifest=Manifest.model_validate(whole))
        files = generate(Subject(package, known))
        return json.loads(files["openapi.json"]), files["api.html"].decode()

    return document_of


def _endpoint(method="GET", path="/lamps/{room}", **more):
    return {"method": method, "path": path, "summary": "Lamps of a room", **more}


def test_a_service_is_found_on_the_plugins_port_and_needs_no_token(document_of):
    document, _ = document_of(kind="service", endpoints=[_endpoint(output=SCHEMA)])

    validate(document)
    assert document["servers"][0]["url"] == "https://{home}:{port}/lamp-report"
    assert document["servers"][0]["variables"]["port"]["default"] == "8444"
    assert document["security"] == []
    assert list(document["paths"]) == ["/lamps/{room}"]


def test_a_service_has_the_schemas_of_its_manifest(document_of):
    endpoints = [_endpoint("POST", "/lamps", input=SCHEMA, output={"type": "array"})]
    document, _ = document_of(kind="service", endpoints=endpoints)

    operation = document["paths"]["/lamps"]["post"]

    assert operation["requestBody"]["content"]["application/json"]["schema"] == SCHEMA
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {
        "type": "array"
    }


def test_input_of_a_route_without_a_body_is_its_query(document_of):
    document, _ = document_of(kind="service", endpoints=[_endpoint(path="/lamps", input=SCHEMA)])

    validate(document)
    asked = document["paths"]["/lamps"]["get"]["parameters"]

    assert [(item["name"], item["in"], item["required"]) for item in asked] == [
        ("room", "query", True),
        ("limit", "query", False),
    ]


def test_a_job_says_what_goes_in_and_what_comes_out(document_of):
    document, _ = document_of()

    validate(document)
    schemas = document["components"]["schemas"]
    given = schemas["Input"]["properties"]["input"]

    assert given["properties"] == {"day": {"type": "string"}}
    assert schemas["Result"]["properties"] == {"lamps": {"type": "integer"}}
    assert schemas["Configuration"]["properties"]["room"]["maxLength"] == 30
    assert document["servers"] == [{"url": "/", "description": "The platform's gateway"}]


def test_a_job_has_no_routes_of_its_own(document_of):
    document, _ = document_of(endpoints=[_endpoint()])

    assert "/lamps/{room}" not in document["paths"]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/components/schemas/Problem"},
        {"$dynamicRef": "#x"},
        {"type": 5},
        {"type": "objekt"},
        {"properties": []},
        {"properties": {"x": {"required": "yes"}}},
        {"type": "integer", "default": "three"},
        {"properties": {"x": {"type": "integer", "default": "three"}}},
        {"pattern": "("},
        {"discriminator": 1},
        {"examples": "x"},
        {"required": [1]},
        {"description": 5},
        {"enum": []},
        {"type": "object", "properties": {"default": {"type": "integer"}}},
    ],
)
def test_no_schema_of_an_author_makes_the_document_invalid(document_of, schema):
    endpoints = [
        _endpoint("POST", "/a", input=schema, output=schema),
        _endpoint("GET", "/b", input={"type": "object", "properties": {"x": schema}}),
    ]

    document, page = document_of(kind="service", endpoints=endpoints)

    validate(document)
    assert "example.org" not in json.dumps(document)
    assert "/etc/passwd" not in page


@pytest.mark.parametrize(
    "path", ["/{", "/}", "/{a{b}}", "/{a-b}/x", "/{}", "/{a}/{a}", "/%7B", "/..", "//", "/a/"]
)
def test_no_path_of_an_author_makes_the_document_invalid(document_of, path):
    if "%" in path:
        path = path.replace("%7B", "{")

    document, _ = document_of(kind="service", endpoints=[_endpoint(path=path)])

    validate(document)


def test_routes_that_look_alike_have_different_names(document_of):
    endpoints = [_endpoint(path="/a-b"), _endpoint(path="/a_b"), _endpoint(path="/a/b")]

    document, page = document_of(kind="service", endpoints=endpoints)

    validate(document)
    names = [item["get"]["operationId"] for item in document["paths"].values()]
    assert len(set(names)) == 3
    assert all(f'<section id="{name}"' in page for name in names)


def test_the_page_shows_routes_parameters_and_schemas(document_of):
    _, page = document_of(
        kind="service", endpoints=[_endpoint(path="/lamps/{room}", output=SCHEMA)]
    )

    assert "GET /lamps/{room}" in page
    assert "https://localhost:8444/lamp-report" in page
    assert "limit" in page
    assert 'href="openapi.json"' in page


def test_the_page_of_a_job_shows_how_to_call_it(document_of):
    _, page = document_of()

    assert "POST /api/sandbox/v1/plugins/lamp-report/runs" in page
    assert "Idempotency-Key" in page
    assert 'href="#schema-run"' in page
    assert 'id="schema-run"' in page


def test_values_that_differ_share_a_shape():
    assert shape([{"a": 1}, {"a": 2.5, "b": [None, "x"]}]) == {
        "type": "object",
        "properties": {
            "a": {"type": "number"},
            "b": {"type": "array", "items": {"type": ["null", "string"]}},
        },
    }


def test_defaults_inside_defaults_end_the_look_at_a_schema():
    schema = {"properties": {f"p{n}": {"default": 1} for n in range(2000)}}
    for _ in range(30):
        schema = {"default": {}, "properties": {"inner": schema}}

    assert mistake(schema) == "it nests too many defaults"


def test_many_defaults_side_by_side_are_passed_on():
    assert mistake({"properties": {f"p{n}": {"default": n} for n in range(2000)}}) is None
