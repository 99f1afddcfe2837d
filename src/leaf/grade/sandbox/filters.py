"""The system calls that a program in a sandbox may make; the kernel refuses all others.

What is not listed does not exist for a program (ENOSYS, so that libraries take their older way): a
call that a newer kernel brings, or that the installed libseccomp has no name for, is refused
unseen. Calls that only an attack makes are refused by name with EPERM, which is easier to read.
"""

import errno
import functools
import os
import stat
from typing import Any

from leaf.errors import SandboxError

_ALLOWED = """
read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield
mremap msync mincore madvise dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile
connect accept sendto recvfrom sendmsg recvmsg shutdown bind listen getsockname getpeername
socketpair setsockopt getsockopt fork vfork execve exit wait4 kill uname fcntl flock fsync fdatasync
truncate ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink
readlink chmod fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times
getuid getgid geteuid getegid setpgid getppid getpgrp setsid getgroups getresuid getresgid getpgid
getsid capget rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime statfs
fstatfs getpriority setpriority sched_setparam sched_getparam sched_setscheduler sched_getscheduler
sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock munlock mlockall
munlockall prctl arch_prctl setrlimit gettid readahead getxattr lgetxattr fgetxattr listxattr
llistxattr flistxattr tkill time futex sched_setaffinity sched_getaffinity get_thread_area
set_thread_area epoll_create getdents64 set_tid_address restart_syscall fadvise64 timer_create
timer_settime timer_gettime timer_getoverrun timer_delete clock_gettime clock_getres clock_nanosleep
exit_group epoll_wait epoll_ctl tgkill utimes get_mempolicy waitid openat mkdirat fchownat futimesat
newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll
set_robust_list get_robust_list splice tee sync_file_range utimensat epoll_pwait signalfd
timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4 signalfd4 eventfd2
epoll_create1 dup3 pipe2 preadv pwritev rt_tgsigqueueinfo recvmmsg prlimit64 sendmmsg getcpu
sched_setattr sched_getattr renameat2 getrandom membarrier mlock2 copy_file_range preadv2 pwritev2
pkey_mprotect pkey_alloc pkey_free statx rseq close_range openat2 faccessat2 epoll_pwait2
futex_waitv fchmodat2 futex_wake futex_wait futex_requeue
"""
"""What Python, its library, numpy and the C library call. `clone`, `socket` and `mknod` have rules
of their own below; `clone3` is left out: its flags lie in memory, where no filter can look."""

_REFUSED = """
ptrace process_vm_readv process_vm_writev pidfd_open pidfd_getfd pidfd_send_signal process_madvise
process_mrelease kcmp perf_event_open unshare setns mount umount2 pivot_root chroot open_tree
move_mount fsopen fsconfig fsmount fspick mount_setattr statmount listmount open_tree_attr setuid
setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset personality bpf
userfaultfd io_uring_setup io_uring_enter io_uring_register kexec_load kexec_file_load init_module
finit_module delete_module reboot swapon swapoff acct quotactl quotactl_fd syslog iopl ioperm
vhangup settimeofday adjtimex clock_settime clock_adjtime sethostname setdomainname
name_to_handle_at open_by_handle_at fanotify_init landlock_create_ruleset seccomp set_mempolicy
mbind migrate_pages move_pages add_key request_key keyctl memfd_create memfd_secret shmget shmat
shmctl shmdt msgget msgsnd msgrcv msgctl semget semop semctl semtimedop mq_open mq_unlink
"""
"""Other processes; namespaces, mounts, identity; the kernel itself; keys; memory that no limit of a
process counts."""

_NUMBERS = {"statmount": 457, "listmount": 458, "open_tree_attr": 467}
"""Calls that an older libseccomp has no name for; these numbers are the same on every machine."""

_NAMESPACES = (
    0x00000080,  # CLONE_NEWTIME
    0x00020000,  # CLONE_NEWNS
    0x02000000,  # CLONE_NEWCGROUP
    0x04000000,  # CLONE_NEWUTS
    0x08000000,  # CLONE_NEWIPC
    0x10000000,  # CLONE_NEWUSER
    0x20000000,  # CLONE_NEWPID
    0x40000000,  # CLONE_NEWNET
)

_AF_UNIX = 1


@functools.cache
def filter_program() -> bytes:
    """Return the filter as the kernel takes it.

    Raises:
        SandboxError: libseccomp is not installed.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:
        raise SandboxError(
            f"programs run under a system call filter, which cannot be made here ({error}); "
            "`apt-get install libseccomp2` and `pip install pyseccomp` install what it needs"
        ) from error
    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.ENOSYS))
    refuse = pyseccomp.ERRNO(errno.EPERM)
    for action, names in ((pyseccomp.ALLOW, _ALLOWED), (refuse, _REFUSED)):
        for name in names.split():
            _add(rules, action, name)
    _add_conditions(rules, pyseccomp, refuse)
    file = os.memfd_create("filter")
    try:
        with os.fdopen(os.dup(file), "wb") as written:
            rules.export_bpf(written)
        return os.pread(file, 2**20, 0)
    finally:
        os.close(file)


def _add(rules: Any, action: int, name: str, *arguments: Any) -> None:
    """Add a rule, where this architecture has such a call."""
    try:
        rules.add_rule(action, name, *arguments)
    except (OSError, ValueError):
        if name in _NUMBERS:
            rules.add_rule(action, _NUMBERS[name], *arguments)


def _add_conditions(rules: Any, pyseccomp: Any, refuse: int) -> None:
    """Add the rules of calls that are allowed with some arguments only."""

    def masked(place: int, mask: int, value: int) -> Any:
        return pyseccomp.Arg(place, pyseccomp.MASKED_EQ, mask, value)

    every = 0
    for flag in _NAMESPACES:
        every |= flag
        _add(rules, refuse, "clone", masked(0, flag, flag))
    _add(rules, pyseccomp.ALLOW, "clone", masked(0, every, 0))
    # Of networks only pairs inside one sandbox are left; vsock, netlink and packets know no
    # network namespace or offer much of the kernel.
    _add(rules, pyseccomp.ALLOW, "socket", pyseccomp.Arg(0, pyseccomp.EQ, _AF_UNIX))
    _add(rules, refuse, "socket", pyseccomp.Arg(0, pyseccomp.NE, _AF_UNIX))
    for kind in range(16):  # the four bits of a mode that say what is made: a pipe, or nothing
        action = pyseccomp.ALLOW if kind << 12 == stat.S_IFIFO else refuse
        _add(rules, action, "mknod", masked(1, 0o170000, kind << 12))
        _add(rules, action, "mknodat", masked(2, 0o170000, kind << 12))
