"""Rows 38 to 60 of the table of hostile input, each with its own kind and place."""

import time

import pytest
from archives import MANIFEST

from heimnetz_manifest import InvalidManifest, Manifest, parse_manifest
from heimnetz_manifest.loading import load


def edit(old: str, new: str) -> bytes:
    assert old.encode() in MANIFEST
    return MANIFEST.replace(old.encode(), new.encode("utf-8", "surrogatepass"))


def add(text: str) -> bytes:
    return MANIFEST + text.encode()


def node(entry_point: str, more: str = "") -> bytes:
    data = edit("runtime: python", "runtime: node") + more.encode()
    return data.replace(b"energy_report.main:run", entry_point.encode())


def cron(schedule: str) -> bytes:
    return add(f'triggers: {{cron: [{{schedule: "{schedule}"}}]}}\n')


def network(to: str) -> bytes:
    return edit("to: api.example.org:443", f'to: "{to}"')


def secret(name: str) -> bytes:
    return edit("  storage:", f'  secrets: [{{name: "{name}", reason: x}}]\n  storage:')


HOSTILE: dict[str, tuple[bytes, str]] = {
    "38 second BOM": (b"\xef\xbb\xbf\xef\xbb\xbf" + MANIFEST, "manifest-forbidden-character"),
    "39 UTF-16": (MANIFEST.decode().encode("utf-16"), "manifest-encoding"),
    "39 UTF-16 without mark": (MANIFEST.decode().encode("utf-16-le"), "manifest-forbidden-character"),
    "39 UTF-32": (MANIFEST.decode().encode("utf-32"), "manifest-encoding"),
    "39 bad UTF-8": (MANIFEST + b"# \xff\n", "manifest-encoding"),
    "39 overlong": (MANIFEST + b"# \xc0\xaf\n", "manifest-encoding"),
    "40 alias bomb": (b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "manifest-alias"),
    "40 merge": (edit("cpu: 0.5", "<<: {cpu: 1}"), "manifest-unknown-key"),
    "41 Python tag": (edit("title: Energy report", "title: !!python/object/apply:os.system [id]"), "manifest-tag"),
    "41 string tag": (edit("title: Energy", "title: !!str Energy"), "manifest-tag"),
    "41 local tag": (edit("title: Energy report", "title: !x {}"), "manifest-tag"),
    "41 directive": (b"%YAML 1.1\n---\n" + MANIFEST, "manifest-directive"),
    "41 two documents": (add("---\na: 1\n"), "manifest-directive"),
    "42 duplicate key": (add("name: other\n"), "manifest-duplicate-key"),
    "42 duplicate inside": (edit("input: {year: 2025}", "input: {a: 1, a: 2}"), "manifest-duplicate-key"),
    "43 yes as boolean": (add("triggers: {http: yes}\n"), "manifest-invalid-value"),
    "43 quoted boolean": (add('triggers: {http: "true"}\n'), "manifest-invalid-value"),
    "43 octal": (edit("cpu: 0.5", "processes: 012"), "manifest-invalid-value"),
    "43 sexagesimal": (edit("cpu: 0.5", "processes: 1:30"), "manifest-invalid-value"),
    "44 2^63": (edit("year: 2025", f"year: {2**63}"), "manifest-number-range"),
    "44 5,000 digits": (edit("year: 2025", f"year: {'9' * 5000}"), "manifest-number-range"),
    "44 5,000 digits typed": (edit("cpu: 0.5", f"processes: {'9' * 5000}"), "manifest-number-range"),
    "45 NaN": (edit("year: 2025", "year: .nan"), "manifest-number-not-finite"),
    "45 infinity": (edit("cpu: 0.5", "cpu: .inf"), "manifest-number-not-finite"),
    "45 1e400": (edit("year: 2025", "year: 1e400"), "manifest-number-not-finite"),
    "45 1e400 typed": (edit("cpu: 0.5", "cpu: 1e400"), "manifest-number-not-finite"),
    "46 depth 25": (add("x: " + "[" * 25 + "]" * 25 + "\n"), "manifest-too-deep"),
    "46 depth 30,000": (b"x: " + b"[" * 30_000, "manifest-too-deep"),
    "46 depth by indent": (b"".join(b" " * n + b"a:\n" for n in range(40)), "manifest-too-deep"),
    "47 over 64 KiB": (MANIFEST + b"#" * 65536, "manifest-too-large"),
    "48 NUL": (edit("title: Energy report", 'title: "\\0"'), "manifest-forbidden-character"),
    "48 raw NUL": (MANIFEST + b"#\0\n", "manifest-forbidden-character"),
    "48 lone surrogate": (edit("title: Energy report", 'title: "\\ud800"'), "manifest-forbidden-character"),
    "48 raw surrogate": (MANIFEST + b"# \xed\xa0\x80\n", "manifest-encoding"),
    "48 escape": (edit("title: Energy report", 'title: "\\e[31m"'), "manifest-forbidden-character"),
    "48 direction": (edit("title: Energy", "title: \u202eEnergy"), "manifest-forbidden-character"),
    "49 unknown key": (edit("permissions:", "permisions:"), "manifest-unknown-key"),
    **{
        f"50 version {version!r}": (edit("1.0.0", version), "manifest-invalid-version")
        for version in (
            *('"1.0"', "v1.0.0", "01.0.0", "1.0.0-", "1.0.0+a..b", "1.0.0-01", '" 1.0.0"', "1.0.0-a_b"),
            *("1.0." + "9" * 30, "1.0.0-" + "9" * 30, '"1.0.0\\n"', "1.0.0-" + "a." * 40 + "a", "１.0.0"),
        )
    },
    **{
        f"51 name {name!r}": (edit("energy-report", name), "manifest-invalid-name")
        for name in (
            *("Energy", "energy_report", "energy.report", "\u0430pple", '""', "x" * 64, "12345"),
            *("-x", "x-", '"x\\n"', "energy report"),
        )
    },
    **{
        f"52 name {name!r}": (edit("energy-report", name), "manifest-reserved-name")
        for name in ("admin", "api", "heimnetz", "heimnetz-core", "xn--pple-43d")
    },
    **{
        f"53 name {name!r}": (edit("energy-report", f'"{name}"'), "manifest-invalid-name")
        for name in ("a*", "a>", "a.b", "$js", "a b", ">", "*")
    },
    **{
        f"54 cron {schedule!r}": (cron(schedule), "manifest-invalid-cron")
        for schedule in (
            *("* * * * * *", "@reboot", "@hourly", "0 0 30 2 *", "*/0 * * * *", "60 * * * *", ""),
            *("0 0 * *", "0  0 * * *", "a b c d e", "0 0 31 4,6 *"),
        )
    },
    "54 many schedules": (
        add("triggers: {cron: [" + "{schedule: '0 0 * * *'}," * 1500 + "]}\n"),
        "manifest-invalid-value",
    ),
    "54 time zone": (
        add("triggers: {cron: [{schedule: '0 0 * * *', time_zone: ../../etc/passwd}]}\n"),
        "manifest-invalid-time-zone",
    ),
    **{
        f"56 network {to!r}": (network(to), "manifest-invalid-network")
        for to in (
            *("*:443", "*.org:443", "a.*.org:443", "*.*.org:443", "*.1.2:443", "0.0.0.0/0:80", "[::/0]:443", "0.0.0.0:80", "127.0.0.1:80"),
            *("169.254.169.254:80", "[::1]:80", "[fe80::1]:80", "[::ffff:127.0.0.1]:80", "localhost:80"),
            *("8.0.0.0/8:443", "224.0.0.1:80", "a.example.org", "a.example.org:0", "a.example.org:65536"),
            *("a.example.org:*", "::1:80", "user@a.example.org:443", "a.example.org/x:443", "A.example.org:443"),
            *("0x7f.1:80", "2130706433:80", "127.1:80", "xn--e1awd7f.example.org:443", "10.0.0.1/8:80"),
        )
    },
    "56 unknown capability": (edit("  storage:", "  privileged: true\n  storage:"), "manifest-unknown-key"),
    "56 host path": (edit("  storage:", "  mounts: [/etc]\n  storage:"), "manifest-unknown-key"),
    "56 event of the platform": (
        edit("  storage:", "  publish: [{event: heimnetz.version.approved.v1, reason: x}]\n  storage:"),
        "manifest-invalid-event",
    ),
    "56 wildcard event": (add("triggers: {events: ['heimnetz.>']}\n"), "manifest-invalid-event"),
    **{
        f"57 homepage {url!r}": (add(f'homepage: "{url}"\n'), "manifest-invalid-url")
        for url in (
            *("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "http://example.org"),
            *("http://169.254.169.254", "https://169.254.169.254/", "https://[::1]/", "https://user@example.org"),
            *("https://\u0435xample.org", "https://localhost/", "https://xn--e1awd7f.org", "https://0x7f.1/"),
            *("https://example.org:0/", "https://example.org:99999/", "https:example.org", "//example.org"),
            *("https://example.org\\\\@evil.org/", " https://example.org", "HTTPS://[", "java\\tscript:x"),
        )
    },
    "57 icon as data": (add("icon: 'data:image/svg+xml,x.svg'\n"), "manifest-invalid-path"),
    "57 icon as page": (add("icon: icon.html\n"), "manifest-invalid-value"),
    "57 icon outside": (add("icon: ../icon.png\n"), "manifest-invalid-path"),
    "58 calls itself": (
        edit("  storage:", "  call: [{plugin: energy-report, reason: x}]\n  storage:"),
        "manifest-self-dependency",
    ),
    "58 calls many": (
        edit("  storage:", "  call: [" + "{plugin: a, reason: x}," * 2500 + "]\n  storage:"),
        "manifest-invalid-value",
    ),
    "59 negative": (edit("memory: 128 MiB", "memory: -1 MiB"), "manifest-invalid-size"),
    "59 zero": (edit("memory: 128 MiB", "memory: 0 MiB"), "manifest-limit-out-of-range"),
    "59 10^18": (edit("memory: 128 MiB", "memory: 1000000000000000000 B"), "manifest-invalid-size"),
    "59 1e3G": (edit("memory: 128 MiB", "memory: 1e3G"), "manifest-invalid-size"),
    "59 bare number": (edit("memory: 128 MiB", "memory: 134217728"), "manifest-invalid-size"),
    "59 over the owner's maximum": (edit("memory: 128 MiB", "memory: 2 GiB"), "manifest-limit-out-of-range"),
    "59 processors": (edit("cpu: 0.5", "cpu: 64"), "manifest-limit-out-of-range"),
    "59 no processes": (edit("cpu: 0.5", "processes: 0"), "manifest-limit-out-of-range"),
    "59 time": (edit("wall: 30 s", "wall: 10 d"), "manifest-limit-out-of-range"),
    **{
        f"60 secret {name!r}": (secret(name), "manifest-invalid-secret")
        for name in ("LD_PRELOAD", "PATH", "path", "ld_preload", "a b", "pythonpath", "")
    },
    "60 secret with a line break": (secret("a\\r\\nb"), "manifest-forbidden-character"),
    "licence": (edit("Apache-2.0", "Freeware"), "manifest-invalid-licence"),
    "entry point of another runtime": (edit("energy_report.main:run", "main.js"), "manifest-invalid-entry-point"),
    "entry point outside": (edit("runtime: python", "runtime: node").replace(b"energy_report.main:run", b"../x.js"), "manifest-invalid-entry-point"),
    "entry point that names no function": (node("main"), "manifest-invalid-entry-point"),
    "new processes of Node": (node("main:run", "fresh: process\n"), "manifest-invalid-value"),
    "a lock for Node": (node("main:run", "dependencies: {lock: a.lock}\n"), "manifest-invalid-value"),
    "less memory than Node takes": (node("main:run").replace(b"memory: 128 MiB", b"memory: 48 MiB"), "manifest-limit-out-of-range"),
    "fewer files than Node opens": (node("main:run").replace(b"memory: 128 MiB", b"open_files: 40"), "manifest-limit-out-of-range"),
    "a list as key": (add("? [a]\n: 1\n"), "manifest-syntax"),
    "a list as manifest": (b"- a\n", "manifest-syntax"),
    "nothing": (b"", "manifest-syntax"),
    "tab": (b"a:\n\tb: 1\n", "manifest-syntax"),
    "schema with reference": (edit("type: object", "$ref: http://169.254.169.254/"), "manifest-invalid-schema"),
    "schema of an unknown type": (edit("type: number", "type: numbr"), "manifest-invalid-schema"),
    "schema with lookahead": (edit("secret: true", "pattern: '(?=a)'"), "manifest-invalid-schema"),
    "schema with huge pattern": (edit("secret: true", "pattern: '((a{1,999}){1,999}){1,999}'"), "manifest-invalid-schema"),
    "secret with default": (edit("secret: true", "secret: true, default: x"), "manifest-invalid-schema"),
    "secret in a list": (
        edit("api_key: {type: string, secret: true}", "a: {type: array, items: {type: string, secret: true}}"),
        "manifest-invalid-schema",
    ),
    "example against the schema": (
        edit("    input:", "    configuration: {price: -1}\n    input:"),
        "manifest-invalid-example",
    ),
    "the same permission twice": (
        edit("  storage:", "    - {to: api.example.org:443, reason: again}\n  storage:"),
        "manifest-invalid-value",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_manifest_is_refused_with_its_own_kind_and_place(case: str) -> None:
    data, kind = HOSTILE[case]
    started = time.process_time()

    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(data)

    assert caught.value.kind == kind
    assert all(mistake.line for mistake in caught.value.mistakes)
    assert all(len(m.detail) < 500 and m.detail.isprintable() for m in caught.value.mistakes)
    assert time.process_time() - started < 1


def test_row_38_one_byte_order_mark_is_accepted() -> None:
    assert parse_manifest(b"\xef\xbb\xbf" + MANIFEST) == parse_manifest(MANIFEST)


def test_row_43_scalars_stay_as_written_until_the_schema_types_them() -> None:
    manifest = parse_manifest(
        edit(
            "input: {year: 2025}",
            'input: {a: no, b: "1", c: 012, d: 1:30, e: 2026-01-01, f: 1.5, g: true, h: ~, i: null, j: 0x1F, k: 1_0}',
        ).replace(b"title: Energy report", b"title: 1.10")
    )

    assert manifest.title == "1.10"
    assert manifest.examples[0].input == {
        "a": "no",
        "b": "1",
        "c": "012",
        "d": "1:30",
        "e": "2026-01-01",
        "f": 1.5,
        "g": True,
        "h": "~",
        "i": None,
        "j": "0x1F",
        "k": "1_0",
    }


@pytest.mark.parametrize(
    ("data", "pointer", "line", "column", "suggestion"),
    [
        (edit("permissions:", "permisions:"), "/permisions", 11, 1, "permissions"),
        (edit("cpu: 0.5", "cpus: 0.5"), "/limits/cpus", 16, 27, "cpu"),
        (edit("      reason: Reads", "      reson: Reads"), "/permissions/network/0/reson", 14, 7, "reason"),
        (edit("kind: job", "kind: jobs"), "/kind", 8, 7, "job"),
        (edit("default: 0.3", "defalt: 0.3"), "/configuration/properties/price/defalt", 20, 27, "default"),
        (edit("1.0.0", "1.0"), "/version", 3, 10, None),
    ],
)  # fmt: skip
def test_a_mistake_names_pointer_line_column_and_the_nearest_key(
    data: bytes, pointer: str, line: int, column: int, suggestion: str | None
) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(data)

    found = {m.pointer: (m.line, m.column, m.suggestion) for m in caught.value.mistakes}
    assert found[pointer] == (line, column, suggestion)


def test_every_mistake_is_reported_at_once() -> None:
    data = (
        edit("version: 1.0.0", "version: x")
        .replace(b"kind: job", b"kind: x")
        .replace(b"licence: ", b"license: ")
    )

    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(data)

    assert {m.pointer for m in caught.value.mistakes} == {
        "/version",
        "/kind",
        "/licence",
        "/license",
    }
    assert caught.value.kind == "manifest-invalid"


def test_many_mistakes_are_bounded_in_number_and_time() -> None:
    started = time.process_time()

    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(add("".join(f"unknownkey{n}: 1\n" for n in range(3000))))

    assert len(caught.value.mistakes) == 50
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "text",
    [
        "[" * 65000,
        "{" * 65000,
        "- " * 32000,
        "a: " * 20000,
        "'" * 65000,
        "? " * 32000,
        "!" * 65000,
        "a" * 65000,
        "x: " + "a" * 40000 + "!",
        "&" * 65000,
        "|\n" + " x\n" * 20000,
        ", " * 32000,
        "[a, " * 16000,
        "# \n" * 21000,
    ],
)
def test_no_64_kib_take_long(text: str) -> None:
    started = time.process_time()

    with pytest.raises(InvalidManifest):
        parse_manifest(text.encode())

    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.0.0", "{}"), ("energy-report", "{}"), ("energy_report.main:run", "{}"), ("ada@example.org", '"{}"'),
        ("api.example.org:443", "{}"), ("Apache-2.0", "{}"), ("128 MiB", "{}"), ("30 s", "{}"), ("a-year", "{}"),
    ],
)  # fmt: skip
def test_row_55_no_pattern_backtracks(old: str, new: str) -> None:
    data = edit(old, new.format("a" * 40_000 + "!"))
    started = time.process_time()

    with pytest.raises(InvalidManifest):
        parse_manifest(data)

    assert time.process_time() - started < 0.5


def test_row_55_patterns_of_the_author_cannot_hang_the_owner() -> None:
    manifest = parse_manifest(edit("secret: true", "pattern: '^(a+)+$'"))
    started = time.process_time()

    mistakes = list(manifest.configuration_schema.mistakes({"api_key": "a" * 40_000 + "!"}))

    assert len(mistakes) == 1
    assert time.process_time() - started < 0.05


def test_a_manifest_survives_the_way_through_json() -> None:
    manifest = parse_manifest(MANIFEST)

    assert Manifest.model_validate(manifest.model_dump(mode="json", by_alias=True)) == manifest


def test_places_are_known_for_every_value() -> None:
    document = load(MANIFEST)

    place = document.place(("permissions", "network", 0, "reason"))
    assert place is not None
    assert (place.line, place.column) == (14, 15)
