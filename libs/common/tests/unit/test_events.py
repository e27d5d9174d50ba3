import json
from typing import ClassVar

import pytest

from heimnetz_common import events


class Lit(events.EventData):
    name: ClassVar[str] = "lamp.lit.v1"

    lamp: str
    watts: int = 0


class LitAsReadByAnother(events.EventData):
    name: ClassVar[str] = "lamp.lit.v1"

    lamp: str


def encoded() -> bytes:
    _, document = events.encode(
        Lit(lamp="hall", watts=7), service="lights", subject="hall", traceparent=None
    )
    return document


def test_an_event_is_a_cloudevent_whose_type_is_its_subject_on_the_wire() -> None:
    document = json.loads(encoded())

    assert document["specversion"] == "1.0"
    assert document["type"] == "heimnetz.lamp.lit.v1"
    assert document["source"] == "/heimnetz/lights"


def test_a_consumer_reads_the_fields_that_it_declares_and_ignores_the_rest() -> None:
    event = events.decode(encoded(), LitAsReadByAnother)

    assert event.data == LitAsReadByAnother(lamp="hall")


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"type": "heimnetz.lamp.dark.v1"},
        {"data": {"watts": 7}},
        {"data": []},
        {"time": "yesterday"},
        {"id": None},
    ],
)
def test_a_document_that_is_no_such_event_is_refused(change: dict[str, object]) -> None:
    document = json.dumps(json.loads(encoded()) | change).encode()

    with pytest.raises(events.InvalidEvent):
        events.decode(document, Lit)


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"null", b"\xff", b'{"a":1,"a":1}'])
def test_bytes_that_are_no_document_are_refused(document: bytes) -> None:
    with pytest.raises(events.InvalidEvent):
        events.decode(document, Lit)
