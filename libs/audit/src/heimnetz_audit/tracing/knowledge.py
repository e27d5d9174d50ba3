"""What is known about libraries: where data comes from, and what makes it harmless."""

import ast
import re
from typing import TYPE_CHECKING, Final

from heimnetz_audit.model.values import Value

if TYPE_CHECKING:
    from heimnetz_audit.tracing.engine import Engine

CONSTANTS: Final = {
    "os.sep": "/",
    "os.path.sep": "/",
    "os.pardir": "..",
    "os.curdir": ".",
    "os.linesep": "\n",
    "string.ascii_letters": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "string.ascii_lowercase": "abcdefghijklmnopqrstuvwxyz",
    "string.ascii_uppercase": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "string.digits": "0123456789",
}
#: Attributes of an object from outside that its sender does not choose freely.
SAFE_ATTRIBUTES: Final = frozenset(
    (
        "method endpoint remote_addr is_secure scheme blueprint session user app content_length "
        "is_json is_xhr url_rule routing_exception resolver_match client site max_content_length "
        "__class__ __dict__ __name__ errno status_code"
    ).split()
)
#: Names of a request object, in the frameworks that pass it or make it global.
REQUESTS: Final = frozenset(
    {
        "flask.request", "quart.request", "bottle.request", "sanic.request", "django.request",
        "aiohttp.request", "starlette.request", "web.request", "cherrypy.request",
    }
)  # fmt: skip
REQUEST_PARTS: Final = frozenset(
    (
        "args form values headers cookies json data files query_string path full_path url base_url "
        "get_json get_data stream view_args referrer user_agent authorization GET POST COOKIES "
        "META FILES body query query_params path_params match_info params text post read content "
        "raw_path rel_url path_qs get_full_path forms environ mimetype content_type "
        "access_route host host_url url_root query_arguments arguments get_argument "
        "get_arguments get_query_argument get_body_argument get_cookie json_body"
    ).split()
)
#: Where the request itself was sent: no stranger chooses that for somebody else.
OWN_ADDRESS: Final = frozenset(
    "path full_path url base_url get_full_path host host_url url_root raw_path path_qs referrer "
    "rel_url".split()
)
_SOURCES: Final = {
    "sys.argv": "argument",
    "os.environ": "dump",
    "os.environb": "dump",
    "sys.stdin": "argument",
}
_SOURCE_CALLS: Final = {
    "input": "argument",
    "raw_input": "argument",
    "os.getenv": "environment",
    "os.environ.get": "environment",
    "os.environ.copy": "dump",
    "os.environ.items": "dump",
    "stegano.lsb.reveal": "decoded",
    "PIL.Image.open().getpixel": "decoded",
    "PIL.Image.open().getdata": "decoded",
    "cv2.VideoCapture().read": "screenshot",
    "subprocess.check_output": "output",
    "os.popen": "output",
    "subprocess.run": "output",
    "subprocess.getoutput": "output",
    "subprocess.Popen": "output",
    "psutil.process_iter": "system",
    "psutil.users": "system",
    "pwd.getpwall": "system",
    "sys.stdin.read": "argument",
    "sys.stdin.readline": "argument",
    "urllib.request.urlopen": "network",
    "requests.get": "network",
    "requests.post": "network",
    "requests.put": "network",
    "requests.request": "network",
    "requests.Session().get": "network",
    "requests.Session().post": "network",
    "requests.session().get": "network",
    "requests.session().post": "network",
    "httpx.get": "network",
    "httpx.post": "network",
    "httpx.stream": "network",
    "httpx.Client().get": "network",
    "httpx.AsyncClient().get": "network",
    "aiohttp.ClientSession().get": "network",
    "urllib3.PoolManager().request": "network",
    "socket.socket().recv": "network",
    "socket.socket().recvfrom": "network",
    "socket.create_connection().recv": "network",
    "http.client.HTTPConnection().getresponse": "network",
    "http.client.HTTPSConnection().getresponse": "network",
    "urllib.urlopen": "network",
    "urllib2.urlopen": "network",
    "wget.download": "network",
    "socket.socket().makefile": "network",
    "dns.resolver.resolve": "network",
    "asyncio.open_connection": "network",
    "paramiko.SSHClient().exec_command": "network",
    "base64.b64decode": "decoded",
    "base64.b32decode": "decoded",
    "base64.b16decode": "decoded",
    "base64.b85decode": "decoded",
    "base64.a85decode": "decoded",
    "base64.urlsafe_b64decode": "decoded",
    "base64.standard_b64decode": "decoded",
    "base64.decodebytes": "decoded",
    "binascii.a2b_base64": "decoded",
    "binascii.unhexlify": "decoded",
    "binascii.a2b_hex": "decoded",
    "bytes.fromhex": "decoded",
    "zlib.decompress": "decoded",
    "gzip.decompress": "decoded",
    "bz2.decompress": "decoded",
    "lzma.decompress": "decoded",
    "codecs.decode": "decoded",
    "marshal.loads": "decoded",
    "pyperclip.paste": "clipboard",
    "clipboard.paste": "clipboard",
    "win32clipboard.GetClipboardData": "clipboard",
    "tkinter.Tk().clipboard_get": "clipboard",
    "PIL.ImageGrab.grab": "screenshot",
    "PIL.ImageGrab.grabclipboard": "clipboard",
    "pyautogui.screenshot": "screenshot",
    "pyscreenshot.grab": "screenshot",
    "mss.mss().grab": "screenshot",
    "mss.mss().shot": "screenshot",
    "socket.gethostname": "system",
    "platform.node": "system",
    "platform.platform": "system",
    "platform.uname": "system",
    "os.uname": "system",
    "getpass.getuser": "system",
    "getpass.getpass": "secret",
    "os.getlogin": "system",
    "os.listdir": "listing",
    "os.getcwd": "system",
    "uuid.getnode": "system",
    "keyring.get_password": "secret",
    "browser_cookie3.chrome": "secret",
    "browser_cookie3.firefox": "secret",
    "browser_cookie3.load": "secret",
    "win32crypt.CryptUnprotectData": "secret",
}
#: Files that hold what their owner would not hand out.
SECRET_FILES: Final = re.compile(
    r"(\.ssh[/\\]|[/\\]?id_(rsa|dsa|ecdsa|ed25519)|\.aws[/\\]|\.azure[/\\]|\.kube[/\\]config"
    r"|\.docker[/\\]config\.json|\.gnupg|\.netrc|\.npmrc|\.pypirc|\.git-credentials|\.gitconfig$"
    r"|/etc/(passwd|shadow|sudoers)|\.bash_history|\.zsh_history|Login Data|Local State"
    r"|[/\\]Cookies$|cookies\.sqlite|key[34]\.db|logins\.json|wallet\.dat|\.electrum|exodus"
    r"|Ethereum[/\\]keystore|\.config[/\\]gcloud|keychain|Local Storage[/\\]leveldb|\.env$"
    r"|discord[/\\]|Telegram Desktop|MetaMask|nkbihfbeogaeaoehlefnkodbefgpgknn|\.bitcoin"
    r"|serviceaccount/token|\.vault-token|User Data|credentials\.json|application_default_cred)",
    re.IGNORECASE,
)
#: Calls whose result is no text that its argument could steer.
CLEAN_CALLS: Final = frozenset(
    (
        "int float bool complex len hash id isinstance issubclass callable type range abs round "
        "ord uuid.UUID datetime.datetime datetime.date decimal.Decimal ipaddress.ip_address "
        "ipaddress.IPv4Address hashlib.md5 hashlib.sha1 hashlib.sha224 hashlib.sha256 "
        "hashlib.sha384 hashlib.sha512 hashlib.new hashlib.blake2b hashlib.sha3_256 hmac.new "
        "hmac.compare_digest os.path.exists os.path.isfile os.path.isdir os.path.getsize "
        "os.path.islink os.stat struct.calcsize print logging.getLogger flask.jsonify "
        "django.http.JsonResponse flask.session.get flask.url_for django.urls.reverse "
        "secrets.compare_digest enumerate.__len__ random.random setattr delattr hasattr "
        "flask.abort time.sleep os.path.getmtime super object"
    ).split()
)
CLEAN_METHODS: Final = frozenset(
    (
        "hexdigest digest isdigit isalpha isalnum isnumeric isdecimal isidentifier isspace "
        "startswith endswith find rfind count is_absolute is_relative_to exists is_file is_dir "
        "is_valid __len__ total_seconds timestamp fetchone fetchall fetchmany rowcount "
        "commit rollback close match_ok scalar scalars first search_s search_ext_s"
    ).split()
)
#: Sanitisers: what the result is harmless for.
ESCAPES: Final[dict[str, frozenset[str]]] = {
    name: frozenset(kinds.split())
    for names, kinds in (
        ("html.escape markupsafe.escape flask.escape cgi.escape django.utils.html.escape "
         "django.utils.html.conditional_escape werkzeug.utils.escape bleach.clean nh3.clean "
         "xml.sax.saxutils.escape xml.sax.saxutils.quoteattr jinja2.escape "
         "django.utils.html.strip_tags markupsafe.Markup.escape markupsafe.Markup().format "
         "django.utils.html.format_html", "html xml"),
        ("json.dumps flask.json.dumps", "header"),
        ("shlex.quote pipes.quote", "command"),
        ("urllib.parse.quote_plus urllib.quote_plus werkzeug.urls.url_quote_plus",
         "html command sql path ldap xpath xml header log redirect template"),
        ("urllib.parse.quote urllib.quote werkzeug.urls.url_quote urllib.parse.urlencode",
         "html command sql ldap xpath xml header log template"),
        ("werkzeug.utils.secure_filename django.utils.text.get_valid_filename "
         "pathvalidate.sanitize_filename", "path command html header log"),
        ("os.path.basename ntpath.basename", "path"),
        ("werkzeug.utils.safe_join flask.safe_join werkzeug.security.safe_join "
         "django.utils._os.safe_join", "path"),
        ("ldap.filter.escape_filter_chars ldap3.utils.conv.escape_filter_chars "
         "ldap.dn.escape_dn_chars ldap3.utils.dn.escape_rdn ldap.filter.filter_format", "ldap"),
        ("re.escape", "regex"),
        ("ast.literal_eval", "code"),
        ("psycopg2.sql.Identifier psycopg.sql.Identifier psycopg2.sql.Literal psycopg.sql.Literal "
         "sqlalchemy.bindparam", "sql"),
        ("repr", "log"),
        ("django.utils.text.slugify slugify.slugify", "path html command sql header log redirect "
         "xpath ldap"),
    )
    for name in names.split()
}  # fmt: skip
ENCODERS: Final = frozenset(
    (
        "base64.b64encode base64.urlsafe_b64encode base64.b32encode base64.b16encode "
        "base64.standard_b64encode base64.encodebytes base64.b85encode binascii.hexlify "
        "binascii.b2a_base64 binascii.b2a_hex zlib.compress gzip.compress bz2.compress"
    ).split()
)
#: The result is another text than the argument: what was proven about that says nothing.
DECODERS: Final = frozenset(
    {name for name, kind in _SOURCE_CALLS.items() if kind == "decoded"}
    | {
        "urllib.parse.unquote", "urllib.parse.unquote_plus", "urllib.parse.unquote_to_bytes",
        "html.unescape", "xml.sax.saxutils.unescape", "urllib.unquote", "urllib.unquote_plus",
        "json.loads",
    }
)  # fmt: skip
#: An unknown function whose name says what it does is believed about that.
_NAMED_ESCAPES: Final = (
    (re.compile(r"(escape|sanitiz|sanitis|encode|clean|quote).*(html|xss|markup)"
                r"|(html|xss).*(escape|sanitiz|sanitis|encode|clean|quote)"
                r"|^strip_tags$", re.IGNORECASE), frozenset({"html"})),
    (re.compile(r"(escape|sanitiz|sanitis|encode|quote).*ldap|ldap.*(escape|encode)", re.IGNORECASE),
     frozenset({"ldap"})),
    (re.compile(r"(escape|sanitiz|sanitis|encode|quote).*xpath|xpath.*(escape|encode)", re.IGNORECASE),
     frozenset({"xpath"})),
    (re.compile(r"(escape|sanitiz|sanitis|quote).*sql|sql.*(escape|quote)", re.IGNORECASE),
     frozenset({"sql"})),
    (re.compile(r"(escape|quote|sanitiz|sanitis).*(shell|command|cmd|arg)", re.IGNORECASE),
     frozenset({"command"})),
    (re.compile(r"(sanitiz|sanitis|secure|clean|safe).*(path|file_?name)", re.IGNORECASE),
     frozenset({"path"})),
    (re.compile(r"^(escape|escape_string)$", re.IGNORECASE), frozenset({"html"})),
)  # fmt: skip
RESOLVERS: Final = frozenset(
    "os.path.realpath os.path.abspath os.path.normpath pathlib.Path().resolve".split()
)
_FRAMEWORKS: Final = frozenset(
    "flask django aiohttp fastapi starlette bottle quart sanic tornado rest_framework pyramid "
    "falcon cherrypy heimnetz_sdk".split()
)


def named_escape(name: str) -> frozenset[str]:
    function = name.rpartition(".")[2]
    for pattern, kinds in _NAMED_ESCAPES:
        if pattern.search(function):
            return kinds
    return frozenset()


def implicit(engine: "Engine", name: str, node: ast.AST) -> Value | None:
    """`request` without an import that the engine could see, as in `from x import *`."""
    if name == "request" and uses_framework(engine.frame.module.imports):
        return engine.source("passed", node).replaced(name="flask.request")
    return None


def uses_framework(imports: frozenset[str]) -> bool:
    return not _FRAMEWORKS.isdisjoint(imports)


def is_request(name: str) -> bool:
    return name in REQUESTS


def source_attribute(engine: "Engine", dotted: str, node: ast.AST) -> Value | None:
    owner, _, name = dotted.rpartition(".")
    if is_request(owner):
        if name in REQUEST_PARTS:
            own = frozenset({"redirect"}) if name in OWN_ADDRESS else frozenset()
            return engine.source("request", node, own).replaced(name=dotted)
        return Value(name=dotted)
    if dotted in REQUESTS:
        return engine.source("passed", node).replaced(name=dotted)
    kind = _SOURCES.get(dotted)
    if kind is not None:
        return engine.source(kind, node).replaced(name=dotted)
    return None


def source_item(engine: "Engine", name: str, node: ast.AST) -> Value | None:
    if name in ("os.environ", "os.environb"):
        return engine.source("environment", node)
    return None


def source_call(name: str) -> str | None:
    return _SOURCE_CALLS.get(name)
