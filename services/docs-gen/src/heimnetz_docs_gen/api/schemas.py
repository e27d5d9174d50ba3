"""What goes over HTTP."""

from dataclasses import asdict
from datetime import datetime
from typing import Self

from pydantic import BaseModel

from heimnetz_docs_gen.model import Document


class DocumentView(BaseModel):
    """The pages of a version. `is_due` says that they are being made anew."""

    plugin: str
    version: str
    title: str
    state: str
    grade: str | None
    formats: list[str]
    warnings: list[str]
    generated_at: datetime | None
    is_due: bool
    error: str | None
    url: str

    @classmethod
    def of(cls, document: Document) -> Self:
        url = f"/docs/{document.plugin}/{document.version}/"
        return cls.model_validate({**asdict(document), "url": url})


class DocumentList(BaseModel):
    items: list[DocumentView]
    next_cursor: str | None


class Asked(BaseModel):
    """The pages will be made; `url` is where they appear."""

    plugin: str
    version: str
    url: str
