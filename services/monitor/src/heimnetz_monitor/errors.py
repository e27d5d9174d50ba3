"""What can go wrong in the monitor alone."""

from heimnetz_common.errors import InvalidInput, Unauthenticated


class NotAlertmanager(Unauthenticated):
    kind = "not-alertmanager"
    title = "The caller does not have the webhook's token"


class UnsupportedWebhook(InvalidInput):
    kind = "unsupported-webhook"
    title = "Not a webhook message of version 4"
