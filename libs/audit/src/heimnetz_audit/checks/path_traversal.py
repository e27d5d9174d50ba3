"""Text from outside decides which file is opened.

With `..`, an absolute path or a drive it leads out of the folder that was meant. Resolve the path
and check that it lies below the folder (`is_relative_to`), or take only a name
(`secure_filename`, a list of known names).

Found in `app.py`:

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return open('/data/' + request.args['f']).read()

Not found in `app.py`:

    import os

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return open('/data/' + os.path.basename(request.args['f'])).read()
"""

from heimnetz_audit.model import Call, Check, Severity, Value
from heimnetz_audit.model.checks import REMOTE, Question
from heimnetz_audit.model.questions import leads, on, tainted
from heimnetz_audit.model.values import Taint

_MESSAGE = "A file is chosen by {}."
_LOOSE = ("..", "../", "/..", "/", "../\\")


def _escapes(call: Call, value: Value, taint: Taint) -> bool:
    """A text without `..` behind a fixed folder stays in it, and so does a name without `/`."""
    facts = call.facts
    if "@no-slash" in taint.cleared and not leads(value, taint):
        return False
    if taint.lacks("@rooted", facts) and taint.lacks("..", facts):
        return False
    lacks = any(taint.lacks(text, facts) for text in _LOOSE)
    if not lacks:
        return True
    if taint.lacks("@relative", facts) or taint.lacks("/", facts):
        return False
    return leads(value, taint)


def _is_upload(call: Call) -> bool:
    return call.receiver is not None and ".files" in (call.receiver.name or "").lower()


def _ask(*positions: int | str) -> Question:
    return tainted("path", _MESSAGE, *positions, sources=REMOTE, condition=_escapes)


CHECK = Check(
    rule="path-traversal",
    title="File chosen from outside",
    cwe=22,
    severity=Severity.HIGH,
    remedy="Resolve the path and check that it lies below its folder, or choose from known names.",
    calls={
        **on(
            "open io.open os.open codecs.open os.remove os.unlink os.rmdir os.mkdir os.makedirs "
            "os.listdir os.scandir os.stat os.path.getsize os.path.exists os.path.isfile "
            "os.path.isdir os.chmod shutil.rmtree tarfile.open zipfile.ZipFile gzip.open "
            "bz2.open flask.send_file aiofiles.open os.walk linecache.getline glob.glob "
            "starlette.responses.FileResponse fastapi.responses.FileResponse mimetypes.guess_file "
            "django.http.FileResponse aiohttp.web.FileResponse numpy.fromfile pandas.read_csv "
            "tempfile.NamedTemporaryFile os.readlink os.truncate os.access fileinput.input",
            _ask(0, "file", "path", "filename", "path_or_file"),
        ),
        **on(
            "os.rename os.replace os.link os.symlink shutil.copy shutil.copyfile shutil.move "
            "shutil.copytree shutil.copy2",
            _ask(0, 1, "src", "dst"),
        ),
        **on(
            "pathlib.Path().open pathlib.Path().read_text pathlib.Path().read_bytes "
            "pathlib.Path().write_text pathlib.Path().write_bytes pathlib.Path().unlink "
            "pathlib.Path().mkdir pathlib.Path().rmdir pathlib.Path().iterdir pathlib.Path().touch "
            "pathlib.Path().exists pathlib.Path().is_file pathlib.Path().stat resolved.open "
            "resolved.read_text resolved.read_bytes resolved.write_text resolved.write_bytes "
            "resolved.unlink resolved.exists resolved.is_file",
            _ask(-1),
        ),
        ".save": tainted(
            "path", "A file is stored where {} says.", 0, "dst", sources=REMOTE,
            condition=lambda call, value, taint: _is_upload(call) and _escapes(call, value, taint),
        ),
        "flask.send_from_directory": _ask("directory"),
    },
)  # fmt: skip
