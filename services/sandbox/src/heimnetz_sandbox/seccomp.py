"""The system calls that a plugin may make, and the profile that the engine is given.

An allow-list: what is not named answers EPERM. It starts from what CPython, Node and ordinary
native extensions call, not from the engine's default profile, which allows about 360 calls.
Left out on purpose, though the engine's default has them: ptrace and process_vm_* (row 27 of the
attack table), memfd_create (executing what is in no file), mq_* and SysV IPC (row 10), io_uring,
personality, keyctl, add_key, userfaultfd, perf_event_open, bpf, mount and its family, setns,
unshare, chroot, clone with a namespace flag, name_to_handle_at, fanotify, modify_ldt, vmsplice,
and sockets other than Unix and loopback's.
"""

import json
from typing import Any

ALLOWED: dict[str, str] = {
    "files by descriptor": """
        read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close
        close_range dup dup2 dup3 fcntl flock fsync fdatasync sync_file_range ftruncate truncate
        fallocate fadvise64 readahead sendfile copy_file_range splice tee pipe pipe2 ioctl
    """,
    "files by name, within a read-only root and two tmpfs": """
        open openat openat2 creat access faccessat faccessat2 stat lstat fstat newfstatat statx
        statfs fstatfs getdents getdents64 getcwd chdir fchdir readlink readlinkat mkdir mkdirat
        rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat chmod fchmod
        fchmodat fchmodat2 chown fchown lchown fchownat umask utime utimes utimensat futimesat
        getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
        inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
    """,
    "memory": """
        brk mmap munmap mprotect mremap madvise msync mincore mlock munlock mlock2 membarrier
        pkey_alloc pkey_free pkey_mprotect
    """,
    "processes and threads of its own": """
        fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill getpid getppid
        gettid getpgrp getpgid setpgid getsid setsid pidfd_open pidfd_send_signal prctl arch_prctl
        set_tid_address set_robust_list get_robust_list rseq futex futex_waitv sched_yield
        sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler
        sched_get_priority_max sched_get_priority_min getcpu getpriority setpriority getrusage times
        getrlimit setrlimit prlimit64 capget capset restart_syscall
    """,
    "who it is; changing it needs capabilities that it lacks": """
        getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setresuid
        setresgid setreuid setregid setgroups setfsuid setfsgid
    """,
    "signals": """
        rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait
        rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack signalfd signalfd4 pause alarm
    """,
    "waiting": """
        poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait
        epoll_pwait epoll_pwait2 epoll_wait_old eventfd eventfd2 timerfd_create timerfd_settime
        timerfd_gettime
    """,
    "time": """
        nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time getitimer setitimer
        timer_create timer_settime timer_gettime timer_getoverrun timer_delete
    """,
    "sockets, of the families below": """
        bind connect listen accept accept4 getsockname getpeername getsockopt setsockopt shutdown
        sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg
    """,
    "facts about the machine that no profile can hide": "uname sysinfo getrandom",
}

# Unix for the runner and the broker, the two inet families for loopback: the container's network
# namespace has nothing else.
SOCKET_FAMILIES = (1, 2, 10)

# CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET, clone(2).
_NAMESPACE_FLAGS = 0x7E020000
_ENOSYS = 38


def profile(architecture: str, *, is_gvisor: bool = False) -> dict[str, Any]:
    """For the builder and the plugins alike; what differs between them is the network namespace."""
    clone3: dict[str, Any] = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS}
    if is_gvisor:
        # It does not know errnoRet, and answers the call itself (release 20221219: ENOSYS).
        clone3 = {"names": ["clone3"], "action": "SCMP_ACT_ALLOW"}
    names = sorted({name for group in ALLOWED.values() for name in group.split()})
    mask = {"index": 0, "value": _NAMESPACE_FLAGS, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    rules: list[dict[str, Any]] = [
        {"names": names, "action": "SCMP_ACT_ALLOW"},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [mask]},
        # libc falls back to clone, whose flags a filter can see.
        clone3,
    ]
    rules += [
        {
            "names": ["socket", "socketpair"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": family, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
        }
        for family in SOCKET_FAMILIES
    ]
    # One architecture: the 32-bit and x32 entries of a 64-bit kernel would be a second door.
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": [architecture],
        "syscalls": rules,
    }


ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


def profile_text(machine: str, *, is_gvisor: bool = False) -> str:
    """The exact text that the engine proxy knows by its digest; `machine` as in uname(2)."""
    document = profile(ARCHITECTURES[machine], is_gvisor=is_gvisor)
    return json.dumps(document, separators=(",", ":"), sort_keys=True)
