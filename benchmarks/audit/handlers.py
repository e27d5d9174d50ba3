"""Makes small Flask handlers, half of them vulnerable, half look-alikes, in 14 categories.

Every handler takes a value from the request, passes it through something and uses it. A positive
sample lets the value reach a dangerous use; a negative one looks alike, but what arrives is a
constant, or was checked, or is used in a way that does no harm. Written from the CWE catalogue and
the documentation of Flask and of the libraries that are used.

    python benchmarks/audit/handlers.py FOLDER [SEED]   writes the files and labels.json
"""

import json
import random
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

SOURCES = [
    'value = request.args.get("item", "")',
    'value = request.form.get("item")\nif not value:\n    value = ""',
    'value = request.cookies.get("item", "none")',
    'value = request.headers.get("X-Item", "")',
    'value = urllib.parse.unquote_plus(request.cookies.get("item", "none"))',
    'value = ""\nvalues = request.form.getlist("item")\nif values:\n    value = values[0]',
    'value = ""\nfor name in request.form.keys():\n    if "item" in request.form.getlist(name):\n'
    "        value = name\n        break",
    'query = request.query_string.decode("utf-8")\nstart = query.find("item=")\n'
    "if start == -1:\n    return 'missing'\nvalue = urllib.parse.unquote(query[start + 5:])",
    'value = request.path.split("/")[2]\nif not value:\n    value = ""',
    'reader = ItemReader(request)\nvalue = reader.form_value("item")',
    'value = request.json["item"]',
    'values = request.args.getlist("item")\nvalue = values[0] if values else ""',
    'value = request.values["item"]',
]

#: (code that makes `data` from `value`, does the value arrive?)
PASSES = [
    ("data = value", True),
    ("data = 'fixed'", False),
    ("entries = {}\nentries['a'] = 'one'\nentries['b'] = value\ndata = entries['b']", True),
    ("entries = {}\nentries['a'] = 'one'\nentries['b'] = value\ndata = entries['a']", False),
    (
        "entries = {'a': 'one', 'b': value, 'c': 'two'}\ndata = entries['b']\ndata = entries['c']",
        False,
    ),
    (
        "entries = {'a': 'one', 'b': value, 'c': 'two'}\ndata = entries['c']\ndata = entries['b']",
        True,
    ),
    (
        "items = []\nitems.append('one')\nitems.append(value)\nitems.append('two')\nitems.pop(0)\ndata = items[0]",
        True,
    ),
    (
        "items = []\nitems.append('one')\nitems.append(value)\nitems.append('two')\nitems.pop(0)\ndata = items[1]",
        False,
    ),
    ("items = ['one', value, 'two']\ndata = items[1]", True),
    ("items = ['one', value, 'two']\ndata = items[-1]", False),
    ("number = 106\ndata = 'small' if 7 * 18 + number > 200 else value", False),
    ("number = 86\nif 7 * 42 - number > 200:\n    data = value\nelse:\n    data = 'other'", True),
    ("number = 86\nif 7 * 42 - number > 250:\n    data = value\nelse:\n    data = 'other'", False),
    (
        "letters = 'ABC'\nletter = letters[1]\nmatch letter:\n    case 'A':\n        data = value\n    case 'B':\n        data = 'bob'\n    case 'C' | 'D':\n        data = value\n    case _:\n        data = 'none'",
        False,
    ),
    (
        "letters = 'ABC'\nletter = letters[2]\nmatch letter:\n    case 'A':\n        data = value\n    case 'B':\n        data = 'bob'\n    case 'C' | 'D':\n        data = value\n    case _:\n        data = 'none'",
        True,
    ),
    (
        "config = configparser.ConfigParser()\nconfig.add_section('part')\nconfig.set('part', 'one', 'fixed')\nconfig.set('part', 'two', value)\ndata = config.get('part', 'one')",
        False,
    ),
    (
        "config = configparser.ConfigParser()\nconfig.add_section('part')\nconfig.set('part', 'one', 'fixed')\nconfig.set('part', 'two', value)\ndata = config.get('part', 'two')",
        True,
    ),
    (
        "coded = base64.b64encode(value.encode('utf-8'))\ndata = base64.b64decode(coded).decode('utf-8')",
        True,
    ),
    ("text = 'start' + value + 'end'\ndata = text[5:-3]", True),
    ("text = 'start' + value + 'end'\ndata = text[0:5]", False),
    ("text = value + '_end'\ndata = text[:-4]", True),
    ("text = f'{value}_end'\ndata = text[-3:]", False),
    ("maker = TextMaker('fixed')\ndata = maker.make(value)", True),
    ("maker = TextMaker('fixed')\nmaker.make(value)\ndata = maker.initial", False),
    ("holder = Holder()\nholder.first = value\nholder.second = 'fixed'\ndata = holder.first", True),
    (
        "holder = Holder()\nholder.first = value\nholder.second = 'fixed'\ndata = holder.second",
        False,
    ),
    ("data = pass_on(value)", True),
    ("data = forget(value)", False),
    ("def inner(text):\n    return text.strip()\ndata = inner(value)", True),
    ("data, other = value, 'fixed'", True),
    ("other, data = value, 'fixed'", False),
    ("data = ''.join(character for character in value)", True),
    ("data = ''.join(['one', value, 'two'])", True),
    ("queue = collections.deque(['fixed'])\nqueue.append(value)\ndata = queue.popleft()", False),
    (
        "queue = collections.deque(['fixed'])\nqueue.append(value)\nqueue.popleft()\ndata = queue.popleft()",
        True,
    ),
    (
        "out = io.StringIO()\nout.write('one ')\nout.write(value)\nout.seek(0)\ndata = out.read()",
        True,
    ),
    ("data = 'fixed'\nwhile False:\n    data = value", False),
    ("try:\n    data = value.strip()\nexcept ValueError:\n    data = ''", True),
    ("data = value if value else 'none'", True),
    ("data = None or value", True),
    ("data = 'fixed' or value", False),
    ("pick = lambda text: text\ndata = pick(value)", True),
    ("pick = lambda text: 'fixed'\ndata = pick(value)", False),
    ("names = {'one': 'first', 'two': 'second'}\ndata = names.get(value, 'none')", False),
    ("data = 'fixed'\nif value:\n    data = 'given'", False),
    ("stack = [value]\nstack.clear()\nstack.append('fixed')\ndata = stack[0]", False),
    ("data = str(len(value))", False),
    ("data = '%s' % value", True),
    ("data = '{}'.format(value)", True),
    ("data = value.replace('a', 'b')", True),
    ("first, *rest = ['fixed', value]\ndata = first", False),
    ("data = value\ndata = 'fixed'", False),
    ("table = [['a', value], ['b', 'fixed']]\ndata = table[1][1]", False),
    ("table = [['a', value], ['b', 'fixed']]\ndata = table[0][1]", True),
    ("data = functools.partial(pass_on, value)()", True),
    ("data = Shape.of(value).text()", True),
    ("flag = 1 == 2\ndata = 'fixed'\nif flag:\n    data = value", False),
    ("data = max(0, 5)\ndata = f'n{data}'", False),
]

HELPERS = """

class ItemReader:
    def __init__(self, request):
        self.request = request

    def form_value(self, name):
        return self.request.form.get(name, "")


class TextMaker:
    def __init__(self, initial):
        self.initial = initial

    def make(self, text):
        return self.shape(text)

    def shape(self, text):
        return text + ""


class Holder:
    pass


class Shape:
    def __init__(self, content):
        self._content = content

    @classmethod
    def of(cls, content):
        return cls(content)

    def text(self):
        return self._content


def pass_on(text):
    return text


def forget(text):
    if not text:
        return "empty"
    return "fixed"


def is_plain(text):
    for character in text:
        if character not in "abcdefghijklmnopqrstuvwxyz":
            return False
    return True
"""

IMPORTS = """import base64
import codecs
import collections
import configparser
import functools
import hashlib
import io
import os
import pathlib
import pickle
import random
import re
import secrets
import shlex
import sqlite3
import subprocess
import urllib.parse
import xml.sax
import xml.sax.handler
import html

import elementpath
import ldap3
import lxml.etree
import markupsafe
import yaml
from flask import Flask, jsonify, make_response, redirect, request, session
from ldap3.utils.conv import escape_filter_chars
from werkzeug.utils import secure_filename

app = Flask(__name__)
"""


@dataclass(frozen=True)
class Category:
    cwe: int
    harmful: tuple[str, ...]
    harmless: tuple[str, ...]
    needs_flow: bool = True


DATABASE = 'connection = sqlite3.connect("items.db")\ncursor = connection.cursor()\n'
LDAP = 'directory = ldap3.Connection(ldap3.Server("ldap.local"), auto_bind=True)\n'
TREE = 'tree = lxml.etree.parse("users.xml")\n'

CATEGORIES = {
    "commands": Category(78, (
        'os.system(f"echo {data}")\nreturn "done"',
        'out = subprocess.run(f"ls {data}", shell=True, capture_output=True)\nreturn "done"',
        'out = subprocess.run(["sh", "-c", f"echo {data}"])\nreturn "done"',
        'with os.popen("echo " + data) as pipe:\n    pipe.read()\nreturn "done"',
        'args = "ping -c 1 " + data\nsubprocess.Popen(args, shell=True)\nreturn "done"',
        'if len(data) > 100:\n    return "long"\nos.system("id " + data)\nreturn "done"',
    ), (
        'subprocess.run(["echo", data])\nreturn "done"',
        'subprocess.run(["ls", "-l", "--", data], check=False)\nreturn "done"',
        'os.system("echo " + shlex.quote(data))\nreturn "done"',
        'if not data.isalnum():\n    return "no"\nos.system("echo " + data)\nreturn "done"',
        'if data not in ("start", "stop"):\n    return "no"\nos.system("service x " + data)\nreturn "done"',
        'if not re.fullmatch(r"[a-z0-9]+", data):\n    return "no"\nos.popen("id " + data)\nreturn "done"',
        'try:\n    number = int(data)\nexcept ValueError:\n    return "no"\nos.system(f"sleep {number}")\nreturn "done"',
        'if not is_plain(data):\n    return "no"\nos.system("id " + data)\nreturn "done"',
        'commands = {"up": "uptime", "id": "id"}\ncommand = commands.get(data)\nif command is None:\n    return "no"\nos.system(command)\nreturn "done"',
    )),
    "code": Category(94, (
        "exec(data)\nreturn 'done'",
        "answer = eval(data)\nreturn 'done'",
        "exec(compile(data, '<text>', 'exec'))\nreturn 'done'",
        "answer = eval(f'1 + {data}')\nreturn 'done'",
        'if not data.startswith("\'"):\n    return "no"\nexec(data)\nreturn "done"',
        "if 'import' in data:\n    return 'no'\nexec(data)\nreturn 'done'",
    ), (
        "import ast\nanswer = ast.literal_eval(data)\nreturn 'done'",
        "if not data.isdigit():\n    return 'no'\nanswer = eval(data)\nreturn 'done'",
        "answer = eval('1 + 2')\nreturn 'done'",
        "if not data.startswith('\\'') or not data.endswith('\\'') or '\\'' in data[1:-1]:\n    return 'no'\nexec(data)\nreturn 'done'",
        "table = {'one': 'print(1)'}\nexec(table.get(data, 'pass'))\nreturn 'done'",
        "if not re.match(r'^[0-9]+$', data):\n    return 'no'\nanswer = eval(data)\nreturn 'done'",
        "answer = int(data)\nexec(f'x = {answer}')\nreturn 'done'",
    )),
    "deserialisation": Category(502, (
        "thing = pickle.loads(base64.urlsafe_b64decode(data))\nreturn 'done'",
        "thing = yaml.load(data, Loader=yaml.Loader)\nreturn 'done'",
        "thing = yaml.load(data, Loader=yaml.UnsafeLoader)\nreturn 'done'",
        "thing = yaml.unsafe_load(data)\nreturn 'done'",
        "thing = pickle.load(io.BytesIO(data.encode()))\nreturn 'done'",
    ), (
        "import json\nthing = json.loads(data)\nreturn 'done'",
        "thing = yaml.safe_load(data)\nreturn 'done'",
        "thing = yaml.load(data, Loader=yaml.SafeLoader)\nreturn 'done'",
        "thing = pickle.dumps(data)\nreturn 'done'",
        "thing = pickle.loads(pickle.dumps('fixed'))\nreturn 'done'",
    )),
    "hash": Category(328, (
        "digest = hashlib.md5(data.encode()).hexdigest()\nreturn 'done'",
        "digest = hashlib.new('sha1', data.encode()).hexdigest()\nreturn 'done'",
        "digest = hashlib.sha1()\ndigest.update(data.encode())\nreturn 'done'",
        "kinds = {'old': 'md5', 'new': 'sha256'}\ndigest = hashlib.new(kinds['old'])\nreturn 'done'",
        "kind = 'sha512'\nif 7 * 3 > 20:\n    kind = 'md5'\ndigest = hashlib.new(kind)\nreturn 'done'",
    ), (
        "digest = hashlib.sha256(data.encode()).hexdigest()\nreturn 'done'",
        "digest = hashlib.new('sha512', data.encode()).hexdigest()\nreturn 'done'",
        "digest = hashlib.sha3_256()\ndigest.update(data.encode())\nreturn 'done'",
        "kinds = {'old': 'md5', 'new': 'sha256'}\ndigest = hashlib.new(kinds['new'])\nreturn 'done'",
        "digest = hashlib.md5(data.encode(), usedforsecurity=False).hexdigest()\nreturn 'done'",
    ), needs_flow=False),
    "ldap": Category(90, (
        LDAP + 'directory.search("dc=home", f"(uid={data})", attributes=["cn"])\nreturn "done"',
        LDAP + 'filter = "(&(objectclass=person)(uid=" + data + "))"\ndirectory.search(search_base="dc=home", search_filter=filter)\nreturn "done"',
        LDAP + 'base = f"ou={data},dc=home"\ndirectory.search(base, "(uid=fixed)")\nreturn "done"',
    ), (
        LDAP + 'safe = escape_filter_chars(data)\ndirectory.search("dc=home", f"(uid={safe})")\nreturn "done"',
        LDAP + 'directory.search("dc=home", "(uid=fixed)")\nreturn "done"',
        LDAP + 'if not data.isalnum():\n    return "no"\ndirectory.search("dc=home", f"(uid={data})")\nreturn "done"',
        LDAP + 'if re.search(r"[*()\\\\|&]", data):\n    return "no"\ndirectory.search("dc=home", f"(uid={data})")\nreturn "done"',
    )),
    "paths": Category(22, (
        'with open(f"/srv/files/{data}") as file:\n    file.read()\nreturn "done"',
        'name = os.path.join("/srv/files", data)\nwith codecs.open(name, "r", "utf-8") as file:\n    file.read()\nreturn "done"',
        'path = pathlib.Path("/srv/files") / data\ntext = path.read_text()\nreturn "done"',
        'name = "/srv/files/" + data.replace("../", "")\nopen(name, "rb").read()\nreturn "done"',
        'if not data.endswith(".txt"):\n    return "no"\nopen("/srv/files/" + data).read()\nreturn "done"',
        'name = os.path.join("/srv/files", data)\nif not name.startswith("/srv/files"):\n    return "no"\nopen(name)\nreturn "done"',
    ), (
        'name = secure_filename(data)\nopen(f"/srv/files/{name}").read()\nreturn "done"',
        'if ".." in data or "/" in data:\n    return "no"\nopen(f"/srv/files/{data}").read()\nreturn "done"',
        'if "../" in data:\n    return "no"\nopen(f"/srv/files/{data}").read()\nreturn "done"',
        'name = os.path.realpath(os.path.join("/srv/files", data))\nif not name.startswith("/srv/files/"):\n    return "no"\nopen(name).read()\nreturn "done"',
        'path = (pathlib.Path("/srv/files") / data).resolve()\nif not path.is_relative_to("/srv/files"):\n    return "no"\npath.read_text()\nreturn "done"',
        'if data not in ["a.txt", "b.txt"]:\n    return "no"\nopen("/srv/files/" + data).read()\nreturn "done"',
        'name = os.path.basename(data)\nopen("/srv/files/" + name).read()\nreturn "done"',
        'root = pathlib.Path("/srv/files")\npath = (root / data).resolve()\nif not str(path).startswith(str(root)):\n    return "no"\nopen(path).read()\nreturn "done"',
    )),
    "redirects": Category(601, (
        "return redirect(data)",
        'target = "http://" + data\nreturn redirect(target)',
        'response = make_response("", 302)\nresponse.headers["Location"] = data\nreturn response',
        'if not data.startswith("http"):\n    return "no"\nreturn redirect(data)',
        'url = urllib.parse.urlparse(data)\nif url.scheme != "https":\n    return "no"\nreturn redirect(data)',
    ), (
        'return redirect("/home")',
        'return redirect("/items/" + urllib.parse.quote_plus(data))',
        'if data not in ("/a", "/b"):\n    return "no"\nreturn redirect(data)',
        'url = urllib.parse.urlparse(data)\nif url.netloc not in ["home.example"] or url.scheme != "https":\n    return "no"\nreturn redirect(data)',
        'if urllib.parse.urlparse(data).netloc != "home.example":\n    return "no"\nreturn redirect(data)',
        'return redirect(f"https://home.example/{data}")',
        'if not data.startswith("https://home.example/"):\n    return "no"\nreturn redirect(data)',
    )),
    "cookies": Category(614, (
        'response = make_response("x")\nresponse.set_cookie("item", "v", secure=False, httponly=True)\nreturn response',
        'response = make_response("x")\nresponse.set_cookie("item", "v", path="/", httponly=True)\nreturn response',
        'response = make_response("x")\nsafe = False\nresponse.set_cookie("item", "v", secure=safe, httponly=True)\nreturn response',
    ), (
        'response = make_response("x")\nresponse.set_cookie("item", "v", secure=True, httponly=True)\nreturn response',
        'response = make_response("x")\nresponse.set_cookie("item", "v", path="/", secure=True, httponly=True)\nreturn response',
        'response = make_response("x")\noptions = {"secure": True, "httponly": True}\nresponse.set_cookie("item", "v", **options)\nreturn response',
    ), needs_flow=False),
    "sql": Category(89, (
        DATABASE + 'cursor.execute(f"SELECT * FROM items WHERE name = \'{data}\'")\nreturn "done"',
        DATABASE + 'cursor.execute("SELECT * FROM items WHERE name = \'%s\'" % data)\nreturn "done"',
        DATABASE + 'query = "SELECT * FROM items WHERE name = \'" + data + "\'"\ncursor.execute(query)\nrows = cursor.fetchall()\nreturn "done"',
        DATABASE + 'cursor.executescript("UPDATE items SET name = \'{}\'".format(data))\nreturn "done"',
        DATABASE + 'connection.execute("SELECT * FROM " + data)\nreturn "done"',
    ), (
        DATABASE + 'cursor.execute("SELECT * FROM items WHERE name = ?", (data,))\nreturn "done"',
        DATABASE + 'cursor.execute("SELECT * FROM items WHERE name = :name", {"name": data})\nreturn "done"',
        DATABASE + 'if not data.isalnum():\n    return "no"\ncursor.execute(f"SELECT * FROM {data}")\nreturn "done"',
        DATABASE + 'number = int(data)\ncursor.execute(f"SELECT * FROM items WHERE id = {number}")\nreturn "done"',
        DATABASE + 'if data not in {"name", "price"}:\n    data = "name"\ncursor.execute(f"SELECT * FROM items ORDER BY {data}")\nreturn "done"',
    )),
    "trust boundary": Category(501, (
        'session[data] = "12345"\nreturn "done"',
        'session["user"] = data\nreturn "done"',
        'session.update({"user": data})\nreturn "done"',
    ), (
        'session["user"] = "fixed"\nreturn "done"',
        'if data not in ("a", "b"):\n    return "no"\nsession["user"] = data\nreturn "done"',
        'user = data\nsession["count"] = len(user)\nreturn "done"',
    )),
    "randomness": Category(330, (
        "number = random.random()\nreturn 'done'",
        "number = random.randint(0, 99)\nreturn 'done'",
        "number = str(random.getrandbits(64))[2:]\nreturn 'done'",
        "letters = random.choice('abc')\nreturn 'done'",
        "source = random.Random()\nnumber = source.random()\nreturn 'done'",
        "text = random.randbytes(8).hex()\nreturn 'done'",
    ), (
        "number = secrets.randbelow(99)\nreturn 'done'",
        "number = random.SystemRandom().randint(0, 99)\nreturn 'done'",
        "text = secrets.token_hex(8)\nreturn 'done'",
        "source = random.SystemRandom()\nnumber = source.random()\nreturn 'done'",
        "text = os.urandom(8).hex()\nreturn 'done'",
    ), needs_flow=False),
    "xpath": Category(643, (
        TREE + 'found = tree.xpath(f"//user[@name=\'{data}\']")\nreturn "done"',
        TREE + 'query = "//user[@name=\'" + data + "\']"\nfound = elementpath.select(tree, query)\nreturn "done"',
        TREE + 'find = lxml.etree.XPath(f"//user[@name=\'{data}\']")\nfound = find(tree)\nreturn "done"',
        'import xml.etree.ElementTree as tools\ntree = tools.parse("users.xml")\nfound = tree.findall(f".//user[@name=\'{data}\']")\nreturn "done"',
    ), (
        TREE + 'found = tree.xpath("//user[@name=$name]", name=data)\nreturn "done"',
        TREE + 'safe = data.replace("\'", "&apos;")\nfound = tree.xpath(f"//user[@name=\'{safe}\']")\nreturn "done"',
        TREE + 'if "\'" in data:\n    return "no"\nfound = elementpath.select(tree, f"//user[@name=\'{data}\']")\nreturn "done"',
        TREE + 'found = tree.xpath("//user")\nreturn "done"',
        TREE + 'if not data.isalnum():\n    return "no"\nfound = tree.xpath(f"//user[@name=\'{data}\']")\nreturn "done"',
    )),
    "xss": Category(79, (
        "return f'<p>{data}</p>'",
        "return 'value: ' + data",
        "page = '<html>'\npage += 'value '\npage += data\nreturn page",
        "return make_response('<p>' + data + '</p>')",
        "page = {'text': data}\nreturn '<p>%(text)s</p>' % page",
        "return data, 200",
        "return markupsafe.Markup('<b>' + data + '</b>')",
    ), (
        "return f'<p>{markupsafe.escape(data)}</p>'",
        "return 'value: ' + html.escape(data)",
        "return jsonify(item=data)",
        "return {'item': data}",
        "page = '<html>'\npage += 'value'\nif data:\n    page += 'given'\nreturn page",
        "safe = data.replace('<', '&lt;').replace('>', '&gt;')\nreturn '<p>' + safe + '</p>'",
        "count = len(data)\nreturn f'<p>{count}</p>'",
        "return '<p>%d</p>' % int(data)",
        "response = make_response(data)\nresponse.headers['X-A'] = 'b'\nreturn 'fixed'" if False else
        "return escape_for_html(data)",
    )),
    "entities": Category(611, (
        "parser = xml.sax.make_parser()\nparser.setFeature(xml.sax.handler.feature_external_ges, True)\nparser.parse(io.StringIO(data))\nreturn 'done'",
        "parser = lxml.etree.XMLParser(resolve_entities=True)\ntree = lxml.etree.fromstring(data, parser)\nreturn 'done'",
        "parser = lxml.etree.XMLParser(no_network=False, load_dtd=True)\ntree = lxml.etree.fromstring(data, parser)\nreturn 'done'",
    ), (
        "parser = xml.sax.make_parser()\nparser.setFeature(xml.sax.handler.feature_external_ges, False)\nparser.parse(io.StringIO(data))\nreturn 'done'",
        "parser = lxml.etree.XMLParser(resolve_entities=False)\ntree = lxml.etree.fromstring(data, parser)\nreturn 'done'",
        "import xml.dom.minidom\ntree = xml.dom.minidom.parseString(data)\nreturn 'done'",
    ), needs_flow=False),
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    name: str
    category: str
    cwe: int
    is_vulnerable: bool
    text: str


def samples(seed: int, per_category: int = 60) -> list[Sample]:
    """The same samples for the same seed, positive and negative in equal number."""
    source = random.Random(seed)
    made: list[Sample] = []
    for name, category in CATEGORIES.items():
        for number in range(per_category):
            is_vulnerable = number % 2 == 0
            text = _handler(source, category, number, is_vulnerable=is_vulnerable)
            slug = name.replace(" ", "_")
            made.append(Sample(f"{slug}_{number:03d}.py", name, category.cwe, is_vulnerable, text))
    return made


def _handler(source: random.Random, category: Category, number: int, *, is_vulnerable: bool) -> str:
    arriving = [code for code, arrives in PASSES if arrives]
    lost = [code for code, arrives in PASSES if not arrives]
    if is_vulnerable:
        use, way = source.choice(category.harmful), source.choice(arriving)
        if not category.needs_flow:
            way = source.choice([*arriving, *lost])
    elif category.needs_flow and source.random() < 0.55:
        use, way = source.choice(category.harmful), source.choice(lost)
    else:
        use, way = source.choice(category.harmless), source.choice(arriving)
    body = "\n".join([source.choice(SOURCES), way, use])
    route = f'@app.route("/items/{number}", methods=["GET", "POST"])\ndef handle_{number}():\n'
    if source.random() < 0.4:
        handler = "\n\ndef init(app):\n" + textwrap.indent(
            route + textwrap.indent(body, "    "), "    "
        )
    else:
        handler = "\n\n" + route + textwrap.indent(body, "    ")
    return IMPORTS + HELPERS + handler + "\n"


def main() -> None:
    folder = Path(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    folder.mkdir(parents=True, exist_ok=True)
    labels = {}
    for sample in samples(seed):
        (folder / sample.name).write_text(sample.text)
        labels[sample.name] = {"cwe": sample.cwe, "vulnerable": sample.is_vulnerable}
    (folder / "labels.json").write_text(json.dumps(labels, indent=1))


if __name__ == "__main__":
    main()
