// What Swift has no word for.
#ifndef MARTLET_CINTRINSICS_H
#define MARTLET_CINTRINSICS_H

#include <stddef.h>
#include <stdint.h>

/// Asks for the cache line at `address` to be read soon, into every level of cache.
static inline void martlet_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

/// Tells the core that this thread spins on a flag.
static inline void martlet_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Writes the numbers of the processors this process may run on; returns how many, 0 when that cannot be known.
int martlet_allowed_processors(int *list, int capacity);

/// Whether this processor has SHA-256 instructions.
int martlet_sha256_available(void);

/// Absorbs `count` blocks of 64 bytes into the eight words of `state`; `constants` are the 64 round constants.
void martlet_sha256_blocks(uint32_t *state, const uint32_t *constants, const uint8_t *data, size_t count);

#endif
