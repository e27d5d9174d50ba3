"""Runs that something other than a person starts: events, plugins that call, tries once more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox import reacting
from heimnetz_sandbox.testing import Stand, standing

pytestmark = pytest.mark.engine

ANNOUNCER = """
def run(input, context):
    context.publish(input["event"], {"price": 3})
    return "published"
"""
ECHO = "def run(input, context): return input"


def publishing(event: str) -> dict[str, Any]:
    return {"publish": [{"event": event, "reason": "Others react to it"}]}


@pytest.fixture(scope="module")
def stand(place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    with standing(place, postgres_url, key_ring) as stand:
        yield stand


def runs_of(stand: Stand, plugin: str) -> list[dict[str, Any]]:
    """Finished ones, the oldest first; none while one is not finished."""
    items = stand.call("GET", f"/v1/runs?plugin={plugin}").json()["items"]
    return [] if any(run["state"] != "finished" for run in items) else items[::-1]


def test_what_a_plugin_publishes_starts_who_listens_and_nobody_else(stand: Stand) -> None:
    stand.install("announcer", ANNOUNCER, permissions=publishing("energy.price.changed.v1"))
    stand.install("listener", ECHO, triggers={"events": ["energy.price.changed.v1"]})
    stand.install("deaf", ECHO, triggers={"events": ["energy.price.sunk.v1"]})

    assert stand.run("announcer", {"event": "energy.price.changed.v1"})["result"] == "published"

    (run,) = eventually_sync(lambda: runs_of(stand, "listener"), 30)
    assert (run["trigger"], run["outcome"]) == ("event", "ok")
    assert stand.get_run(run["id"])["result"] == {
        "event": "energy.price.changed.v1",
        "data": {"price": 3},
    }
    assert runs_of(stand, "deaf") == []
    (row,) = stand.fetch(
        """
        SELECT text
          FROM outbox,
               convert_from(document, 'UTF8') AS text
         WHERE event_type = 'heimnetz.plugin.announced.v1'
           AND text::jsonb ->> 'subject' = 'announcer'
        """
    )
    assert "energy.price.changed.v1" in row["text"]


@pytest.mark.attack(row=54, what="publishing an event that was not granted")
@pytest.mark.parametrize(
    "event", ["energy.price.sunk.v1", "heimnetz.version.approved.v1", "*", ">"]
)
def test_what_may_not_be_published_is_refused_to_the_plugin(stand: Stand, event: str) -> None:
    stand.install("liar", ANNOUNCER, permissions=publishing("tale.told.v1"))

    run = stand.run("liar", {"event": event})

    assert run["outcome"] == "error"
    assert "PermissionError" in run["reason"]
    assert "not granted" in run["reason"]


@pytest.mark.attack(row=54, what="events without end, and larger than they may be")
def test_a_run_publishes_a_bounded_number_of_bounded_events(stand: Stand) -> None:
    code = """
def run(input, context):
    try:
        context.publish("flood.came.v1", {"text": "x" * 70000})
    except ValueError as error:
        large = str(error)
    count = 0
    try:
        while True:
            context.publish("flood.came.v1", {})
            count += 1
    except ConnectionError as error:
        return {"large": large, "count": count, "why": str(error)}
"""
    stand.install("flood", code, permissions=publishing("flood.came.v1"))

    result = stand.run("flood")["result"]

    assert "65,536 bytes" in result["large"]
    assert 0 < result["count"] <= 100
    assert "at most 100" in result["why"]


@pytest.mark.attack(row=54, what="events that start each other for ever")
def test_plugins_that_start_each_other_end_after_a_few_rounds(stand: Stand) -> None:
    code = "def run(input, context): context.publish('loop.again.v1', {})"
    stand.install(
        "loop",
        code,
        permissions=publishing("loop.again.v1"),
        triggers={"events": ["loop.again.v1"]},
    )
    stand.run("loop")

    def are_over() -> bool:
        return len(runs_of(stand, "loop")) == 1 + reacting.MAX_DEPTH

    eventually_sync(are_over, 60)
    page = stand.client.get(f"{stand.url}/metrics").text
    name = 'heimnetz_sandbox_event_triggers_dropped_total{plugin="loop",reason="deep"} 1.0'
    assert name in page


def test_the_end_of_a_run_starts_who_listens_for_it(stand: Stand) -> None:
    stand.install("worker", ECHO)
    stand.install("watcher", ECHO, triggers={"events": ["heimnetz.run.finished.v1"]})
    finished = stand.run("worker")

    def find() -> list[dict[str, Any]]:
        inputs = [stand.get_run(run["id"])["result"] for run in runs_of(stand, "watcher")]
        return [one["data"] for one in inputs if one["data"]["run_id"] == finished["id"]]

    (data,) = eventually_sync(find, 60)
    assert (data["plugin"], data["outcome"]) == ("worker", "ok")
    stand.in_database(lambda c: c.execute("DELETE FROM installations WHERE plugin = 'watcher'"))


def test_a_plugin_calls_another_that_it_was_granted(stand: Stand) -> None:
    code = """
def run(input, context):
    found = {"sum": context.call("adder", {"a": 1, "b": 2})}
    for name in ("worse", "unknown", "caller", "adder"):
        try:
            found[name] = context.call(name, {"a": "no"})
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found
"""
    stand.install("adder", "def run(input, context): return input['a'] + input['b']")
    stand.install("worse", ECHO)
    asked = [{"plugin": name, "reason": "r"} for name in ("adder", "unknown")]
    stand.install("caller", code, permissions={"call": asked})

    run = stand.run("caller")

    found = run["result"]
    assert found["sum"] == 3, run["reason"]
    assert "to call worse is not granted" in found["worse"]
    assert found["unknown"].startswith("ValueError")
    assert "to call caller is not granted" in found["caller"]
    assert found["adder"].startswith("CallFailed: error: KeyError")
    (called, *_) = runs_of(stand, "adder")
    assert called["trigger"] == "plugin"


@pytest.mark.attack(row=55, what="plugins that call each other for ever")
def test_plugins_that_call_each_other_end_at_a_depth_with_a_clear_error(stand: Stand) -> None:
    for name, other in (("ring-a", "ring-b"), ("ring-b", "ring-a")):
        code = f"""
def run(input, context):
    try:
        below = context.call("{other}", {{}})
    except ValueError as error:
        return [str(error)]
    return ["called", *below]
"""
        stand.install(name, code, permissions={"call": [{"plugin": other, "reason": "r"}]})

    run = stand.run("ring-a")
    result = run["result"]
    assert run["outcome"] == "ok", run["reason"]

    assert result == ["called"] * 4 + ["plugins call each other too deep, or themselves"]


def test_more_callers_than_there_is_room_for_still_get_their_answers(stand: Stand) -> None:
    stand.install("called", ECHO)
    code = "def run(input, context): return context.call('called', input)"
    for number in range(3):
        stand.install(
            f"calling-{number}", code, permissions={"call": [{"plugin": "called", "reason": "r"}]}
        )

    ids = [stand.ask(f"calling-{n % 3}", {"n": n}).json()["id"] for n in range(9)]

    ended = [stand.get_run(run_id) for run_id in ids]
    assert {run["outcome"] for run in ended} == {"ok"}, [run["reason"] for run in ended]
    assert [run["result"] for run in ended] == [{"n": n} for n in range(9)]


def test_a_run_that_an_event_started_and_failed_is_tried_again(stand: Stand) -> None:
    stand.install("starter", ANNOUNCER, permissions=publishing("try.now.v1"))
    code = """
def run(input, context):
    tries = int(context.storage.get("tries") or 0) + 1
    context.storage.put("tries", str(tries))
    if tries < 2:
        raise RuntimeError("not yet")
    return input
"""
    stand.install(
        "stubborn",
        code,
        permissions={"storage": {"size": "4 KiB", "reason": "Counts"}},
        triggers={"events": ["try.now.v1"], "retries": 3},
    )
    stand.run("starter", {"event": "try.now.v1"})

    (first,) = eventually_sync(
        lambda: [run for run in listed(stand, "stubborn") if run["state"] == "finished"], 30
    )
    (second,) = (run for run in listed(stand, "stubborn") if run["id"] != first["id"])
    assert (first["outcome"], second["state"]) == ("error", "queued")
    assert second["retry_of"] == first["id"]
    stand.in_database(
        lambda c: c.execute("UPDATE runs SET not_before = now() WHERE id = $1", second["id"])
    )
    again = stand.get_run(second["id"])
    assert again["outcome"] == "ok"
    assert again["result"]["data"] == {"price": 3}
    assert len(listed(stand, "stubborn")) == 2


def listed(stand: Stand, plugin: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = stand.call("GET", f"/v1/runs?plugin={plugin}").json()["items"]
    return items


def test_a_person_s_run_that_failed_is_not_tried_again(stand: Stand) -> None:
    stand.install("wrong", "def run(input, context): 1 / 0", triggers={"retries": 5})

    stand.run("wrong")

    assert len(listed(stand, "wrong")) == 1
