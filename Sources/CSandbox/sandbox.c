#define _GNU_SOURCE
#include "CSandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { first_free_fd = 4 };

static void close_from(int first) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
#endif
  long limit = sysconf(_SC_OPEN_MAX);
  if (limit < 0 || limit > 1 << 16) limit = 1 << 16;
  for (long fd = first; fd < limit; fd++) close((int)fd);
}

/// Runs in the vforked child: system calls only, and it must end in exec or _exit.
static void become(const char *path, char *const argv[], char *const envp[], int null_fd, int control_fd, int error_fd,
                   volatile int *failure) {
  for (int signal_number = 1; signal_number < NSIG; signal_number++) {
    if (signal_number == SIGKILL || signal_number == SIGSTOP) continue;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal_number, &action, NULL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  // Addresses then depend on the program alone: what prints or sorts by address does so alike in every run.
  int current = personality(0xffffffff);
  if (current != -1) personality((unsigned long)current | ADDR_NO_RANDOMIZE);
  if (dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(error_fd, 2) < 0 || dup2(control_fd, 3) < 0) {
    *failure = errno;
    _exit(127);
  }
  close_from(first_free_fd);
  execve(path, argv, envp);
  *failure = errno;
  _exit(127);
}

int csandbox_spawn(const char *path, char *const argv[], char *const envp[], int control_fd, int error_fd, pid_t *pid) {
  // All sources sit above the targets, so that no dup2 overwrites a later source.
  int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_fd < 0) return errno;
  int null_high = fcntl(null_fd, F_DUPFD_CLOEXEC, first_free_fd);
  int control_high = fcntl(control_fd, F_DUPFD_CLOEXEC, first_free_fd);
  int error_high = fcntl(error_fd, F_DUPFD_CLOEXEC, first_free_fd);
  close(null_fd);
  volatile int failure = 0;
  if (null_high < 0 || control_high < 0 || error_high < 0) {
    failure = errno;
  } else {
    // Signals stay blocked until the child has reset the handlers it shares no memory safety with.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = vfork();
    if (child == 0) become(path, argv, envp, null_high, control_high, error_high, &failure);
    if (child < 0) failure = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child > 0 && failure != 0) waitpid(child, NULL, 0);
    if (child > 0) *pid = child;
  }
  if (null_high >= 0) close(null_high);
  if (control_high >= 0) close(control_high);
  if (error_high >= 0) close(error_high);
  return failure;
}

int csandbox_send(int socket_fd, const void *bytes, size_t count, int passed_fd) {
  struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
  union {
    struct cmsghdr header;
    char storage[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (passed_fd >= 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = sizeof control.storage;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed_fd, sizeof(int));
  }
  for (;;) {
    ssize_t sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
    if (sent == (ssize_t)count) return 0;
    if (sent >= 0) {  // a stream took a part: the descriptor went with it
      vector.iov_base = (char *)vector.iov_base + sent;
      vector.iov_len -= (size_t)sent;
      count -= (size_t)sent;
      message.msg_control = NULL;
      message.msg_controllen = 0;
    } else if (errno != EINTR) {
      return errno;
    }
  }
}

int csandbox_socketpair(int stream, int pair[2]) {
  int type = (stream ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC;
  return socketpair(AF_UNIX, type, 0, pair) == 0 ? 0 : errno;
}

int csandbox_memory_file(void) { return memfd_create("martlet", MFD_CLOEXEC); }

const char *csandbox_image_path(void) {
  Dl_info info;
  if (dladdr((void *)csandbox_image_path, &info) == 0) return NULL;
  return info.dli_fname;
}
