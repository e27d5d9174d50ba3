"""Text from outside becomes part of a command line.

A shell reads `;`, `|`, `$()` and many more characters as instructions, so that whoever chooses a
part of the line runs programs. Pass a list of arguments without a shell, with a fixed program at
its head; where a shell is needed, quote with `shlex.quote`.

Found in `app.py`:

    import os

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        os.system('ping ' + request.args['host'])
        return ''

Not found in `app.py`:

    import subprocess

    from flask import Flask

    app = Flask(__name__)


    @app.route('/x')
    def x():
        subprocess.run(['ping', '-c', '1', 'localhost'])
        return ''
"""

from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Hit, Severity, Value
from heimnetz_audit.model.checks import OUTSIDE
from heimnetz_audit.model.questions import on, origin, tainted, weigh

_MESSAGE = "A command is built from {}."
_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "cmd", "cmd.exe", "powershell", "/bin/sh",
                     "/bin/bash", "ksh", "env", "ssh", "pwsh"})  # fmt: skip
_SHELL = tainted("command", _MESSAGE, 0, "command", "cmd")


def _ask_process(call: Call) -> Iterator[Hit]:
    """With a shell, all of the line matters; without one, the program does."""
    value = call.argument(0, "args")
    if value is None:
        return
    shell = call.keywords.get("shell")
    uses_shell = shell is not None and shell.consts != (False,)
    suspects: tuple[Value, ...] = (value,)
    elements = call.elements(value)
    if elements and not uses_shell:
        program = elements[0].text
        is_shell = program is not None and program.rpartition("/")[2] in _SHELLS
        suspects = elements if is_shell or len(elements) == 1 else elements[:1]
    for suspect in suspects:
        for taint in call.live(suspect, "command", OUTSIDE):
            level, sure = weigh(taint, Severity.HIGH)
            yield Hit(
                message=_MESSAGE.format(origin(taint)), severity=level, confidence=sure, taint=taint
            )
            return


CHECK = Check(
    rule="command-injection",
    title="Command from outside",
    cwe=78,
    severity=Severity.HIGH,
    remedy="Pass a list of arguments without a shell, with a fixed program at its head.",
    calls={
        **on(
            "os.system os.popen os.popen2 os.popen3 commands.getoutput commands.getstatusoutput "
            "subprocess.getoutput subprocess.getstatusoutput asyncio.create_subprocess_shell "
            "paramiko.SSHClient().exec_command pexpect.spawn pexpect.run fabric.Connection().run "
            "invoke.run asyncio.subprocess.create_subprocess_shell os.startfile popen2.popen2",
            _SHELL,
        ),
        **on(
            "subprocess.run subprocess.call subprocess.check_call subprocess.check_output "
            "subprocess.Popen",
            _ask_process,
        ),
        **on(
            "os.execv os.execve os.execvp os.execl os.execlp os.posix_spawn "
            "asyncio.create_subprocess_exec pty.spawn",
            tainted("command", _MESSAGE, 0),
        ),
        **on(
            "os.spawnv os.spawnl os.spawnve os.spawnvp os.spawnlp", tainted("command", _MESSAGE, 1)
        ),
    },
)
