import subprocess
import sys


def test_what_plugins_import_needs_the_standard_library_only() -> None:
    code = (
        "import sys; import heimnetz_sdk.plugin;"
        "print([m for m in sys.modules if m.split('.')[0] in {'httpx', 'pydantic', 'anyio'}])"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert shown.stdout.strip() == "[]"
