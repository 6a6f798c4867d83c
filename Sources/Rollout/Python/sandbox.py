"""What keeps a snippet in: namespaces, a private root, Landlock, seccomp, limits. Linux on x86-64 and aarch64.

Everything is a system call made through ctypes by a single-threaded process, so that no helper program has to be
installed or found. Each function either does all it says or raises OSError: nothing here falls back by itself.
"""

import builtins

# As in zygote.py: what a block does to its builtins must not reach us.
__builtins__ = dict(vars(builtins))

import ctypes
import errno
import os
import platform
import resource
import signal
import struct

libc = ctypes.CDLL(None, use_errno=True)
with_lock = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock, which a child must hold
NOBODY = 65534
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
MS_REMOUNT, MS_NOSYMFOLLOW, MNT_DETACH = 32, 256, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
ARM = platform.machine() in ("aarch64", "arm64")


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (what, os.strerror(number)))
    return result


def syscall(number, *arguments):
    ctypes.set_errno(0)
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])


def prctl(option, a=0, b=0, what="prctl"):
    zero = ctypes.c_ulong(0)
    b = b if not isinstance(b, int) else ctypes.c_ulong(b)
    return check(libc.prctl(option, ctypes.c_ulong(a), b, zero, zero), what)


def fork_into(spaces):
    """fork() whose child is the first process of new namespaces, with no process between us and it.

    What fork() does for other threads is left out: there are none."""
    ctypes.set_errno(0)
    return check(with_lock.syscall(ctypes.c_long(220 if ARM else 56), ctypes.c_long(spaces | signal.SIGCHLD),
                                   *[ctypes.c_long(0)] * 4), "clone")


def load_snapshot(library):
    """The function that `share_memory` wants, from a library that the private root hides later; or why there is none."""
    try:
        return ctypes.CDLL(library).martlet_snapshot if library else "libMartletSnapshot.so: not found"
    except OSError as error:
        return str(error)


def share_memory(snapshot):
    """Makes forks cheap: the writable memory becomes a file's, whose pages no fork copies the table of (snapshot.c).
    Returns "", or why it could not; then pages of 2 MB take the file's place where the kernel has them."""
    if not isinstance(snapshot, str):
        code = snapshot()
        if code == 0:
            return ""
        snapshot = os.strerror(code)
    use_huge_pages()
    return snapshot


def use_huge_pages():
    """Moves this process's memory into pages of 2 MB where the kernel can (Linux 6.1): a fork copies a table entry a page.
    Costs nothing but time where it cannot."""
    size, collapse = 1 << 21, 25
    with open("/proc/self/maps") as file:
        lines = [line.split() for line in file]
    for line in lines:
        if line[1] == "rw-p" and (len(line) < 6 or line[5] == "[heap]"):
            start, end = (int(bound, 16) for bound in line[0].split("-"))
            for address in range((start + size - 1) // size * size, end - size + 1, size):
                libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), collapse)


def unshare(flags):
    check(libc.unshare(flags), "unshare")


def mount(source, target, kind, flags, data=""):
    arguments = [x.encode() if x is not None else None for x in (source, target, kind)]
    check(libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()), "mount %s" % target)


def has_threads(unshare=libc.unshare):
    """Whether this process has more than one, those of C libraries included. The call changes nothing: with one thread it has
    nothing to do, with more it is refused."""
    return unshare(CLONE_THREAD) != 0


def map_user(inside, outside_user, outside_group):
    """Names the caller's user and group in the user namespace it has just made."""
    for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (inside, outside_user)),
                       ("gid_map", "%d %d 1" % (inside, outside_group))):
        with open("/proc/self/" + name, "w") as file:
            file.write(text)


def become_nobody(user=NOBODY):
    """Gives up root's identity for good. Capabilities go with it."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(user, user, user)
    prctl(PR_SET_DUMPABLE, 1)  # /proc/self/uid_map must stay ours until the namespaces stand


def drop_capabilities():
    """No capability in any set, and none to be had again: a fork without exec keeps them otherwise."""
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break
    libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(4), 0, 0, 0)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    check(syscall(91 if ARM else 126, header, ctypes.create_string_buffer(24)), "capset")


# ---------------------------------------------------------------------------------------------- private root

READABLE = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/alternatives")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random")


def pivot_root(new, old):
    check(syscall(NUMBERS["pivot_root"][ARM], ctypes.c_char_p(new), ctypes.c_char_p(old)), "pivot_root")


def make_readonly(path):
    attributes = struct.pack("QQQQ", 1 | 2, 0, 0, 0)  # RDONLY | NOSUID, on every mount below
    buffer = ctypes.create_string_buffer(attributes)
    done = syscall(442, -100, ctypes.c_char_p(path.encode()), 0x8000, buffer, len(attributes))
    if done < 0:  # before Linux 5.12: the top mount only, which suffices where nothing is mounted below
        mount(None, path, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)


def private_root(readable, scratch=False):
    """A root that holds `readable` (read-only), five devices, and an empty /tmp. Old root unreachable afterwards.
    scratch: /tmp can be written to, but for what is readable below it."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
    os.chdir("/tmp")
    os.mkdir("old", 0o700)
    os.mkdir("new", 0o755)
    pivot_root(b".", b"old")
    os.chdir("/")
    mount("new", "/new", None, MS_BIND | MS_REC)
    if scratch:
        os.mkdir("/new/tmp", 0o755)
        mount("tmpfs", "/new/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=256m,mode=1777")
    for path in readable + DEVICES:
        bind("/old" + path, "/new" + path, path not in DEVICES)
    for name in ("tmp", "proc"):
        os.makedirs("/new/" + name, 0o755, exist_ok=True)
    mount("proc", "/new/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir("/new")
    pivot_root(b".", b".")
    check(libc.umount2(b".", MNT_DETACH), "umount")
    os.chdir("/")
    mount(None, "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def bind(source, target, readonly):
    if os.path.islink(source):
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        if not os.path.lexists(target):
            os.symlink(os.readlink(source), target)
        return
    if not os.path.exists(source) or os.path.ismount(target):
        return
    if os.path.isdir(source):
        os.makedirs(target, 0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        if not os.path.exists(target):
            open(target, "w").close()
    mount(source, target, None, MS_BIND | MS_REC)
    if readonly:
        make_readonly(target)


# -------------------------------------------------------------------------------------------------- Landlock

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL_DEVICE = 1 << 14, 1 << 15


def landlock_version():
    version = syscall(444, 0, 0, 1)
    return version if version > 0 else 0


def landlock(readable, writable):
    """Files: `readable` may be read, searched and run, `writable` changed too, nothing else. Also, where the kernel
    can: no TCP, no signals and no abstract sockets to the outside."""
    version = landlock_version()
    if version == 0:
        raise OSError(errno.ENOSYS, "Landlock is off in this kernel")
    rights = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    attributes = struct.pack("QQQ", rights, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    attributes = attributes[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = check(syscall(444, ctypes.create_string_buffer(attributes), len(attributes), 0), "landlock")
    try:
        for paths, allowed in ((readable, EXECUTE | READ_FILE | READ_DIR), (writable, rights & ~IOCTL_DEVICE)):
            for path in paths:
                try:
                    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
                except OSError:
                    continue
                if not os.path.isdir(path):
                    allowed_here = allowed & (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE)
                else:
                    allowed_here = allowed
                rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed_here, parent), 12)
                check(syscall(445, ruleset, 1, rule, 0), "landlock rule")
                os.close(parent)
        check(syscall(446, ruleset, 0), "landlock")
    finally:
        os.close(ruleset)


# --------------------------------------------------------------------------------------------------- seccomp

# name: (x86-64, aarch64); None where the architecture has no such call.
NUMBERS = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "bind": (49, 200), "listen": (50, 201),
    "accept4": (288, 242), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "personality": (135, 92), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "syslog": (103, 116), "vhangup": (153, 58), "fanotify_init": (300, 262), "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "shmctl": (31, 195), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "mlockall": (151, 230),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "mbind": (237, 235), "set_mempolicy": (238, 237),
    "landlock_create_ruleset": (444, 444), "flock": (73, 32), "mknod": (133, None), "mknodat": (259, 33),
    "execve": (59, 221), "execveat": (322, 281), "truncate": (76, 45), "chmod": (90, None), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None),
    "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "unlink": (87, None), "unlinkat": (263, 35), "mkdir": (83, None), "mkdirat": (258, 34),
    "rmdir": (84, None), "creat": (85, None), "open": (2, None), "openat": (257, 56), "openat2": (437, 437),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "clone": (56, 220), "clone3": (435, 435),
    "ioctl": (16, 29), "prctl": (157, 167), "setpriority": (141, 140), "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119), "prlimit64": (302, 261), "fork": (57, None), "vfork": (58, None),
    "setpgid": (109, 154), "setrlimit": (160, 164), "fcntl": (72, 25), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "inotify_add_watch": (254, 27), "seccomp": (317, 277), "sched_setattr": (314, 274),
    "sched_setparam": (142, 118), "ioprio_set": (251, 30), "semop": (65, 193), "semtimedop": (220, 192),
    "semctl": (66, 191), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187), "mq_unlink": (241, 181),
}
ALWAYS = """socket connect accept bind listen accept4 ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd
pidfd_send_signal process_madvise process_mrelease setns mount umount2 pivot_root chroot move_mount open_tree
fsopen fsconfig fsmount fspick mount_setattr open_by_handle_at name_to_handle_at bpf perf_event_open userfaultfd keyctl
add_key request_key kexec_load kexec_file_load init_module finit_module delete_module personality iopl ioperm modify_ldt
swapon swapoff reboot sethostname setdomainname settimeofday clock_settime adjtimex clock_adjtime acct quotactl
quotactl_fd syslog vhangup fanotify_init lookup_dcookie memfd_create memfd_secret shmget shmat shmctl msgget semget
mq_open mlockall migrate_pages move_pages mbind set_mempolicy mknod mknodat setpriority sched_setscheduler
sched_setattr sched_setparam ioprio_set setrlimit seccomp semop semtimedop semctl msgsnd msgrcv msgctl mq_unlink""".split()
# Denied values of an argument. TIOCSTI, TIOCLINUX. Who gets a signal when a descriptor is ready, and which, is sent past the
# rules on kill: FIOSETOWN, SIOCSPGRP; F_SETOWN, F_SETSIG, F_SETOWN_EX, F_NOTIFY; F_SETLEASE keeps others waiting. PR_SET_SECCOMP
# could make the runner's own calls lie to it.
DENIED_VALUES = (("ioctl", 1, (0x5412, 0x541C, 0x8901, 0x8902)), ("fcntl", 1, (8, 10, 15, 1026, 1024)), ("prctl", 0, (22,)))
# Without a mount namespace the files of the whole machine are in reach, and Landlock does not cover these.
NO_NAMESPACE = """execve execveat truncate chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes
futimesat utimensat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr flock rt_sigqueueinfo
rt_tgsigqueueinfo pidfd_open sched_setaffinity inotify_init inotify_init1 inotify_add_watch""".split()
NO_LANDLOCK = """link linkat symlink symlinkat rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir creat open
openat openat2""".split()
MISSING = ["io_uring_setup", "io_uring_enter", "io_uring_register", "clone3"]
SPACES = NEWNS | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | 0x2000000 | 0x80
CLONE_THREAD = 0x10000
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16


def argument_low(index):
    return ARGUMENT + 8 * index


def filter_program(denied, signals):
    """BPF: other architectures are killed, `denied` calls fail with EPERM, newer calls than we know with ENOSYS.
    signals: "any" or "group" (kill(0, s), the own process group, only)."""
    code = []

    def emit(operation, true, false, value):
        code.append(struct.pack("HBBI", operation, true, false, value))

    def load(offset):
        emit(0x20, 0, 0, offset)

    def deny(number=errno.EPERM):
        emit(0x06, 0, 0, ERRNO | number)

    load(ARCHITECTURE)
    emit(0x15, 1, 0, 0xC00000B7 if ARM else 0xC000003E)
    emit(0x06, 0, 0, KILL_PROCESS)
    load(NUMBER)
    emit(0x35, 0, 1, 463)  # also catches the x32 bit
    deny(errno.ENOSYS)
    for name in MISSING:
        emit(0x15, 0, 1, NUMBERS[name][ARM])
        deny(errno.ENOSYS)
    for name in denied:
        if NUMBERS[name][ARM] is not None:
            emit(0x15, 0, 1, NUMBERS[name][ARM])
            deny()
    emit(0x15, 0, 4, NUMBERS["clone"][ARM])
    load(argument_low(0))
    emit(0x45, 0, 1, SPACES & ~0x80)
    deny()
    load(NUMBER)
    for name, argument, values in DENIED_VALUES:
        emit(0x15, 0, len(values) + 3, NUMBERS[name][ARM])
        load(argument_low(argument))
        for place, value in enumerate(values):
            emit(0x15, len(values) - 1 - place, 0 if place < len(values) - 1 else 1, value)
        deny()
        load(NUMBER)
    emit(0x15, 0, 4, NUMBERS["unshare"][ARM])
    load(argument_low(0))
    emit(0x15, 1, 0, CLONE_THREAD)  # see has_threads
    deny()
    load(NUMBER)
    # Limits may be asked for, not set: those of its own process are what a block is held by, and what the next one needs.
    emit(0x15, 0, 6, NUMBERS["prlimit64"][ARM])
    load(argument_low(2))
    emit(0x15, 0, 2, 0)
    load(argument_low(2) + 4)
    emit(0x15, 1, 0, 0)
    deny()
    load(NUMBER)
    if signals == "group":
        emit(0x15, 0, 4, NUMBERS["kill"][ARM])
        load(argument_low(0))
        emit(0x15, 1, 0, 0)
        deny()
        load(NUMBER)
        for name in ("tkill", "tgkill"):
            emit(0x15, 0, 1, NUMBERS[name][ARM])
            deny()
    emit(0x06, 0, 0, ALLOW)
    return b"".join(code)


def seccomp(denied, signals):
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    program = filter_program(denied, signals)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header, len(header)), "seccomp")


def confine(tier, readable):
    """The last step before a snippet's code: Landlock where the tier has it, then the filter."""
    if tier == "T3":
        if landlock_version() > 0:
            landlock(("/",), ("/tmp", "/dev/null", "/dev/zero", "/dev/full"))
        seccomp(ALWAYS, "any")
    elif tier == "T2":
        scoped = landlock_version() >= 6
        landlock(READABLE + tuple(readable) + DEVICES, ("/dev/null", "/dev/zero", "/dev/full"))
        seccomp(ALWAYS + NO_NAMESPACE, "any" if scoped else "group")
    else:
        seccomp(ALWAYS + NO_NAMESPACE + NO_LANDLOCK, "group")


def signals_are_scoped(tier):
    return tier == "T3" or (tier == "T2" and landlock_version() >= 6)


def limit(memory, processes, file_bytes):
    """Resource limits of one snippet's process. RLIMIT_NPROC counts threads, and does not bind uid 0."""
    for name, value in (("AS", memory), ("CORE", 0), ("FSIZE", file_bytes), ("NOFILE", 64), ("NPROC", processes),
                        ("MEMLOCK", 0), ("MSGQUEUE", 0), ("SIGPENDING", 256), ("STACK", 8 << 20)):
        kind = getattr(resource, "RLIMIT_" + name, None)
        if kind is None:
            continue
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))
