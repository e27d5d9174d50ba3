"""Events: CloudEvents 1.0 in JSON. An event is a fact that its producer will not take back."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import uuid4

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from heimnetz_common import strictjson
from heimnetz_common.errors import InvalidInput

CONTENT_TYPE = "application/cloudevents+json"
MAX_EVENT_BYTES = 256 * 1024  # NATS' max_payload in deploy/nats


class InvalidEvent(InvalidInput):
    kind = "invalid-event"
    title = "Not an event that this service understands"


class EventData(BaseModel):
    """The payload of one event type. A consumer declares the fields that it reads, no more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: ClassVar[str]

    @classmethod
    def type(cls) -> str:
        """The CloudEvents type, which is the NATS subject too."""
        return f"heimnetz.{cls.name}"


D = TypeVar("D", bound=EventData)


class Event(BaseModel, Generic[D]):
    """The envelope. `source` and `id` together identify the event for ever."""

    model_config = ConfigDict(frozen=True)

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    traceparent: str | None
    data: D


def encode(
    data: EventData,
    *,
    service: str,
    subject: str,
    traceparent: str | None,
    at: datetime | None = None,
) -> tuple[str, bytes]:
    """The event's id and its document."""
    event_id = str(uuid4())
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/heimnetz/{service}",
        "type": data.type(),
        "subject": subject,
        "time": (at or datetime.now(UTC)).isoformat(),
        "datacontenttype": "application/json",
        "data": data.model_dump(mode="json"),
    }
    if traceparent is not None:
        document["traceparent"] = traceparent
    return event_id, orjson.dumps(document)


class _Envelope(BaseModel):
    """What must be there whatever the type; foreign producers may add extensions."""

    model_config = ConfigDict(extra="ignore", strict=True)

    specversion: str
    id: str
    source: str
    type: str
    subject: str = ""
    time: str
    traceparent: str | None = None
    data: dict[str, Any]


def decode(document: bytes, data_type: type[D]) -> Event[D]:
    """Read an event of one type.

    Raises: InvalidEvent.
    """
    try:
        envelope = _Envelope.model_validate(strictjson.loads(document))
        if envelope.specversion != "1.0" or envelope.type != data_type.type():
            raise InvalidEvent(f"not a CloudEvent 1.0 of type {data_type.type()}")
        return Event[D](
            id=envelope.id,
            source=envelope.source,
            type=envelope.type,
            subject=envelope.subject,
            time=datetime.fromisoformat(envelope.time),
            traceparent=envelope.traceparent,
            data=data_type.model_validate(envelope.data),
        )
    except InvalidEvent:
        raise
    except (ValidationError, InvalidInput, ValueError) as error:
        raise InvalidEvent(f"not a {data_type.type()}: {str(error)[:500]}") from error
