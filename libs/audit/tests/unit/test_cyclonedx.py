"""The list of what a package is made of, held against the schema of CycloneDX 1.6."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from heimnetz_audit import SourceTree, audit
from heimnetz_audit.reporters import cyclonedx

SCHEMA = Path(__file__).parents[1] / "schemas" / "cyclonedx-1.6.schema.json"
ONE, OTHER = "1" * 64, "2" * 64
MANIFEST = "name: adder\nversion: 1.2.0\nlicence: MIT\ndependencies:\n  lock: requirements.lock\n"
LOCK = (
    f"pygal==3.1.3 --hash=sha256:{ONE} --hash=sha256:{OTHER}\n    # via -r requirements.in\n"
    f"zipp==4.1.2 --hash=sha256:{OTHER}\n    # via pygal\n"
)
OWN, PYGAL, ZIPP = (
    "pkg:generic/heimnetz/adder@1.2.0",
    "pkg:pypi/pygal@3.1.3",
    "pkg:pypi/zipp@4.1.2",
)


@cache
def validator() -> Draft7Validator:
    return Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))


def render(**files: str) -> str:
    named = {"plugin.yaml": MANIFEST, "requirements.lock": LOCK} | {
        {"manifest": "plugin.yaml", "lock": "requirements.lock"}[key]: text
        for key, text in files.items()
    }
    tree = SourceTree.from_files({name: text.encode() for name, text in named.items()})
    return cyclonedx.render(audit(tree))


def document(**files: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(render(**files))
    validator().validate(made)
    return made


def test_every_pinned_dependency_is_a_component_with_its_hashes() -> None:
    components = document()["components"]

    assert [each["purl"] for each in components] == [PYGAL, ZIPP]
    assert [each["content"] for each in components[0]["hashes"]] == [ONE, OTHER]


def test_the_package_itself_stands_in_the_metadata() -> None:
    component = document()["metadata"]["component"]

    assert (component["name"], component["version"]) == ("adder", "1.2.0")
    assert component["licenses"] == [{"expression": "MIT"}]


def test_who_needs_whom_is_as_the_lock_tells() -> None:
    edges = {each["ref"]: each["dependsOn"] for each in document()["dependencies"]}

    assert edges == {OWN: [PYGAL], PYGAL: [ZIPP], ZIPP: []}


def test_the_same_package_gives_the_same_bytes_and_another_one_another_serial_number() -> None:
    assert render() == render()
    assert document()["serialNumber"] != document(lock="")["serialNumber"]


@pytest.mark.parametrize(
    ("files", "aggregate"),
    [
        ({}, "complete"),
        ({"manifest": "name: adder\nversion: 1.2.0\n"}, "complete"),
        ({"lock": LOCK + "requests\n"}, "incomplete"),
        ({"lock": f"pygal==3.1.3 --hash=sha256:{ONE}\n"}, "incomplete"),
        ({"manifest": "name: ["}, "unknown"),
    ],
)
def test_the_list_says_whether_it_is_complete(files: dict[str, str], aggregate: str) -> None:
    assert document(**files)["compositions"][0]["aggregate"] == aggregate


def test_a_manifest_cannot_break_out_of_the_document() -> None:
    hostile = 'name: "a\\"]}\\u202e/../<b>"\nversion: "1 2@3?x#y"\nlicence: "x\\ny"\n'

    assert document(manifest=hostile)["metadata"]["component"]["purl"].count("@") == 1


def test_a_lock_in_which_everything_needs_everything_stays_small() -> None:
    many = "".join(f"a=={n} --hash=sha256:{ONE}\n# via a\n" for n in range(2000))

    text = render(lock=many)

    assert len(text) < 20 * len(many)
    assert json.loads(text)["compositions"][0]["aggregate"] == "incomplete"
