"""Names of Node and of well-known packages, and the names that the checks know them by."""

from typing import Final

#: The globals of Node and of browsers.
GLOBALS: Final = frozenset(
    (
        "require process global globalThis window self console Buffer eval Function setTimeout "
        "setInterval setImmediate queueMicrotask fetch XMLHttpRequest WebSocket EventSource URL "
        "URLSearchParams Promise Object Array String Number Boolean JSON Math Date RegExp Map Set "
        "WeakMap WeakSet Symbol Reflect Proxy parseInt parseFloat isNaN isFinite encodeURIComponent "
        "decodeURIComponent encodeURI decodeURI escape unescape atob btoa document location "
        "navigator history localStorage sessionStorage crypto structuredClone Error TypeError "
        "AbortSignal AbortController TextDecoder TextEncoder Uint8Array ArrayBuffer BigInt Headers "
        "Request Response FormData Intl performance $ jQuery __dirname __filename _ import_meta "
        "alert chrome browser ethereum WScript ActiveXObject Deno Bun"
    ).split()
)
_HOLDERS: Final = ("globalThis.", "global.", "window.", "self.", "node:process.mainModule.")

_PLAIN: Final = {
    # What the language has.
    "vm.runInThisContext": "exec", "vm.runInNewContext": "exec",
    "vm.runInContext": "exec", "vm.Script": "exec", "vm.compileFunction": "exec",
    "vm.SourceTextModule": "exec", "Module()._compile": "exec", "module._compile": "exec",
    "npm:vm2.VM().run": "exec", "npm:vm2.NodeVM().run": "exec", "npm:safe-eval": "exec",
    "npm:static-eval": "exec", "npm:notevil": "exec", "execScript": "exec",
    "RegExp": "re.compile", "parseInt": "int", "parseFloat": "float", "Number": "float",
    "BigInt": "int", "Boolean": "bool",
    "module.constructor._load": "require", "module.require": "require", "Module._load": "require",
    "module.createRequire()": "require", "process.binding": "ctypes.CDLL",
    "process.dlopen": "ctypes.CDLL", "ActiveXObject().Run": "os.system",
    "ActiveXObject().Exec": "os.system", "WScript.CreateObject().Run": "os.system",
    "JSON.parse": "json.loads",
    "encodeURIComponent": "urllib.parse.quote_plus", "encodeURI": "urllib.parse.quote",
    "escape": "urllib.parse.quote", "querystring.escape": "urllib.parse.quote_plus",
    "decodeURIComponent": "urllib.parse.unquote", "decodeURI": "urllib.parse.unquote",
    "querystring.unescape": "urllib.parse.unquote", "unescape": "urllib.parse.unquote",
    "atob": "base64.b64decode", "npm:atob": "base64.b64decode",
    "npm:js-base64.Base64.decode": "base64.b64decode", "npm:pako.inflate": "zlib.decompress",
    "npm:crypto-js.AES.decrypt": "codecs.decode",
    "zlib.inflate": "zlib.decompress", "zlib.gunzip": "gzip.decompress",
    "zlib.unzip": "zlib.decompress", "zlib.inflateRaw": "zlib.decompress",
    "zlib.brotliDecompress": "zlib.decompress",
    "crypto.createDecipheriv().update": "codecs.decode",
    "crypto.createDecipher().update": "codecs.decode",
    "URL": "urllib.parse.urlparse", "url.parse": "urllib.parse.urlparse", "url.URL": "urllib.parse.urlparse",
    # The process.
    "process": "node:process", "process.env": "os.environ", "process.argv": "sys.argv",
    "process.stdin": "sys.stdin", "process.exit": "sys.exit", "process.abort": "os.abort",
    "process.cwd": "node:process.cwd", "process.platform": "node:process.platform",
    # Files.
    "fs.unlink": "os.unlink", "fs.rm": "shutil.rmtree", "fs.rmdir": "os.rmdir",
    "fs.mkdir": "os.makedirs", "fs.readdir": "os.listdir", "fs.opendir": "os.scandir",
    "fs.stat": "os.stat", "fs.lstat": "os.stat", "fs.exists": "os.path.exists",
    "fs.access": "os.access", "fs.chmod": "os.chmod", "fs.truncate": "os.truncate",
    "fs.rename": "os.rename", "fs.copyFile": "shutil.copyfile", "fs.cp": "shutil.copytree",
    "fs.symlink": "os.symlink", "fs.link": "os.link", "fs.readlink": "os.readlink",
    "fs.watch": "os.stat", "fs.utimes": "os.stat", "npm:rimraf": "shutil.rmtree",
    "npm:fs-extra.remove": "shutil.rmtree", "npm:mkdirp": "os.makedirs", "npm:glob": "glob.glob",
    "npm:glob.sync": "glob.glob", "npm:del": "shutil.rmtree",
    "fs.realpath": "os.path.realpath", "path.basename": "os.path.basename",
    "path.sep": "os.sep", "path.delimiter": "os.pathsep",
    # Where the machine tells who it is.
    "os.hostname": "socket.gethostname", "os.userInfo": "getpass.getuser",
    "os.networkInterfaces": "uuid.getnode", "os.platform": "node:process.platform",
    "npm:node-machine-id.machineIdSync": "uuid.getnode",
    # Hashes and random numbers.
    "crypto.createHash": "hashlib.new", "npm:md5": "hashlib.md5", "npm:sha1": "hashlib.sha1",
    "npm:blueimp-md5": "hashlib.md5", "npm:crypto-js.MD5": "hashlib.md5",
    "npm:crypto-js.SHA1": "hashlib.sha1", "Math.random": "random.random",
    # Sanitisers.
    "npm:escape-html": "html.escape", "npm:he.encode": "html.escape", "npm:he.escape": "html.escape",
    "npm:validator.escape": "html.escape", "npm:lodash.escape": "html.escape", "_.escape": "html.escape",
    "npm:lodash.escape-html": "html.escape", "npm:dompurify.sanitize": "bleach.clean",
    "npm:isomorphic-dompurify.sanitize": "bleach.clean", "DOMPurify.sanitize": "bleach.clean",
    "npm:sanitize-html": "bleach.clean", "npm:xss": "bleach.clean", "npm:xss.filterXSS": "bleach.clean",
    "npm:html-entities.encode": "html.escape", "npm:html-escaper.escape": "html.escape",
    "npm:xss-filters.inHTMLData": "html.escape", "npm:entities.encode": "html.escape",
    "npm:entities.escapeUTF8": "html.escape", "npm:entities.encodeHTML": "html.escape",
    "npm:shell-quote.quote": "shlex.quote", "npm:shell-escape": "shlex.quote",
    "npm:shescape.quote": "shlex.quote", "npm:any-shell-escape": "shlex.quote",
    "npm:sanitize-filename": "werkzeug.utils.secure_filename",
    "npm:slugify": "slugify.slugify", "npm:lodash.kebabCase": "slugify.slugify",
    "npm:lodash.escapeRegExp": "re.escape", "_.escapeRegExp": "re.escape",
    "npm:escape-string-regexp": "re.escape", "RegExp.escape": "re.escape",
    "npm:mysql.escape": "psycopg2.sql.Literal", "npm:mysql2.escape": "psycopg2.sql.Literal",
    "npm:sqlstring.escape": "psycopg2.sql.Literal", "npm:mysql.escapeId": "psycopg2.sql.Identifier",
    "npm:mysql2.escapeId": "psycopg2.sql.Identifier", "npm:pg-format": "psycopg2.sql.Literal",
    "npm:sqlstring.escapeId": "psycopg2.sql.Identifier",
    "npm:pg-escape": "psycopg2.sql.Literal", "npm:ldap-escape.filter": "ldap.filter.escape_filter_chars",
    # Objects that run code, and templates.
    "npm:node-serialize.unserialize": "pickle.loads", "npm:serialize-to-js.deserialize": "pickle.loads",
    "npm:funcster.deepDeserialize": "pickle.loads", "npm:cryo.parse": "pickle.loads",
    "npm:serializr.deserialize": "json.loads", "npm:js-yaml.safeLoad": "yaml.safe_load",
    "npm:js-yaml.safeLoadAll": "yaml.safe_load",
    "npm:yaml.parse": "yaml.safe_load", "npm:ejs.render": "jinja2.Template",
    "npm:ejs.compile": "jinja2.Template", "npm:pug.render": "jinja2.Template",
    "npm:pug.compile": "jinja2.Template", "npm:jade.render": "jinja2.Template",
    "npm:jade.compile": "jinja2.Template", "npm:handlebars.compile": "jinja2.Template",
    "npm:mustache.render": "jinja2.Template", "npm:nunjucks.renderString": "jinja2.Template",
    "npm:nunjucks.compile": "jinja2.Template", "npm:lodash.template": "jinja2.Template",
    "_.template": "jinja2.Template", "npm:dot.template": "jinja2.Template",
    "npm:underscore.template": "jinja2.Template", "npm:hogan.js.compile": "jinja2.Template",
    "npm:libxmljs.parseXml": "npm:libxmljs.parseXmlString",
    "npm:xpath.select": "lxml.etree.XPath", "npm:xpath.select1": "lxml.etree.XPath",
    "npm:xpath.parse": "lxml.etree.XPath",
    # Other ways out.
    "dns.lookup": "socket.getaddrinfo", "dns.resolve": "socket.getaddrinfo",
    "dns.resolve4": "socket.getaddrinfo", "dns.resolveTxt": "dns.resolver.resolve",
    "npm:nodemailer.createTransport().sendMail": "smtplib.SMTP().send_message",
    "net.Socket": "socket.socket", "net.createConnection": "socket.create_connection",
    "net.connect": "socket.create_connection", "tls.connect": "socket.create_connection",
    "npm:clipboardy.read": "pyperclip.paste", "npm:clipboardy.readSync": "pyperclip.paste",
    "npm:screenshot-desktop": "PIL.ImageGrab.grab", "npm:keytar.getPassword": "keyring.get_password",
    "npm:keytar.findCredentials": "keyring.get_password",
    "npm:iohook": "pynput.keyboard.Listener", "npm:uiohook-napi.uIOhook.on": "pynput.keyboard.Listener",
    "npm:node-global-key-listener.GlobalKeyboardListener": "pynput.keyboard.Listener",
    "navigator.clipboard.readText": "pyperclip.paste",
    "navigator.sendBeacon": "requests.post", "Sequelize.literal": "sqlalchemy.text",
    "npm:sequelize.literal": "sqlalchemy.text", "npm:sequelize.Sequelize.literal": "sqlalchemy.text",
    "npm:ssh2.Client().exec": "paramiko.SSHClient().exec_command",
    # Requests, in the frameworks that hand one of them over with its answer.
    "node:context.request": "flask.request", "node:context.req": "flask.request",
    "node:context.response": "node:response", "node:context.res": "node:response",
    "node:context.redirect": "node:response.redirect", "node:context.render": "node:response.render",
    "node:context.session": "flask.session", "flask.request.session": "flask.session",
    "location": "node:location", "document.location": "node:location",
    "node:context.state": "node:context.state",
}  # fmt: skip
#: Clients of HTTP, and what a method of theirs is spoken as.
CLIENTS: Final = frozenset(
    (
        "npm:axios npm:axios.default npm:axios.create() npm:got npm:got.extend() npm:request npm:request-promise "
        "npm:request-promise-native npm:superagent npm:needle npm:undici npm:ky npm:node-fetch npm:cross-fetch "
        "npm:isomorphic-fetch npm:phin npm:bent npm:unfetch npm:superagent.agent() axios $ jQuery "
        "npm:jquery npm:request.defaults() npm:follow-redirects.https npm:follow-redirects.http"
    ).split()
)
#: Tags of templates that keep values apart from the text, or escape them.
_SAFE_TAGS: Final = frozenset(
    {"sql", "html", "svg", "gql", "css", "queryraw", "$queryraw", "$", "$executeraw"}
)
_BUILTINS: Final = frozenset(
    (
        "assert async_hooks buffer child_process cluster console constants crypto dgram "
        "diagnostics_channel dns domain events fs http http2 https inspector module net os path "
        "perf_hooks process punycode querystring readline repl stream string_decoder sys timers "
        "tls trace_events tty url util v8 vm wasi worker_threads zlib test"
    ).split()
)
#: Of a request, what its sender writes; the parts that Python's frameworks have are known.
REQUEST_PARTS: Final = frozenset(
    (
        "query body params headers cookies url originalUrl path files file rawBody hostname "
        "host search querystring signedCookies rawHeaders payload href header get param "
        "parsedUrl subdomains text json formData arrayBuffer"
    ).split()
)
#: Where the request itself was sent, and its headers: no link chooses them for somebody else.
OWN_ADDRESS: Final = frozenset(
    {"url", "originalUrl", "path", "hostname", "host", "href", "headers", "rawHeaders", "header"}
)
#: Parts of the address of a page, which is a link of somebody.
LOCATION_PARTS: Final = frozenset({"search", "hash", "href"})


def required(spec: str) -> str:
    """What the module of a `require` is called."""
    plain = spec.removeprefix("node:")
    root = plain.partition("/")[0]
    if root in _BUILTINS:
        return f"node:{plain.replace('/', '.')}"
    if spec.startswith("npm:"):
        return spec
    if plain in ("fs-extra", "graceful-fs", "original-fs", "memfs"):
        return "node:fs"
    parts = plain.split("/")
    name = "/".join(parts[:2]) if plain.startswith("@") else parts[0]
    inner = parts[2:] if plain.startswith("@") else parts[1:]
    inner = [part.removesuffix(".js") for part in inner if part not in ("lib", "dist", "src")]
    return ".".join((f"npm:{name}", *inner))


def canonical(name: str) -> str:
    """The name under which models and checks know something; at most 160 characters."""
    for holder in _HOLDERS:
        if name.startswith(holder):
            name = name.removeprefix(holder)
    plain = name.removeprefix("node:")
    if plain.startswith(("fs.", "child_process.", "zlib.", "dns.", "crypto.")):
        plain = plain.replace(".promises.", ".").removesuffix("Sync")
        name = f"node:{plain}"
    if plain.endswith(".default") and name.startswith(("npm:", "node:")):
        return name.removesuffix(".default")
    found = _PLAIN.get(plain) or _PLAIN.get(name)
    if found is not None:
        return found
    return name if len(name) <= 160 else name[-160:]


def is_library(name: str) -> bool:
    return name.startswith(("node:", "npm:")) and "()" not in name


def is_safe_tag(name: str) -> bool:
    return name.rpartition(".")[2].lstrip("?").lower() in _SAFE_TAGS
