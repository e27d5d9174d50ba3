"""The container engine, through its proxy: the blocking client in threads of its own."""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from heimnetz_sandbox.containers import OWNER, OWNER_LABEL, STACK_LABEL, why_unfit
from heimnetz_sandbox.errors import EngineAway, EngineDown, ImageMissing

TIMEOUT_SECONDS = 30
_IMAGE_MEMORY_SECONDS = 60

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container's first process ended; `is_running` where it has not."""

    is_running: bool
    exit_code: int
    is_oom_killed: bool


@dataclass(frozen=True, slots=True)
class Found:
    id: str
    labels: dict[str, str]


class Engine:
    def __init__(self, socket: Path, threads: int = 8) -> None:
        self._url = f"unix://{socket}"
        self._client: docker.APIClient | None = None
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self._variables: dict[str, tuple[float, tuple[str, ...]]] = {}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def create(self, name: str, config: dict[str, Any]) -> str:
        """The container's id.

        Raises: ImageMissing, EngineDown, also when the engine discards a cap with a warning.
        """

        def work(client: docker.APIClient) -> Any:
            return client.create_container_from_config(config, name)  # type: ignore[no-untyped-call]

        answer = await self._do(work, image=str(config["Image"]))
        container = str(answer["Id"])
        if answer.get("Warnings"):
            await self.remove(container)
            raise EngineDown(f"the engine discards a cap: {'; '.join(answer['Warnings'])[:300]}")
        return container

    async def start(self, container: str) -> None:
        await self._do(lambda client: client.start(container))

    async def wait(self, container: str, seconds: float) -> None:
        """Until the container has stopped. Raises: EngineDown when it does not in time."""
        await self._do(lambda client: client.wait(container, timeout=math.ceil(seconds)))

    async def inspect(self, container: str) -> Ending:
        state = (await self._do(lambda client: client.inspect_container(container)))["State"]
        return Ending(bool(state["Running"]), int(state["ExitCode"]), bool(state["OOMKilled"]))

    async def remove(self, container: str) -> None:
        """Kill and remove; a container that is gone already is fine."""

        def work(client: docker.APIClient) -> None:
            try:
                client.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                # Somebody else is removing it at this moment.
                if error.status_code != 409:
                    raise

        await self._do(work)

    async def list_own(self, stack: str) -> list[Found]:
        labels = [f"{OWNER_LABEL}={OWNER}", f"{STACK_LABEL}={stack}"]

        def work(client: docker.APIClient) -> Any:
            return client.containers(all=True, filters={"label": labels})

        return [Found(one["Id"], one["Labels"]) for one in await self._do(work)]

    async def list_variables(self, image: str) -> tuple[str, ...]:
        """Names of the variables that the image sets, but PATH. Raises: ImageMissing."""
        read_at, names = self._variables.get(image, (float("-inf"), ()))
        if time.monotonic() - read_at < _IMAGE_MEMORY_SECONDS:
            return names

        def work(client: docker.APIClient) -> Any:
            return client.inspect_image(image)  # type: ignore[no-untyped-call]

        document = await self._do(work, image=image)
        variables = (document.get("Config") or {}).get("Env") or []
        names = tuple(sorted({entry.partition("=")[0] for entry in variables} - {"PATH"}))
        self._variables[image] = (time.monotonic(), names)
        return names

    async def ping(self) -> None:
        await self._do(lambda client: client.ping())

    async def offers(self, runtime: str) -> bool:
        """Whether it knows this OCI runtime, and has cgroups version 2. Raises: EngineDown."""
        info = await self._do(lambda client: client.info())
        return info["CgroupVersion"] == "2" and runtime in (info["Runtimes"] or {})

    async def check_runtime(self, name: str) -> None:
        """Whether plugins can be isolated by this OCI runtime. Raises: EngineDown."""
        info = await self._do(lambda client: client.info())
        if (chosen := info["Chosen"]) != name:
            raise EngineDown(f"plugins are to run in {name!r}, and the engine proxy has {chosen!r}")
        if why := why_unfit(name, info["Runtimes"] or {}):
            raise EngineDown(why)

    async def read_page(self, page: str) -> str:
        """A page of the proxy itself: /metrics, /refusals."""

        def work(client: docker.APIClient) -> str:
            response = client.get(f"{client.base_url}{page}", timeout=5)
            return str(response.text)

        return await self._do(work)

    async def _do(self, work: Callable[[docker.APIClient], T], image: str = "") -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._call, work, image
        )

    def _call(self, work: Callable[[docker.APIClient], T], image: str) -> T:
        try:
            if self._client is None:
                self._client = docker.APIClient(
                    self._url, version="auto", timeout=TIMEOUT_SECONDS, num_pools=1
                )
            return work(self._client)
        except ImageNotFound as error:
            self._variables.pop(image, None)
            raise ImageMissing(f"the image {image} is not there; `make up` builds it") from error
        except APIError as error:
            if image and error.status_code == 404:
                self._variables.pop(image, None)
                raise ImageMissing(f"the image {image} is not there") from error
            # The proxy's answer where it is there and the engine is not.
            if error.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
                raise EngineAway("the engine does not answer its proxy") from error
            raise EngineDown(f"the engine refused: {str(error.explanation)[:300]}") from error
        # The client takes an error's text from a key that need not be there.
        except (DockerException, RequestException, OSError, KeyError, TypeError) as error:
            self._client = None
            raise EngineAway(f"the engine does not answer ({type(error).__name__})") from error
