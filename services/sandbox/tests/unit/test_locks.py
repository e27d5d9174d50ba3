import pytest

from heimnetz_sandbox import locks
from heimnetz_sandbox.errors import CannotPrepare

HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    "lock",
    [
        f"isoduration==20.11.0 {HASH}",
        f"a==1.0 \\\n    {HASH} \\\n    {HASH}\n    # via b\n",
        f"# made by a tool\na[x,y]==1.0 ; python_version >= '3.11' and sys_platform != \"win32\" {HASH}",
        "",
        "# nothing\n",
    ],
)
def test_exact_versions_with_hashes_are_accepted(lock: str) -> None:
    locks.check(lock.encode())


@pytest.mark.parametrize(
    "lock",
    [
        "a==1.0",
        f"a>=1.0 {HASH}",
        f"a {HASH}",
        f"a @ https://evil/a.whl {HASH}",
        f"https://evil/a.whl {HASH}",
        f"./a.whl {HASH}",
        f"-e . {HASH}",
        "--index-url https://evil/simple",
        f"--extra-index-url https://evil/simple\na==1.0 {HASH}",
        "-r other.txt",
        "-c other.txt",
        "--no-binary :all:",
        "--find-links /",
        f"a==1.0 --hash=md5:{'0' * 32}",
        f"a==1.0 {HASH} --install-option=x",
        f"a==1.0 --config-settings=x=y {HASH}",
        f"a==1.0 \\\n --index-url https://evil {HASH}",
        f"a==${{VERSION}} {HASH}",
        f"a==1.*  {HASH}",
        b"a==1.0 \xff".decode("latin-1"),
    ],
)
def test_what_pip_would_obey_is_refused(lock: str) -> None:
    with pytest.raises(CannotPrepare):
        locks.check(lock.encode("latin-1"))


def test_a_huge_lock_is_refused() -> None:
    with pytest.raises(CannotPrepare):
        locks.check(b"#" * (locks.MAX_LOCK_BYTES + 1))
