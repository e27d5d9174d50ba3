import textwrap
from collections.abc import Callable

import pytest

pytest_plugins = ["pytester"]

MANIFEST = """
manifest: 1
name: tiny
version: 1.0.0
title: Tiny
summary: For tests.
licence: Apache-2.0
authors: [{name: A}]
kind: job
runtime: python
entry_point: tiny:run
permissions:
  network:
    - {to: "api.example.org:443", reason: "Reads prices"}
    - {to: "192.168.1.10:8080", reason: "Asks the heat pump"}
  storage: {size: 1 KiB, reason: "Remembers"}
configuration:
  type: object
  properties:
    unit: {type: string, default: kWh}
    token: {type: string, secret: true}
examples:
  - {name: plain, input: {a: 1}, output: {a: 1}}
"""
PLUGIN = """
def run(input, context):
    return dict(input)
"""
Project = Callable[..., pytest.RunResult]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Runs these tests in a plugin's project, in a process of its own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(tests: str, code: str = PLUGIN, manifest: str = MANIFEST) -> pytest.RunResult:
        pytester.makefile(".yaml", plugin=manifest)
        source = pytester.path / "src"
        source.mkdir(exist_ok=True)
        (source / "tiny.py").write_text(textwrap.dedent(code))
        pytester.makepyfile(test_tiny=textwrap.dedent(tests))
        arguments = ("-p", "heimnetz_sdk.testing", "-W", "error")
        return pytester.runpytest_subprocess(*arguments, timeout=60)

    return run


def test_a_run_gets_what_the_platform_hands_over(project: Project) -> None:
    code = """
        import os

        def run(input, context):
            context.log("hello")
            (context.out / "copy.txt").write_bytes(context.files["a.txt"].read_bytes())
            return {
                "input": input, "config": context.config, "trace": len(context.trace_id),
                "environment": sorted(os.environ),
            }
    """
    tests = """
        def test_it(plugin):
            run = plugin.run({"n": 1}, config={"token": "t"}, files={"a.txt": "abc"})

            assert run.result["input"] == {"n": 1}
            assert run.result["config"] == {"unit": "kWh", "token": "t"}
            assert run.result["trace"] == 32
            assert "HTTPS_PROXY" in run.result["environment"]
            assert "PWD" not in run.result["environment"]
            assert run.log == ["hello"]
            assert run.files["copy.txt"].read_text() == "abc"
    """

    project(tests, code).assert_outcomes(passed=1)


def test_configuration_and_grants_are_checked_as_the_platform_does(project: Project) -> None:
    tests = """
        import pytest
        from heimnetz_manifest import InvalidConfiguration, NotAsked

        def test_configuration(plugin):
            with pytest.raises(InvalidConfiguration):
                plugin.run(config={"unit": 3})

        def test_grants(plugin):
            with pytest.raises(NotAsked):
                plugin.run(grants=["network:evil.example:443"])

        def test_a_result_that_is_no_json(plugin):
            with pytest.raises(ValueError):
                plugin.run({"a": float("nan")})
    """

    project(tests).assert_outcomes(passed=3)


def test_examples_of_the_manifest_run_with_their_expected_result(project: Project) -> None:
    tests = """
        import pytest

        def test_it(plugin):
            plugin.run_example("plain")

        def test_another(plugin):
            with pytest.raises(KeyError):
                plugin.run_example("unknown")
    """

    project(tests).assert_outcomes(passed=2)
    wrong = "def run(input, context):\n    return {'a': 2}\n"
    project(tests, wrong).assert_outcomes(passed=1, failed=1)


def test_a_plugin_of_another_runtime_is_not_called(project: Project) -> None:
    manifest = MANIFEST.replace("runtime: python", "runtime: node")
    tests = """
        def test_it(plugin):
            plugin.run({"a": 1})
        """

    found = project(tests, manifest=manifest)

    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*tests here call Python alone, not node: heimnetz test*"])


def test_storage_keeps_the_rules_of_the_platform(project: Project) -> None:
    code = """
        def run(input, context):
            kept = context.storage
            before = kept.get("k")
            kept.put(input.get("key", "k"), "x" * input.get("size", 1))
            return {"before": before and before.decode(), "keys": kept.keys()}
    """
    tests = """
        import errno
        import pytest

        def test_it_lasts_over_runs(plugin):
            assert plugin.run().result == {"before": None, "keys": ["k"]}
            run = plugin.run()

            assert run.result["before"] == "x"
            assert run.used == {"storage:1024"}

        def test_room(plugin):
            with pytest.raises(OSError) as failure:
                plugin.run({"size": 1024})
            assert failure.value.errno == errno.ENOSPC

        @pytest.mark.parametrize("key", ["", "a b", "a/../b", "\\u00e4", "k" * 201])
        def test_keys(plugin, key):
            with pytest.raises(ValueError):
                plugin.run({"key": key})

        def test_without_a_grant(plugin):
            with pytest.raises(PermissionError):
                plugin.run(grants=[])
    """

    project(tests, code).assert_outcomes(passed=8)


CLIENTS = {
    "urllib": """
        import urllib.request

        def fetch(url):
            with urllib.request.urlopen(url, data=b"q") as answer:
                return answer.status, answer.read().decode()
    """,
    "httpx": """
        import httpx

        def fetch(url):
            answer = httpx.post(url, content=b"q")
            return answer.status_code, answer.text
    """,
    "requests": """
        import requests

        def fetch(url):
            answer = requests.post(url, data=b"q")
            return answer.status_code, answer.text
    """,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_usual_clients_are_answered_by_the_test(project: Project, client: str) -> None:
    code = textwrap.dedent(CLIENTS[client]) + textwrap.dedent("""
        def run(input, context):
            return {"got": [fetch(url) for url in input["urls"]]}
    """)
    tests = """
        URLS = ["https://api.example.org/prices?day=1", "http://192.168.1.10:8080/state"]

        def test_it(plugin):
            plugin.network.answer("POST", URLS[0], json={"price": 1})
            plugin.network.answer("POST", URLS[1], body="warm", status=201)

            run = plugin.run({"urls": URLS})

            assert run.result["got"] == [[200, '{"price": 1}'], [201, "warm"]]
            assert [r.url for r in plugin.network.requests] == URLS
            assert [r.body for r in plugin.network.requests] == [b"q", b"q"]
            assert run.used == {"network:api.example.org:443", "network:192.168.1.10:8080"}
            assert run.refused == ()
    """

    project(tests, code).assert_outcomes(passed=1)


TRIES = """
    import socket
    import urllib.error
    import urllib.request

    def run(input, context):
        try:
            with urllib.request.urlopen(input["url"], timeout=5) as answer:
                return {"said": answer.read().decode()}
        except urllib.error.HTTPError as error:
            with error:
                return {"said": f"{error.code} {error.read().decode()}"}
        except OSError as error:
            return {"said": str(error)}
"""


def test_what_was_not_granted_is_refused_and_told(project: Project) -> None:
    tests = """
        import pytest

        @pytest.mark.parametrize("url, target", [
            ("http://evil.example/", "evil.example:80"),
            ("https://api.example.org:8443/", "api.example.org:8443"),
            ("http://192.168.1.11:8080/", "192.168.1.11:8080"),
        ])
        def test_it(plugin, url, target):
            run = plugin.run({"url": url})

            assert "403" in run.result["said"]
            assert run.refused == (f"network:{target}",)
            with pytest.raises(AssertionError, match="tried without a grant"):
                run.assert_permissions_fit()

        def test_fewer_grants(plugin):
            run = plugin.run({"url": "http://192.168.1.10:8080/"}, grants=["storage:1024"])
            assert run.refused == ("network:192.168.1.10:8080",)

        def test_granted_and_not_used(plugin):
            run = plugin.run({"url": "http://x.example/"}, grants=["storage:1024"])
            with pytest.raises(AssertionError, match="granted and not used: storage:1024"):
                run.assert_permissions_fit()
    """

    project(tests, TRIES).assert_outcomes(passed=5)


SENDS = """
def run(input, context):
    token = context.config["token"]
    answer = context.fetch(input["url"] + "?k=" + token, headers={"Authorization": "t " + token})
    return {"token": token, "status": answer.status, "said": answer.json()}
"""
HELD = """
permissions:
  network:
    - {to: "api.example.org:443", reason: "Reads prices"}
    - {to: "other.example.org:443", reason: "Reads more"}
  secrets:
    - {name: token, to: "api.example.org:443", reason: "Asked for"}
"""


def test_a_secret_that_the_broker_sends_reaches_its_host_alone(project: Project) -> None:
    tests = """
        def test_it(plugin):
            plugin.network.answer("GET", "https://api.example.org/?k=k%2Fey", json=[1])
            run = plugin.run({"url": "https://api.example.org/"}, config={"token": "k/ey"})

            assert run.result["said"] == [1]
            assert run.result["token"].startswith("heimnetz-secret-token-")
            assert plugin.network.requests[0].headers["authorization"] == "t k/ey"
            assert "secrets:token@api.example.org:443" in run.used
            run.assert_no_secret_shown()

        def test_another_host(plugin):
            url = "https://other.example.org/"
            plugin.network.respond = lambda request: plugin.network.answers(request)
            plugin.network.answers = lambda request: (
                seen.append(request), Answer(200, b"[]"))[1]
            seen = []
            plugin.run({"url": url}, config={"token": "k/ey"})

            assert "k/ey" not in seen[0].headers["authorization"]
            assert "heimnetz-secret-token-" in seen[0].url

        from heimnetz_sdk.testing.proxy import Answer
    """
    before = MANIFEST[: MANIFEST.index("permissions:")]
    after = MANIFEST[MANIFEST.index("configuration:") :]

    project(tests, SENDS, before + HELD.lstrip() + after).assert_outcomes(passed=2)


def test_a_host_that_does_not_answer_and_an_answer_that_is_missing(project: Project) -> None:
    tests = """
        import pytest

        def test_unreachable(plugin):
            plugin.network.fail("192.168.1.10:8080")
            assert "cannot be reached" in plugin.run({"url": "http://192.168.1.10:8080/"}).result["said"]

        def test_missing(plugin):
            with pytest.raises(AssertionError, match="no answer to GET https://api.example.org/x"):
                plugin.run({"url": "https://api.example.org/x"})
    """

    project(tests, TRIES).assert_outcomes(passed=2)


def test_a_plugin_reaches_nothing_but_the_proxy(project: Project) -> None:
    code = """
        import socket

        def run(input, context):
            said = []
            for call in (
                lambda: socket.create_connection(("api.example.org", 443)),
                lambda: socket.create_connection(("127.0.0.1", 22)),
                lambda: socket.getaddrinfo("example.org", 80),
            ):
                try:
                    call()
                except OSError as error:
                    said.append(type(error).__name__)
            return {"said": said}
    """
    tests = """
        def test_it(plugin):
            run = plugin.run()

            assert run.result["said"] == ["gaierror", "OSError", "gaierror"]
            assert len(run.refused) == 3
    """

    project(tests, code).assert_outcomes(passed=1)


def test_the_clock_stands_where_the_test_sets_it(project: Project) -> None:
    code = """
        import time
        from datetime import UTC, datetime

        def run(input, context):
            time.sleep(3600)
            return {"now": datetime.now(UTC).isoformat()}
    """
    tests = """
        import pytest

        def test_it(plugin):
            plugin.clock.set("2026-03-29T00:30:00")
            assert plugin.run().result == {"now": "2026-03-29T01:30:00+00:00"}
            plugin.clock.advance(60)
            assert plugin.run().result == {"now": "2026-03-29T02:31:00+00:00"}

        def test_it_has_to_be_set(clock):
            with pytest.raises(RuntimeError):
                clock.advance(1)
    """

    project(tests, code).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("leak", "place"),
    [
        ("context.log(context.config['token'])", "the log"),
        ("return {'t': context.config['token']}", "the result"),
        ("(context.out / 'f').write_text(context.config['token'])", "the file f"),
    ],
)
def test_a_secret_that_gets_out_is_found(project: Project, leak: str, place: str) -> None:
    code = f"def run(input, context):\n    {leak}\n    return {{}}\n"
    tests = f"""
        import pytest

        def test_it(plugin):
            run = plugin.run(config={{"token": "s3cret"}})
            with pytest.raises(AssertionError, match="/token is shown in {place}"):
                run.assert_no_secret_shown()
    """

    project(tests, code).assert_outcomes(passed=1)


OTHERS = MANIFEST.replace(
    "  storage:",
    "  publish: [{event: price.changed.v1, reason: r}]\n"
    "  call: [{plugin: log-digest, reason: r}]\n  storage:",
)


def test_events_and_calls_are_heard_and_answered_within_the_grants(
    project: Project,
) -> None:
    code = """
        def run(input, context):
            context.publish(input.get("event", "price.changed.v1"), {"price": 3})
            return context.call(input.get("plugin", "log-digest"), {"top": 3})
    """
    tests = """
        import pytest

        def test_it(plugin):
            plugin.others.answer("log-digest", ["a"])
            run = plugin.run()
            assert run.result == ["a"]
            assert run.events == [("price.changed.v1", {"price": 3})]
            assert {"publish:price.changed.v1", "call:log-digest"} <= run.used

        @pytest.mark.parametrize("given", [{"event": "other.v1"}, {"plugin": "other"}])
        def test_without_a_grant(plugin, given):
            with pytest.raises(PermissionError):
                plugin.run(given)

        def test_a_call_that_fails(plugin):
            plugin.others.answer("log-digest", ConnectionError("later"))
            with pytest.raises(ConnectionError, match="later"):
                plugin.run()

        def test_a_call_without_an_answer(plugin):
            with pytest.raises(AssertionError, match="others.answer"):
                plugin.run()
    """

    project(tests, code, OTHERS).assert_outcomes(passed=5)
