"""Takes from the current process what an audit does not need: network, programs, files, memory.

The package that is audited is hostile until the contrary is shown. The engine never runs its
code, but parsers have faults; whoever finds one is alone in here, with a pipe to answer by. All
of it works without a privilege, in a container without capabilities.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2
_MIB = 1024 * 1024

# linux/seccomp.h, linux/bpf_common.h
_ALLOW, _REFUSE_WITH_EPERM, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
# x86-64's second table of calls, which a filter on the first would miss.
_X32 = 0x40000000

# linux/landlock.h; the numbers of its calls are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ALL_FILE_RIGHTS = (1 << 13) - 1  # of version 1
_EXECUTE, _READ_FILE, _READ_DIR = 1, 4, 8
_PATH_BENEATH = 1


#: Calls that are refused, by their numbers on x86-64 and on 64-bit ARM
#: (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
_REFUSED = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "connect": (42, 203),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "kill": (62, 129),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
}
#: The audit number of an architecture (linux/audit.h), and its column above.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


@dataclass(frozen=True, slots=True)
class Confinement:
    """What could be taken away; the limits on memory and time always are."""

    has_no_network: bool
    has_no_files: bool


def confine(memory_bytes: int, cpu_seconds: int, readable: Iterable[Path]) -> Confinement:
    """From here on: no network, no other program, no file but the readable ones, and caps.

    What the kernel or the container's own filter does not offer is left out, and said.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _control(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    _limit(memory_bytes, cpu_seconds)
    if not _control(libc, _PR_SET_NO_NEW_PRIVS, 1):
        return Confinement(has_no_network=False, has_no_files=False)
    has_no_files = _restrict_files(libc, readable)
    return Confinement(has_no_network=_refuse_calls(libc), has_no_files=has_no_files)


def python_folders() -> list[Path]:
    """Where Python's own files and ours are, so that later imports work."""
    names = {sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/dev/null", "/dev/urandom"}
    names.update(entry for entry in sys.path if entry)
    return [Path(name) for name in sorted(names)]


def _control(libc: ctypes.CDLL, option: int, *arguments: int) -> bool:
    # The kernel reads four whole words, and for some options refuses what is not zero.
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    return bool(libc.prctl(option, *words) == 0)


def _limit(memory_bytes: int, cpu_seconds: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, _MIB),
        (resource.RLIMIT_NOFILE, 128),
    ):
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def _refuse_calls(libc: ctypes.CDLL) -> bool:
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    program = _program(*machine)
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, padding, a pointer to them.
    header = ctypes.create_string_buffer(
        struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    )
    return _control(libc, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header))


def _program(architecture: int, column: int) -> bytes:
    """Classic BPF: 16-bit operation, two 8-bit jump distances, 32-bit operand."""
    checks = [(_EQUAL, numbers[column]) for numbers in _REFUSED.values()]
    checks.append((_AT_LEAST, _X32))
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    # A check that holds jumps over the rest, and over the return that allows.
    steps += [
        (operation, len(checks) - place, 0, number)
        for place, (operation, number) in enumerate(checks)
    ]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE_WITH_EPERM)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _restrict_files(libc: ctypes.CDLL, readable: Iterable[Path]) -> bool:
    attributes = ctypes.create_string_buffer(struct.pack("Q", _ALL_FILE_RIGHTS))
    ruleset = libc.syscall(ctypes.c_long(_CREATE_RULESET), attributes, ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _permit(libc, ruleset, path, _EXECUTE | _READ_FILE | _READ_DIR)
        # Semaphores between processes of the engine's own.
        _permit(libc, ruleset, Path("/dev/shm"), _ALL_FILE_RIGHTS)  # noqa: S108
        return bool(libc.syscall(ctypes.c_long(_RESTRICT_SELF), ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _permit(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not path.is_dir():
            rights &= _EXECUTE | _READ_FILE
        # struct landlock_path_beneath_attr is packed: 64-bit rights, 32-bit descriptor.
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor))
        libc.syscall(ctypes.c_long(_ADD_RULE), ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
