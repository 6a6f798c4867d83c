// Preloaded into `train` by FaultTests: lets one chosen call of those that change files go wrong.
//
//   FAULT_CALL=N    which call, counted from 1 over all that are named below; 0 counts only
//   FAULT_KIND=     kill: the process ends before the call; torn: half is written, then it ends; enospc, eio: the call fails,
//                   and every later one that needs room too (enospc); short: half is written; eintr: it fails once with EINTR
//   FAULT_LOG=path  gets a line a call: its number and name

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls;
static int is_full;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static int is(const char *kind) {
  const char *wanted = getenv("FAULT_KIND");
  return wanted && strcmp(wanted, kind) == 0;
}

// Counts a call. 1: this one goes wrong.
static int is_chosen(const char *name) {
  const char *chosen = getenv("FAULT_CALL"), *log = getenv("FAULT_LOG");
  if (!chosen) return 0;
  pthread_mutex_lock(&lock);
  long number = ++calls;
  if (log) {
    int (*really_open)(const char *, int, ...) = next("open");
    ssize_t (*really_write)(int, const void *, size_t) = next("write");
    int file = really_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    char line[96];
    int length = snprintf(line, sizeof line, "%ld %s\n", number, name);
    if (file >= 0) {
      if (really_write(file, line, (size_t)length) != length) abort();
      close(file);
    }
  }
  pthread_mutex_unlock(&lock);
  int hit = number == atol(chosen);
  if (hit && is("kill")) kill(getpid(), SIGKILL);
  return hit;
}

// What a failing call returns: 0 to go on.
static int failure(int hit, int needs_room, int may_be_interrupted) {
  if (hit && is("enospc")) is_full = 1;
  if (needs_room && is_full) return ENOSPC;
  if (hit && is("eio")) return EIO;
  if (hit && may_be_interrupted && is("eintr")) return EINTR;
  return 0;
}

static size_t shortened(int hit, size_t count) {
  return hit && (is("short") || is("torn")) && count > 1 ? count / 2 : count;
}

static void end_if_torn(int hit) {
  if (hit && is("torn")) kill(getpid(), SIGKILL);
}

#define FAIL(code) \
  do { \
    int number = (code); \
    if (number) { \
      errno = number; \
      return -1; \
    } \
  } while (0)

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*really)(int, const void *, size_t, off64_t);
  if (!really) really = next("pwrite64");
  int hit = is_chosen("pwrite");
  FAIL(failure(hit, 1, 1));
  ssize_t done = really(file, bytes, shortened(hit, count), offset);
  end_if_torn(hit);
  return done;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) { return pwrite64(file, bytes, count, offset); }

int fsync(int file) {
  int hit = is_chosen("fsync");
  FAIL(failure(hit, 0, 0));
  return ((int (*)(int))next("fsync"))(file);
}

int fdatasync(int file) {
  int hit = is_chosen("fdatasync");
  FAIL(failure(hit, 0, 0));
  return ((int (*)(int))next("fdatasync"))(file);
}

int ftruncate64(int file, off64_t length) {
  int hit = is_chosen("ftruncate");
  FAIL(failure(hit, 0, 1));
  return ((int (*)(int, off64_t))next("ftruncate64"))(file, length);
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

int posix_fallocate64(int file, off64_t offset, off64_t length) {
  int hit = is_chosen("posix_fallocate");
  int number = failure(hit, 1, 0);
  return number ? number : ((int (*)(int, off64_t, off64_t))next("posix_fallocate64"))(file, offset, length);
}

int posix_fallocate(int file, off_t offset, off_t length) { return posix_fallocate64(file, offset, length); }

int fallocate64(int file, int mode, off64_t offset, off64_t length) {
  int hit = is_chosen("fallocate");
  FAIL(failure(hit, 1, 1));
  return ((int (*)(int, int, off64_t, off64_t))next("fallocate64"))(file, mode, offset, length);
}

int fallocate(int file, int mode, off_t offset, off_t length) { return fallocate64(file, mode, offset, length); }

int mkdir(const char *path, mode_t mode) {
  int hit = is_chosen("mkdir");
  FAIL(failure(hit, 1, 0));
  return ((int (*)(const char *, mode_t))next("mkdir"))(path, mode);
}

int rename(const char *from, const char *to) {
  int hit = is_chosen("rename");
  FAIL(failure(hit, 0, 0));
  return ((int (*)(const char *, const char *))next("rename"))(from, to);
}

int unlink(const char *path) {
  int hit = is_chosen("unlink");
  FAIL(failure(hit, 0, 0));
  return ((int (*)(const char *))next("unlink"))(path);
}
