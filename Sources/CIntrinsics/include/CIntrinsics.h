// What Swift has no word for. Header only.
#ifndef MARTLET_CINTRINSICS_H
#define MARTLET_CINTRINSICS_H

/// Asks for the cache line at `address` to be read soon, into every level of cache.
static inline void martlet_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

#endif
