"""What is generated from the model: schema, template, the kinds of refusal and their page."""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from archives import MANIFEST

from heimnetz_manifest import kinds, manifest_schema, manifest_template, parse_manifest, refusals
from heimnetz_manifest.template import all_keys, explained_keys

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "manifest.md"


def test_the_committed_schema_is_the_generated_one() -> None:
    committed = json.loads((ROOT / "contracts" / "manifest.schema.json").read_text())

    assert committed == manifest_schema(), "write it again: python -m heimnetz_manifest schema"


def test_the_schema_accepts_a_good_manifest_and_refuses_a_wrong_key() -> None:
    validator = jsonschema_rs.Draft202012Validator(manifest_schema())
    document = yaml.safe_load(MANIFEST)

    assert validator.is_valid(document)
    assert not validator.is_valid({**document, "permisions": {}})
    assert not validator.is_valid({**document, "version": "v1"})


def test_the_template_is_valid_as_it_stands() -> None:
    assert parse_manifest(manifest_template().encode()).name == "my-plugin"


def test_the_template_is_valid_with_every_comment_taken_in() -> None:
    whole = re.sub(r"^#: ?", "", manifest_template(), flags=re.MULTILINE)

    manifest = parse_manifest(whole.encode())

    assert manifest == parse_manifest(all_keys().encode())
    assert manifest.model_fields_set == set(type(manifest).model_fields)


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_kind_of_refusal_is_on_the_page(kind: str) -> None:
    assert f"`{kind}`" in PAGE.read_text()


@pytest.mark.parametrize("key", sorted({key for key, _ in explained_keys()}))
def test_every_key_is_on_the_page(key: str) -> None:
    assert f"`{key}`" in PAGE.read_text()


def test_all_refusals_of_the_unpacker_have_a_kind_of_their_own() -> None:
    classes = [item for item in vars(refusals).values() if isinstance(item, type)]

    assert len({item.kind for item in classes}) == len(classes)
