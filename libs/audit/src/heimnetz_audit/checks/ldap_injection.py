r"""Text from outside becomes part of an LDAP filter or name.

With `*`, `(`, `)` and `\\` a filter is turned into another one, which finds every entry or logs
anybody in. Escape with `escape_filter_chars` (filters) or `escape_dn_chars` (names).

Found in `app.py`:

    from flask import Flask, request
    import ldap

    app = Flask(__name__)


    @app.route('/x')
    def x():
        c = ldap.initialize('ldap://x')
        return str(c.search_s('dc=x', 2, '(uid=' + request.args['u'] + ')'))

Not found in `app.py`:

    from flask import Flask
    import ldap

    app = Flask(__name__)


    @app.route('/x')
    def x():
        c = ldap.initialize('ldap://x')
        return str(c.search_s('dc=x', 2, '(uid=admin)'))
"""

from heimnetz_audit.model import Call, Check, Severity, Value
from heimnetz_audit.model.questions import on, tainted
from heimnetz_audit.model.values import Taint

_MESSAGE = "An LDAP search is built from {}."


def _is_directory(call: Call, _value: Value, _taint: Taint) -> bool:
    """A `.search` of something unknown is one when it looks like LDAP."""
    owner = (call.receiver.name or "").lower() if call.receiver is not None else ""
    if owner in ("re", "regex") or owner.startswith(("re.", "regex.")):
        return False
    if "ldap" in owner or "search_filter" in call.keywords or "search_base" in call.keywords:
        return True
    texts = [text for value in call.every() for text in value.texts()]
    return any(text.lstrip().startswith(("(", "ou=", "dc=", "cn=", "uid=")) for text in texts)


_ASK = tainted(
    "ldap", _MESSAGE, 0, 1, 2, "search_base", "search_filter", "base", "filterstr", "dn",
    condition=_is_directory,
)  # fmt: skip

CHECK = Check(
    rule="ldap-injection",
    title="LDAP search from outside",
    cwe=90,
    severity=Severity.HIGH,
    remedy="Escape with escape_filter_chars or escape_dn_chars, or look names up in a list.",
    calls=on(
        ".search .search_s .search_st .search_ext .search_ext_s .extend.standard.paged_search "
        ".paged_search",
        _ASK,
    ),
)
