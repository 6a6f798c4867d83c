// A process's memory as a file that its children share: a library for the zygote, made by `make build`.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { page_bytes = 4096, text_bytes = 1 << 20, most_regions = 1 << 14 };

struct region {
  uintptr_t start, end;
};

// Everything this file writes to is here, in shared memory: no region that is copied may change meanwhile.
struct scratch {
  char text[text_bytes];
  struct region regions[most_regions];
};

static int read_maps(char *text) {
  int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return errno;
  size_t filled = 0;
  for (;;) {
    ssize_t part = read(maps, text + filled, text_bytes - 1 - filled);
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) break;
    filled += (size_t)part;
  }
  close(maps);
  text[filled] = 0;
  return filled == text_bytes - 1 ? E2BIG : 0;
}

/// Finds what is readable, writable, private and no stack; returns how many.
static int find_regions(const char *line, struct region *regions) {
  int count = 0;
  while (*line != 0 && count < most_regions) {
    const char *end = strchr(line, '\n');
    if (end == NULL) break;
    struct region region;
    char rights[5];
    if (sscanf(line, "%zx-%zx %4s", &region.start, &region.end, rights) == 3 && strcmp(rights, "rw-p") == 0 &&
        memmem(line, (size_t)(end - line), "[stack", 6) == NULL)
      regions[count++] = region;
    line = end + 1;
  }
  return count;
}

static int is_zero(uintptr_t page) {
  const uint64_t *words = (const uint64_t *)page;
  for (int i = 0; i < page_bytes / 8; i++)
    if (words[i] != 0) return 0;
  return 1;
}

/// Writes a region's pages at the offset that is their address. What grows later finds zeros, as without a file.
static int write_region(int file, struct region region) {
  uintptr_t place = region.start;
  while (place < region.end) {
    if (is_zero(place)) {
      place += page_bytes;
      continue;
    }
    uintptr_t end = place + page_bytes;
    while (end < region.end && !is_zero(end)) end += page_bytes;
    while (place < end) {
      ssize_t written = pwrite(file, (const void *)place, end - place, (off_t)place);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return written < 0 ? errno : EIO;
      place += (uintptr_t)written;
    }
  }
  return 0;
}

static int move_into(int file, struct scratch *scratch) {
  int failure = read_maps(scratch->text);
  if (failure != 0) return failure;
  const int count = find_regions(scratch->text, scratch->regions);
  if (count == 0) return ENOENT;
  if (ftruncate(file, (off_t)scratch->regions[count - 1].end + ((off_t)1 << 40)) != 0) return errno;
  for (int i = 0; i < count && failure == 0; i++) failure = write_region(file, scratch->regions[i]);
  if (failure != 0) return failure;
  // No child may change what the others read.
  if (fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) return errno;
  for (int i = 0; i < count; i++) {
    const struct region region = scratch->regions[i];
    if (mmap((void *)region.start, region.end - region.start, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file,
             (off_t)region.start) == MAP_FAILED)
      return errno;
  }
  return 0;
}

/// Copies the writable private memory of this process, its stack excepted, into a sealed memory file and maps it back
/// from there, at the same addresses and still private. For a process of one thread; nothing it holds changes.
///
/// A fork copies the table entry of every page of anonymous memory. Of a file's pages it copies none: a child finds
/// those it needs in the file, and has its own copy of those that it writes to.
///
/// Returns 0, or the errno of what failed; the memory is then as before.
int martlet_snapshot(void) {
  if (sysconf(_SC_PAGESIZE) != page_bytes) return EINVAL;
  struct scratch *scratch =
      mmap(NULL, sizeof *scratch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (scratch == MAP_FAILED) return errno;
  int file = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int failure = file < 0 ? errno : move_into(file, scratch);
  if (file >= 0) close(file);
  munmap(scratch, sizeof *scratch);
  return failure;
}
