"""What is a search of a directory, and what is not."""

import pytest

from heimnetz_audit import SourceTree, audit

SOURCE = """
import re, socket, ldap

PATTERN = re.compile("(a)")

def look(connection):
    answer = connection.recv(100)
    return {search}
"""


@pytest.mark.parametrize(
    ("search", "is_found"),
    [
        ("re.search(rb'(?i)length: *([0-9]+)', answer)", False),
        ("PATTERN.search(answer)", False),
        ("ldap.initialize('ldap://x').search_s('dc=x', 2, '(uid=%s)' % answer)", True),
        ("connection.search('(uid=' + answer + ')')", True),
    ],
)
def test_a_regular_expression_searches_no_directory(search: str, is_found: bool) -> None:
    code = SOURCE.replace("{search}", search).replace(
        "def look(connection):\n",
        "def look():\n    connection = socket.create_connection(('h', 1))\n",
    )
    report = audit(SourceTree({"app.py": code.encode()}))

    assert ("ldap-injection" in {one.rule for one in report.findings}) is is_found
