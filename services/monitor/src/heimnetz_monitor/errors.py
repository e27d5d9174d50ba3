"""What can go wrong in the monitor alone."""

from heimnetz_common.errors import Conflict, InvalidInput, NotFound, Unauthenticated


class NotAlertmanager(Unauthenticated):
    kind = "not-alertmanager"
    title = "The caller does not have the webhook's token"


class UnsupportedWebhook(InvalidInput):
    kind = "unsupported-webhook"
    title = "Not a webhook message of version 4"


class RemediationNotOpen(NotFound):
    kind = "remediation-not-open"
    title = "Nothing with this number waits for a decision"

    def __init__(self, number: int) -> None:
        super().__init__(f"no proposal {number} waits for a decision")


class RemediationUnderWay(Conflict):
    kind = "remediation-under-way"
    title = "Another remedy is being applied"

    def __init__(self) -> None:
        super().__init__("one remedy at a time: ask again when the other one is through")
