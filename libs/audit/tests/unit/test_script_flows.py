"""What flows from outside to where it does harm, in scripts: each sample with its look-alike."""

import re

import pytest

from heimnetz_audit import Severity, SourceTree, audit

APP = "const app = require('express')();\n"


def in_handler(before: str, body: str) -> str:
    return f"{before}\n{APP}app.get('/x', (req, res) => {{\n{body}\n}});\n"


EXEC = "const { exec, execFile, spawn } = require('node:child_process');"
FS = "const fs = require('fs');\nconst path = require('path');\nconst ROOT = '/srv/data/';"
SQL = "const mysql = require('mysql2');\nconst db = mysql.createConnection({});"
HTTP = "const axios = require('axios');\nconst https = require('https');"

# rule, what stands before the handler, what is found in it, what is not
PAIRS = [
    (
        "command-injection",
        EXEC,
        "exec('ping ' + req.query.host);",
        "execFile('ping', [req.query.host]);",
    ),
    (
        "command-injection",
        EXEC,
        "exec(`ping ${req.body.host}`, (error, out) => res.json(out));",
        "exec(`ping ${Number(req.body.host)}`, (error, out) => res.json(out));",
    ),
    (
        "command-injection",
        EXEC,
        "spawn('sh', ['-c', req.params.line]);",
        "spawn('ls', ['-l', req.params.line]);",
    ),
    (
        "command-injection",
        EXEC,
        "spawn('ls ' + req.params.line, { shell: true });",
        "spawn('ls', [req.params.line], { shell: false });",
    ),
    (
        "command-injection",
        EXEC,
        "const { host } = req.query;\nif (!/^[a-z0-9.]+/.test(host)) return res.end();\nexec('ping ' + host);",
        "const { host } = req.query;\nif (!/^[a-z0-9.]+$/.test(host)) return res.end();\nexec('ping ' + host);",
    ),
    (
        "command-injection",
        EXEC + "\nconst KNOWN = ['a', 'b'];",
        "if (KNOWN.includes(req.query.a)) exec('run ' + req.query.b);",
        "const { a } = req.query;\nif (KNOWN.includes(a)) exec('run ' + a);",
    ),
    (
        "command-injection",
        EXEC + "\nconst run = (line) => exec(line);",
        "run('ping ' + req.query.host);",
        "run('ping localhost');\nres.json(req.query.host);",
    ),
    (
        "command-injection",
        "const util = require('util');\nconst run = util.promisify(require('child_process').exec);",
        "run(`id ${req.headers['x-user']}`).then((out) => res.json(out));",
        "run('id').then((out) => res.json(req.headers['x-user']));",
    ),
    (
        "command-injection",
        EXEC,
        "const o = { safe: 'ls', bad: req.query.c };\nexec(o.bad);",
        "const o = { safe: 'ls', bad: req.query.c };\nexec(o.safe);",
    ),
    (
        "command-injection",
        EXEC,
        "const list = ['ls', req.query.c];\nexec(list.join(' '));",
        "const list = ['ls', req.query.c];\nexec(list[0]);",
    ),
    (
        "command-injection",
        EXEC,
        "let line = 'ls';\nif (req.query.all) line += ' ' + req.query.all;\nexec(line);",
        "let line = 'ls';\nif (req.query.all) line += ' -a';\nexec(line);",
    ),
    (
        "command-injection",
        EXEC,
        "switch (req.query.c) {\n  case 'a': break;\n  default: exec(req.query.c);\n}",
        "const c = req.query.c;\nswitch (c) {\n  case 'a': exec(c); break;\n  default: res.end();\n}",
    ),
    ("code-injection", "", "eval(req.body.code);", "JSON.parse(req.body.code);"),
    (
        "code-injection",
        "",
        "new Function('x', 'return ' + req.query.f)(1);",
        "new Function('x', 'return x')(req.query.f);",
    ),
    (
        "code-injection",
        "const vm = require('vm');",
        "vm.runInNewContext(req.body.code, {});",
        "vm.runInNewContext('1 + 1', { given: req.body.code });",
    ),
    (
        "code-injection",
        "",
        "setTimeout('go(' + req.query.n + ')', 10);",
        "setTimeout(() => go(req.query.n), 10);",
    ),
    (
        "code-injection",
        "",
        "require(req.query.module);",
        "require('./known.json');\nres.json(req.query.module);",
    ),
    (
        "path-traversal",
        FS,
        "fs.readFile(ROOT + req.params.name, (error, data) => res.json(data));",
        "fs.readFile(ROOT + path.basename(req.params.name), (error, data) => res.json(data));",
    ),
    (
        "path-traversal",
        FS,
        "const full = path.join(ROOT, req.params.name);\nfs.createReadStream(full).pipe(res);",
        "const full = path.join(ROOT, req.params.name);\nif (!full.startsWith(ROOT)) return res.sendStatus(400);\nfs.createReadStream(full).pipe(res);",
    ),
    (
        "path-traversal",
        FS,
        "const full = path.resolve(ROOT, req.params.name);\nif (!full.endsWith('.txt')) return res.end();\nfs.unlinkSync(full);",
        "const full = path.resolve(ROOT, req.params.name);\nconst way = path.relative(ROOT, full);\nif (way.startsWith('..')) return res.end();\nfs.unlinkSync(full);",
    ),
    (
        "path-traversal",
        FS,
        "res.sendFile(req.query.file);",
        "res.sendFile(req.query.file, { root: ROOT });",
    ),
    (
        "path-traversal",
        "const { readFile } = require('fs/promises');",
        "readFile('/srv/' + req.query.f).then((text) => res.json(text));",
        "readFile('/srv/' + parseInt(req.query.f, 10)).then((text) => res.json(text));",
    ),
    (
        "sql-injection",
        SQL,
        "db.query('SELECT * FROM t WHERE a = ' + req.query.a);",
        "db.query('SELECT * FROM t WHERE a = ?', [req.query.a]);",
    ),
    (
        "sql-injection",
        SQL,
        "db.query(`SELECT * FROM t WHERE a = '${req.query.a}'`, (error, rows) => res.json(rows));",
        "db.query(`SELECT * FROM t WHERE a = ${db.escape(req.query.a)}`.replace(/x/, ''), (error, rows) => res.json(rows));".replace(
            "db.escape", "mysql.escape"
        ),
    ),
    (
        "sql-injection",
        "const { Pool } = require('pg');\nconst pool = new Pool();",
        "pool.query({ text: 'delete from t where id = ' + req.params.id });",
        "pool.query({ text: 'delete from t where id = $1', values: [req.params.id] });",
    ),
    (
        "sql-injection",
        "const User = require('mongoose').model('User');",
        "User.findOne({ name: req.body.name });",
        "User.findOne({ name: String(req.body.name) });",
    ),
    (
        "open-redirect",
        "",
        "res.redirect(req.query.next);",
        "res.redirect('/home?next=' + req.query.next);",
    ),
    (
        "open-redirect",
        "",
        "res.writeHead(302, { Location: req.query.next });\nres.end();",
        "res.writeHead(302, { Location: '/home' });\nres.end();",
    ),
    (
        "open-redirect",
        "const HOSTS = new Set(['a.example']);",
        "const to = new URL(req.query.next);\nres.redirect(to.href);",
        "const to = new URL(req.query.next);\nif (!HOSTS.has(to.hostname)) return res.end();\nres.redirect(to.href);",
    ),
    (
        "cross-site-scripting",
        "",
        "res.send('<p>' + req.query.name + '</p>');",
        "res.json({ name: req.query.name });",
    ),
    (
        "cross-site-scripting",
        "const escape = require('escape-html');",
        "res.send(`<p>${req.query.name}</p>`);",
        "res.send(`<p>${escape(req.query.name)}</p>`);",
    ),
    (
        "cross-site-scripting",
        "",
        "res.setHeader('Content-Type', 'text/html');\nres.end(req.query.name);",
        "res.setHeader('Content-Type', 'text/plain');\nres.end(req.query.name);",
    ),
    (
        "cross-site-scripting",
        "",
        "res.send(req.query.name.replace('<', '&lt;'));",
        "res.send(req.query.name.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/\"/g, '&quot;'));",
    ),
    (
        "request-forgery",
        HTTP,
        "axios.get(req.query.url);",
        "axios.get('https://api.example.org/' + req.query.id);",
    ),
    (
        "request-forgery",
        HTTP,
        "fetch(req.body.url).then((r) => r.json());",
        "fetch('https://a.example/x', { method: 'POST', body: req.body.url });",
    ),
    (
        "request-forgery",
        HTTP,
        "https.get({ host: req.query.host, path: '/' }, (answer) => answer.resume());",
        "https.get({ host: 'a.example', path: '/' + req.query.host }, (answer) => answer.resume());",
    ),
    (
        "regex-injection",
        "",
        "new RegExp(req.query.p).test('text');",
        "new RegExp(req.query.p.replace(/[^a-z]/g, '')).test('text');",
    ),
    (
        "unsafe-deserialisation",
        "const serialize = require('node-serialize');",
        "serialize.unserialize(req.cookies.profile);",
        "JSON.parse(req.cookies.profile);",
    ),
    (
        "unsafe-deserialisation",
        "const yaml = require('js-yaml');",
        "yaml.load(req.body.text);",
        "yaml.load(req.body.text, { schema: yaml.JSON_SCHEMA });",
    ),
    (
        "template-injection",
        "const pug = require('pug');",
        "pug.render(req.body.page);",
        "pug.render('p= name', { name: req.body.page });",
    ),
    (
        "log-injection",
        "",
        "console.log('user ' + req.query.name);",
        "console.log('user ' + JSON.stringify(req.query.name));",
    ),
    (
        "prototype-pollution",
        "const store = {};",
        "const { a, b } = req.body;\nstore[a][b] = req.body.value;",
        "const { a, b } = req.body;\nif (a === '__proto__' || a === 'constructor') return res.end();\nstore[a][b] = req.body.value;",
    ),
    (
        "prototype-pollution",
        "function merge(to, from) {\n  for (const key in from) {\n    if (typeof from[key] === 'object') merge(to[key], from[key]);\n    else to[key] = from[key];\n  }\n}",
        "merge({}, req.body);",
        "merge({}, { a: { b: 1 } });\nres.json(req.body);",
    ),
    (
        "weak-cryptography",
        "const crypto = require('crypto');",
        "crypto.createHash('md5').update('x');",
        "crypto.createHash('sha256').update('x');",
    ),
    (
        "weak-randomness",
        "",
        "const token = Math.random();\nres.json(token);",
        "const token = require('crypto').randomBytes(16);\nres.json(token);",
    ),
    (
        "insecure-cookie",
        "",
        "res.cookie('session', 'x', {});",
        "res.cookie('session', 'x', { secure: true, httpOnly: true });",
    ),
]
BAD = [(rule, before, bad) for rule, before, bad, _ in PAIRS]
GOOD = [(rule, before, good) for rule, before, _, good in PAIRS]


def rules(files: dict[str, str], **manifest: str) -> set[str]:
    tree = {name: text.encode() for name, text in files.items()}
    if manifest:
        tree["plugin.yaml"] = "".join(f"{k}: {v}\n" for k, v in manifest.items()).encode()
    report = audit(SourceTree.from_files(tree), source_only=True)
    assert not report.unknowns, report.unknowns
    return {finding.rule for finding in report.findings}


@pytest.mark.parametrize(("rule", "before", "body"), BAD)
def test_a_flow_in_a_script_is_found(rule: str, before: str, body: str) -> None:
    assert rule in rules({"app.js": in_handler(before, body)})


@pytest.mark.parametrize(("rule", "before", "body"), GOOD)
def test_a_look_alike_in_a_script_is_not_found(rule: str, before: str, body: str) -> None:
    assert rule not in rules({"app.js": in_handler(before, body)})


@pytest.mark.parametrize(("rule", "before", "body"), BAD)
def test_other_names_and_another_order_change_nothing(rule: str, before: str, body: str) -> None:
    """The file, the application and the handler's parameters are called otherwise."""
    text = in_handler(before, body)
    renamed = re.sub(r"\breq\b", "asked", re.sub(r"\bres\b", "given", text))
    lines = renamed.replace("app.", "web.").replace("const app ", "const web ").split("\n")

    assert rule in rules(
        {"deep/in/place.cjs": "\n".join(["let unused = 1;", *lines, "unused = 2;"])}
    )


@pytest.mark.parametrize(("rule", "before", "body"), [each for each in BAD if "req." in each[2]])
def test_a_handler_of_another_file_is_found(rule: str, before: str, body: str) -> None:
    """Nothing in the file says which framework calls it, but that it asks and answers."""
    answered = "" if re.search(r"\bres\.", body) else "\nres.end();"
    handler = f"{before}\nexports.show = function (req, res) {{\n{body}{answered}\n}};\n"

    assert rule in rules({"handlers.js": handler})


def test_a_flow_is_followed_through_the_files_of_a_package() -> None:
    files = {
        "index.mjs": "import run from './lib/run.mjs';\nimport http from 'http';\n"
        "http.createServer((req, res) => { run(new URL(req.url, 'http://x').searchParams.get('c')); });\n",
        "lib/run.mjs": "import { shell as go } from './shell';\nexport default (line) => go(line);\n",
        "lib/shell.js": "const cp = require('child_process');\nexports.shell = function (l) { cp.execSync(l); };\n",
    }
    report = audit(
        SourceTree.from_files({n: t.encode() for n, t in files.items()}), source_only=True
    )

    [found] = [each for each in report.findings if each.rule == "command-injection"]
    assert (found.file, found.line, found.severity) == ("lib/shell.js", 2, Severity.HIGH)
    assert found.flow[0].file == "index.mjs"


def test_other_frameworks_hand_over_requests_too() -> None:
    koa = (
        "const Koa = require('koa');\nconst app = new Koa();\n"
        "app.use(async (c) => { require('child_process').exec(c.query.line); });\n"
    )
    fastify = (
        "import fastify from 'fastify';\nconst server = fastify();\n"
        "server.get('/x', async (request, reply) => { eval(request.body.code); });\n"
    )
    classes = (
        "const { exec } = require('child_process');\n"
        "class Runner { constructor(line) { this.line = line; } run() { exec(this.line); } }\n"
        f"{APP}app.post('/x', (a, b) => {{ new Runner(a.body.line).run(); }});\n"
    )

    assert "command-injection" in rules({"a.js": koa})
    assert "code-injection" in rules({"a.mjs": fastify})
    assert "command-injection" in rules({"a.js": classes})


@pytest.mark.parametrize(
    "export", ["module.exports = { run };", "exports.run = run;", "export { run };"]
)
def test_the_input_of_a_plugin_comes_from_outside(export: str) -> None:
    code = f"async function run({{ code }}, context) {{ return eval(code); }}\n{export}\n"

    assert "code-injection" in rules(
        {"plugin.js": code}, name="p", version="1", entry_point="plugin:run"
    )
    assert "code-injection" not in rules(
        {"plugin.js": code}, name="p", version="1", entry_point="plugin:go"
    )


def test_what_a_script_reaches_is_inferred() -> None:
    code = (
        "const fs = require('fs');\n"
        "async function run(input, context) {\n"
        "  await fetch('https://api.example.org/v1?q=' + input.q);\n"
        "  await context.fetch('https://private.example.org/');\n"
        "  fs.writeFileSync('/out/report.txt', fs.readFileSync('/in/data.txt', 'utf8'));\n"
        "  context.publish('home.report.v1', {});\n"
        "  require('child_process').spawn('ffmpeg', ['-version']);\n"
        "  return process.env.LANG;\n"
        "}\nmodule.exports = { run };\n"
    )
    files = {
        "plugin.js": code.encode(),
        "plugin.yaml": b"name: p\nversion: 1\nentry_point: plugin:run\n",
    }

    found = audit(SourceTree.from_files(files)).inferred

    assert found.network == ("api.example.org:443", "private.example.org:443")
    assert (found.files_read, found.files_written) == (("/in/data.txt",), ("/out/report.txt",))
    assert (found.processes, found.environment) == (("ffmpeg",), ("LANG",))
    assert found.events == ("home.report.v1",)
