import hashlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import MONITOR, REGISTRY, RUN, SANDBOX, VERSION, Heimnetz


def test_a_run_prints_its_result_alone_on_standard_output(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(f"POST {SANDBOX}/plugins/p/runs", RUN)

    said = heimnetz("run", "p", "--input", '{"a": 1}')

    assert said.code == 0
    assert json.loads(said.out) == {"total": 1}
    assert "r1" in said.err
    assert platform.sent("/runs") == {"input": {"a": 1}}


def test_a_run_is_waited_for(platform: Any, heimnetz: Heimnetz, monkeypatch: Any) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    platform.on(f"POST {SANDBOX}/plugins/p/runs", {**RUN, "state": "queued", "outcome": None})
    platform.on(f"GET {SANDBOX}/runs/r1", {**RUN, "state": "running", "outcome": None}, RUN)

    said = heimnetz("run", "p", "--json")

    assert json.loads(said.out)["outcome"] == "ok"


def test_a_failed_run_is_exit_code_1_and_names_its_outcome(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(
        f"POST {SANDBOX}/plugins/p/runs",
        {**RUN, "outcome": "out_of_memory", "result": None, "reason": "more than 128 MiB"},
    )

    said = heimnetz("run", "p")

    assert said.code == 1
    assert said.out == ""
    assert "out_of_memory" in said.err
    assert "more than 128 MiB" in said.err


@pytest.mark.parametrize("given", ["{", "[1]", "nonsense", "@missing.json"])
def test_an_input_that_is_no_object_is_refused_before_it_is_sent(
    platform: Any, heimnetz: Heimnetz, given: str
) -> None:
    said = heimnetz("run", "p", "--input", given)

    assert said.code == 2
    assert platform.requests == []


def test_files_of_a_run_cannot_leave_their_folder(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    content = b"<svg/>"
    digest = hashlib.sha256(content).hexdigest()
    file = {"name": "../../.bashrc", "size_bytes": 6, "sha256": digest}
    platform.on(f"POST {SANDBOX}/plugins/p/runs", {**RUN, "files": [file]})
    platform.on(f"GET {SANDBOX}/runs/r1/files/../../.bashrc", httpx.Response(200, content=content))

    said = heimnetz("run", "p", "--out", tmp_path / "a" / "b")

    assert said.code == 0, said.err
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["bashrc"]


def test_a_file_with_other_bytes_is_not_kept(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    file = {"name": "a.svg", "size_bytes": 6, "sha256": "0" * 64}
    platform.on(f"POST {SANDBOX}/plugins/p/runs", {**RUN, "files": [file]})
    platform.on(f"GET {SANDBOX}/runs/r1/files/a.svg", httpx.Response(200, content=b"other"))

    said = heimnetz("run", "p", "--out", tmp_path / "out")

    assert said.code == 9
    assert list((tmp_path / "out").iterdir()) == []


def test_an_installation_grants_what_was_agreed_to(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {REGISTRY}/plugins/p", {"plugin": "p", "latest": "1.0.0"})
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", VERSION)
    platform.on(f"PUT {REGISTRY}/installations/p", {"plugin": "p", "version": "1.0.0"}, status=201)

    said = heimnetz(
        "install", "p", "--yes", "--config", "price=0.3", "--config", "zone=Europe/Rome"
    )

    assert said.code == 0, said.err
    assert "asks for prices" in said.err
    assert platform.sent("/installations/p") == {
        "version": "1.0.0",
        "grants": ["network:api.example.org:443"],
        "configuration": {"price": 0.3, "zone": "Europe/Rome"},
        "allow_downgrade": False,
    }


def test_what_was_configured_before_stays(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", VERSION)
    platform.on(
        f"GET {REGISTRY}/installations/p",
        {"plugin": "p", "version": "0.9.0", "configuration": {"key": "***", "price": 1}},
    )
    platform.on(f"PUT {REGISTRY}/installations/p", {"plugin": "p", "version": "1.0.0"})

    heimnetz("install", "p@1.0.0", "--yes", "--config", "price=2")

    assert platform.sent("/installations/p")["configuration"] == {"key": "***", "price": 2}


def test_without_a_terminal_and_without_yes_nothing_is_granted(
    platform: Any, heimnetz: Heimnetz, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", VERSION)

    said = heimnetz("install", "p@1.0.0")

    assert said.code == 2
    assert "--yes" in said.err
    assert not any(request.method == "PUT" for request in platform.requests)


def test_a_version_is_shown_with_what_starts_it_and_what_each_call_gets(
    platform: Any, heimnetz: Heimnetz
) -> None:
    triggers = {
        "http": False,
        "cron": [{"schedule": "0 6 * * *", "time_zone": "Europe/Berlin"}],
        "events": ["energy.price.changed.v1"],
    }
    manifest = {"fresh": "process", "triggers": triggers}
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", {**VERSION, "manifest": manifest})

    said = heimnetz("show", "p@1.0.0")

    assert "a process of its own, in a container that stays" in said.out
    assert "schedule 0 6 * * * Europe/Berlin, event energy.price.changed.v1" in said.out
    assert "people" not in said.out


@pytest.mark.parametrize("named", [["p@1.0.0"], ["p", "1.0.0"], ["p"]])
def test_the_parts_of_a_version_are_printed_as_they_are_kept(
    platform: Any, heimnetz: Heimnetz, named: list[str]
) -> None:
    kept = '{"bomFormat": "CycloneDX"}'
    platform.on(f"GET {REGISTRY}/plugins/p", {"plugin": "p", "latest": "1.0.0"})
    platform.on("GET /api/auditor/v1/audits/p/1.0.0", httpx.Response(200, text=kept))

    said = heimnetz("sbom", *named)

    assert said.code == 0, said.err
    assert said.out == f"{kept}\n"
    assert platform.requests[-1].url.params["format"] == "cyclonedx"


def test_a_static_report_is_asked_for_without_the_owners_waivers(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on("GET /api/auditor/v1/audits/p/1.0.0", httpx.Response(200, text="{}"))

    heimnetz("report", "p@1.0.0", "--format", "json")
    assert "static" not in platform.requests[-1].url.params
    heimnetz("report", "p@1.0.0", "--static", "--format", "json")
    assert platform.requests[-1].url.params["static"] == "true"


def test_two_versions_at_once_have_no_parts(platform: Any, heimnetz: Heimnetz) -> None:
    assert heimnetz("sbom", "p@1.0.0", "1.0.1").code == 2


def test_an_installation_waits_for_the_audit_that_is_under_way(
    platform: Any, heimnetz: Heimnetz
) -> None:
    route = f"GET {REGISTRY}/plugins/p/versions/1.0.0"
    platform.on(route, {**VERSION, "state": "submitted", "score": None}, VERSION)
    platform.on(f"PUT {REGISTRY}/installations/p", {"plugin": "p", "version": "1.0.0"}, status=201)

    said = heimnetz("install", "p@1.0.0", "--yes")

    assert said.code == 0, said.err
    assert "is installed" in said.out


INSTALLED = {
    "plugin": "p",
    "version": "1.0.0",
    "grants": ["network:api.example.org:443"],
    "configuration": {"key": "***"},
}


def asking(version: str, *hosts: str) -> dict[str, Any]:
    asked = [{"to": host, "reason": "asks for prices"} for host in hosts]
    return {**VERSION, "version": version, "manifest": {"permissions": {"network": asked}}}


def updating(platform: Any, *hosts: str) -> None:
    platform.on(f"GET {REGISTRY}/installations/p", INSTALLED)
    platform.on(f"GET {REGISTRY}/plugins/p", {"plugin": "p", "latest": "1.1.0"})
    platform.on(
        f"GET {REGISTRY}/plugins/p/versions/1.0.0",
        asking("1.0.0", "api.example.org:443", "refused.example.org:443"),
    )
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.1.0", asking("1.1.0", *hosts))
    platform.on(f"PUT {REGISTRY}/installations/p", {"plugin": "p", "version": "1.1.0"})


def test_an_update_that_asks_for_no_more_keeps_what_was_granted_and_refused(
    platform: Any, heimnetz: Heimnetz
) -> None:
    updating(platform, "api.example.org:443", "refused.example.org:443")

    said = heimnetz("update", "p")

    assert said.code == 0, said.err
    assert "1.0.0 -> 1.1.0: done" in said.out
    assert platform.sent("/installations/p") == {
        "version": "1.1.0",
        "grants": ["network:api.example.org:443"],
        "configuration": {"key": "***"},
        "allow_downgrade": False,
    }


def test_an_update_that_asks_for_more_waits_for_a_yes(
    platform: Any, heimnetz: Heimnetz, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    updating(platform, "api.example.org:443", "more.example.org:443")

    waits = heimnetz("update", "p", "--json")
    assert waits.code == 1
    told = json.loads(waits.out)
    assert told["outcome"] == "waits"
    assert told["asked"] == {"network:more.example.org:443": "asks for prices"}
    assert told["dropped"] == ["network:refused.example.org:443"]
    assert not any(request.method == "PUT" for request in platform.requests)

    agreed = heimnetz("update", "p", "--yes")
    assert agreed.code == 0
    assert "more.example.org:443" in agreed.err
    assert platform.sent("/installations/p")["grants"] == [
        "network:api.example.org:443",
        "network:more.example.org:443",
    ]


def test_an_update_to_what_is_installed_does_nothing(platform: Any, heimnetz: Heimnetz) -> None:
    updating(platform)

    said = heimnetz("update", "p@1.0.0")

    assert said.code == 0
    assert "nothing newer" in said.out
    assert not any(request.method == "PUT" for request in platform.requests)


def test_who_can_reach_an_address_is_listed(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(
        f"GET {REGISTRY}/grants",
        {"items": [{"plugin": "p", "version": "1.0.0", "grant": "network:lan:443"}]},
    )

    said = heimnetz("grants", "--reach", "192.168.1.10:443")

    assert said.code == 0
    assert "every device in the home network on port 443" in said.out
    assert platform.requests[-1].url.params["reach"] == "192.168.1.10:443"


def test_a_trail_that_was_changed_names_the_entries_and_is_exit_code_1(
    platform: Any, heimnetz: Heimnetz
) -> None:
    problems = [{"entry": 5, "what": "removed"}, {"entry": 7, "what": "altered"}]
    platform.on(f"GET {REGISTRY}/trail/verification", {"is_intact": False, "problems": problems})

    said = heimnetz("trail", "verify")

    assert said.code == 1
    assert "entry 5 was removed" in said.out
    assert "entry 7 was altered" in said.out


def test_the_trail_is_listed_with_and_without_the_word(platform: Any, heimnetz: Heimnetz) -> None:
    entry = {"id": 1, "actor": "ada", "action": "version.approved", "plugin": "p"}
    platform.on(f"GET {REGISTRY}/trail", {"items": [entry], "next_cursor": None})

    listed = [heimnetz("trail", *words).out for words in ((), ("p",), ("list", "p"))]

    assert listed[0] == listed[1] == listed[2]
    assert "ada" in listed[0]


def test_a_service_that_is_down_is_exit_code_1(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(
        f"GET {MONITOR}/status",
        {"services": [{"service": "registry", "state": "down", "reason": "gone"}], "plugins": []},
    )
    platform.on(f"GET {MONITOR}/alerts", {"items": [], "next_cursor": None})

    said = heimnetz("status")

    assert said.code == 1
    assert "registry\tdown\t\tgone" in said.out


def test_logs_are_followed_line_by_line(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(
        f"GET {SANDBOX}/runs/r1/logs",
        httpx.Response(200, text="data: one\n\ndata: two\x1b[2J\n\nevent: end\ndata: \n\n"),
    )

    said = heimnetz("logs", "-f", "r1")

    assert said.out == "one\ntwo\\x1b[2J\n"


def test_lines_of_a_plugins_runs_are_found_and_the_newest_is_last(
    platform: Any, heimnetz: Heimnetz
) -> None:
    line = {"run_id": "r2", "number": 0, "at": "2026-12-01T12:00:00Z", "stream": "stderr"}
    items = [{**line, "text": "no\x1b[2J"}, {**line, "run_id": "r1", "text": "none"}]
    platform.on(f"GET {SANDBOX}/plugins/p/logs", {"items": items, "next_cursor": None})

    said = heimnetz("logs", "--plugin", "p", "--search", "no", "--stream", "stderr")
    unclear = [heimnetz("logs"), heimnetz("logs", "r1", "--plugin", "p")]

    assert said.out.splitlines() == [
        "2026-12-01T12:00:00Z r1 stderr none",
        "2026-12-01T12:00:00Z r2 stderr no\\x1b[2J",
    ]
    assert dict(platform.requests[0].url.params) == {
        "contains": "no",
        "stream": "stderr",
        "limit": "200",
    }
    assert {one.code for one in unclear} == {2}


def test_the_address_of_the_documentation_is_printed(platform: Any, heimnetz: Heimnetz) -> None:
    assert heimnetz("docs", "p@1.0.0").out == "http://heimnetz.test/docs/p/1.0.0/\n"


def test_what_a_plugin_was_seen_doing_is_listed(platform: Any, heimnetz: Heimnetz) -> None:
    seen = {
        "kind": "publish",
        "target": "a.b.v1\x1b[2J",
        "is_granted": False,
        "version": "1.0.0",
        "seen_at": "2026-11-25T12:00:00Z",
    }
    platform.on(f"GET {SANDBOX}/plugins/p/behaviour", {"items": [seen]})

    (_, line) = heimnetz("behaviour", "p").out.splitlines()

    assert line.split("\t")[:3] == ["publish", "a.b.v1\\x1b[2J", "no"]
    assert json.loads(heimnetz("behaviour", "p", "--json").out) == {"items": [seen]}


def test_a_search_says_what_a_plugin_must_not_ask_for(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {REGISTRY}/plugins", {"items": [], "next_cursor": None})

    said = heimnetz(
        "search", "enrgy", "--without", "network", "--without", "call", "--min-score", 80
    )

    asked = platform.requests[-1].url.params
    assert said.code == 0
    assert asked.get_list("asks_not") == ["network", "call"]
    assert (asked["q"], asked["min_score"]) == ("enrgy", "80")
    assert "category" not in asked
