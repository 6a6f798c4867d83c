"""System calls by name: their numbers, and which of them the tiers deny."""

# Name: (x86-64, aarch64), or None where the architecture has no such call.
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
# Denied at every tier.
ALWAYS = """socket connect accept bind listen accept4 ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd
pidfd_send_signal process_madvise process_mrelease setns mount umount2 pivot_root chroot move_mount open_tree
fsopen fsconfig fsmount fspick mount_setattr open_by_handle_at name_to_handle_at bpf perf_event_open userfaultfd keyctl
add_key request_key kexec_load kexec_file_load init_module finit_module delete_module personality iopl ioperm modify_ldt
swapon swapoff reboot sethostname setdomainname settimeofday clock_settime adjtimex clock_adjtime acct quotactl
quotactl_fd syslog vhangup fanotify_init lookup_dcookie memfd_create memfd_secret shmget shmat shmctl msgget semget
mq_open mlockall migrate_pages move_pages mbind set_mempolicy mknod mknodat setpriority sched_setscheduler
sched_setattr sched_setparam ioprio_set setrlimit seccomp semop semtimedop semctl msgsnd msgrcv msgctl
mq_unlink""".split()
# Values of an argument that are denied: (call, argument, values).
DENIED_VALUES = (
    # TIOCSTI and TIOCLINUX type into a terminal. FIOSETOWN and SIOCSPGRP choose who is signalled when a descriptor is
    # ready, and the rules on kill() do not cover such signals.
    ("ioctl", 1, (0x5412, 0x541C, 0x8901, 0x8902)),
    # F_SETOWN, F_SETSIG, F_SETOWN_EX and F_NOTIFY signal in the same way; F_SETLEASE keeps other processes waiting.
    ("fcntl", 1, (8, 10, 15, 1026, 1024)),
    # PR_SET_SECCOMP could make the runner's own calls lie to it.
    ("prctl", 0, (22,)),
)
# Denied too without a mount namespace: the files of the whole machine are in reach, and Landlock misses these calls.
NO_NAMESPACE = """execve execveat truncate chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes
futimesat utimensat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr flock rt_sigqueueinfo
rt_tgsigqueueinfo pidfd_open sched_setaffinity inotify_init inotify_init1 inotify_add_watch""".split()
# Denied too without Landlock: no file may be opened, made or removed.
NO_LANDLOCK = """link linkat symlink symlinkat rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir creat open
openat openat2""".split()
# Answered as by a kernel without them, so that libraries fall back to older calls.
MISSING = ["io_uring_setup", "io_uring_enter", "io_uring_register", "clone3"]
