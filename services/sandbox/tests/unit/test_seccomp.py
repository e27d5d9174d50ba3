import hashlib
import json
from pathlib import Path

import pytest

from heimnetz_sandbox import seccomp

FORBIDDEN = """
    ptrace process_vm_readv process_vm_writev pidfd_getfd memfd_create memfd_secret
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    shmget shmat shmctl semget semop msgget msgsnd
    io_uring_setup io_uring_enter io_uring_register personality keyctl add_key request_key
    userfaultfd perf_event_open bpf mount umount umount2 pivot_root chroot setns unshare
    move_mount fsopen fsmount open_tree mount_setattr kexec_load kexec_file_load
    init_module finit_module delete_module swapon swapoff reboot settimeofday clock_settime
    adjtimex clock_adjtime quotactl fanotify_init name_to_handle_at open_by_handle_at
    modify_ldt vm86 vm86old iopl ioperm acct syslog lookup_dcookie vhangup
    clone clone3 socket socketpair vmsplice mbind set_mempolicy move_pages migrate_pages
    mlockall sethostname setdomainname kcmp process_madvise landlock_create_ruleset
"""


def test_what_the_attack_table_closes_is_on_no_list() -> None:
    named = {name for group in seccomp.ALLOWED.values() for name in group.split()}

    assert not named & set(FORBIDDEN.split())


def test_no_call_is_listed_twice() -> None:
    names = [name for group in seccomp.ALLOWED.values() for name in group.split()]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(("is_gvisor", "kind"), [(False, ""), (True, "runsc:")])
def test_the_engine_proxy_knows_the_profile(machine: str, is_gvisor: bool, kind: str) -> None:
    root = Path(__file__).parents[4]
    known = root / "services/engine-proxy/src/heimnetz_engine_proxy/seccomp-digests.txt"

    text = seccomp.profile_text(machine, is_gvisor=is_gvisor)

    assert f"{kind}{hashlib.sha256(text.encode()).hexdigest()}" in known.read_text().split()


def test_everything_else_is_an_error_and_clone3_is_unknown() -> None:
    profile = json.loads(seccomp.profile_text("x86_64"))

    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert profile["architectures"] == ["SCMP_ARCH_X86_64"]
    assert {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38} in profile["syscalls"]


def test_gvisor_is_asked_for_the_same_but_clone3() -> None:
    plain, other = (
        seccomp.profile("SCMP_ARCH_X86_64"),
        seccomp.profile("SCMP_ARCH_X86_64", is_gvisor=True),
    )

    changed = [rule for rule in other["syscalls"] if rule not in plain["syscalls"]]

    assert changed == [{"names": ["clone3"], "action": "SCMP_ACT_ALLOW"}]
