"""What each service may say and hear on NATS, as the server's configuration."""

from collections.abc import Mapping, Sequence

from heimnetz_init.model import STREAM, Party


def publish_subjects(party: Party) -> list[str]:
    """Own events, and the parts of JetStream's API that serve the party's own consumers."""
    if party.name == "migrate":
        api = "$JS.API.STREAM"
        return [
            "$JS.API.INFO",
            *(f"{api}.{verb}.{STREAM}" for verb in ("CREATE", "UPDATE", "INFO")),
        ]
    subjects = list(party.publishes)
    if party.publishes:
        # Numbers by subject, to compare with what was sent.
        subjects.append(f"$JS.API.STREAM.INFO.{STREAM}")
    for event in party.consumes:
        durable = durable_name(party.name, event)
        subjects += [
            f"$JS.API.CONSUMER.CREATE.{STREAM}.{durable}.heimnetz.{event}",
            f"$JS.API.CONSUMER.INFO.{STREAM}.{durable}",
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{durable}",
            f"$JS.ACK.{STREAM}.{durable}.>",
        ]
    return subjects


def durable_name(service: str, event: str) -> str:
    """The durable consumer of `service` for `event`, such as `auditor-version-submitted-v1`."""
    return f"{service}-{event.replace('.', '-')}"


def users_configuration(parties: Sequence[Party], passwords: Mapping[str, str]) -> str:
    """The `users` of the server's `authorization` block."""
    lines = ["# Written by init; it is written again at the next start.", "users = ["]
    for party in parties:
        lines += [
            "  {",
            f'    user: "{party.name}", password: "{passwords[party.name]}"',
            "    permissions: {",
            "      publish: {allow: [",
            *(f'        "{subject}"' for subject in publish_subjects(party)),
            "      ]}",
            f'      subscribe: {{allow: ["_INBOX_{party.name}.>"]}}',
            "    }",
            "  }",
        ]
    return "\n".join([*lines, "]", ""])
