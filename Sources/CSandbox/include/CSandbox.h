#ifndef MARTLET_CSANDBOX_H
#define MARTLET_CSANDBOX_H

#include <stddef.h>
#include <sys/types.h>

/// Starts `path` with an empty signal mask, default signal handlers, its own session, no address randomisation, and
/// only these descriptors: 0 and 1 on /dev/null, 2 on `error_fd`, 3 on `control_fd`. Memory is not copied (vfork), so
/// the cost does not grow with the caller. Returns 0 or an errno value.
int csandbox_spawn(const char *path, char *const argv[], char *const envp[], int control_fd, int error_fd, pid_t *pid);

/// Sends one message, with `passed_fd` attached when it is not negative. Never raises SIGPIPE. Returns 0 or errno.
int csandbox_send(int socket_fd, const void *bytes, size_t count, int passed_fd);

/// Two connected sockets, closed on exec. `stream` selects SOCK_STREAM, otherwise SOCK_SEQPACKET. Returns 0 or errno.
int csandbox_socketpair(int stream, int pair[2]);

/// A nameless file in memory, closed on exec; -1 on failure.
int csandbox_memory_file(void);

/// Path of the executable or library this code was linked into; NULL when unknown. The string lives for ever.
const char *csandbox_image_path(void);

#endif
