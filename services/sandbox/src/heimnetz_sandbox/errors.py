"""What the sandbox refuses."""

from heimnetz_common.errors import Conflict, HeimnetzError, InvalidInput, NotFound, TooMany


class PluginNotInstalled(NotFound):
    kind = "plugin-not-installed"
    title = "The plugin is not installed"

    def __init__(self, plugin: str) -> None:
        super().__init__(f"{plugin[:63]} is not installed")


class RunNotFound(NotFound):
    kind = "run-not-found"
    title = "There is no such run"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id[:64]}")


class FileNotFound(NotFound):
    kind = "file-not-found"
    title = "The run left no such file"

    def __init__(self, run_id: str, name: str) -> None:
        super().__init__(f"run {run_id} left no file {name[:100]!r}")


class VersionUnknown(NotFound):
    kind = "version-unknown"
    title = "The registry does not know this version"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(f"{plugin} {version}")


class QueueFull(TooMany):
    kind = "queue-full"
    title = "Too many runs wait already"


class KeyReused(InvalidInput):
    kind = "idempotency-key-reused"
    title = "The idempotency key belongs to another request"

    def __init__(self) -> None:
        super().__init__("this key was used for a request with other content")


class RunFinished(Conflict):
    kind = "run-finished"
    title = "The run has ended already"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has ended and cannot be cancelled")


class NotCallable(Conflict):
    kind = "plugin-not-callable"
    title = "The plugin may not be called so"


class CachesNotDropped(Conflict):
    kind = "caches-not-dropped"
    title = "The plugin has not dropped its caches"

    def __init__(self, plugin: str) -> None:
        super().__init__(f"{plugin} has nothing to drop, or has not done it")


class ServiceNotRunning(Conflict):
    kind = "service-not-running"
    title = "The service does not run"

    def __init__(self, plugin: str) -> None:
        super().__init__(f"{plugin} has no run that could be ended")


class InvalidFile(InvalidInput):
    kind = "invalid-file"
    title = "A file cannot be given to a run"


class InvalidDraft(InvalidInput):
    kind = "invalid-draft"
    title = "The working copy cannot be run"


class CannotPrepare(HeimnetzError):
    """The installation can never run as it is; trying again changes nothing."""

    kind = "cannot-prepare"
    title = "The plugin cannot be prepared"


class EngineDown(HeimnetzError):
    kind = "engine-down"
    title = "The container engine does not work"


class EngineAway(EngineDown):
    """It cannot be reached at all; what was asked for may be asked for again."""


class ImageMissing(EngineDown):
    kind = "image-missing"
    title = "The runtime image is not there"
