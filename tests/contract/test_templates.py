"""What `heimnetz new` makes, as the pages of the platform show it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from heimnetz_cli.scaffolding import Language, Template, scaffold
from heimnetz_docs import Known, Subject, describe, generate
from heimnetz_manifest import pack, read_package


@pytest.mark.parametrize("template", list(Template))
@pytest.mark.parametrize("language", list(Language))
def test_pages_of_every_template_have_no_warning_and_a_valid_interface(
    template: Template, language: Language, tmp_path: Path
) -> None:
    scaffold("mine", template, language, tmp_path, "Ada")
    package = read_package(pack(tmp_path / "mine"))
    subject = Subject(package, Known("approved", published_at=datetime(2026, 1, 1, tzinfo=UTC)))

    page = describe(subject)
    document = json.loads(generate(subject)["openapi.json"])

    assert [one for section in page.sections for one in section.warnings] == []
    validate(document)
    wanted = {item.path for item in package.manifest.endpoints}
    assert wanted <= {path.removeprefix("/mine") for path in document["paths"]}
