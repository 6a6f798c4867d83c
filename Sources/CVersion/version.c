#include "CVersion.h"

// Written by make (see Makefile), never committed: it says MARTLET_COMMIT.
#if __has_include("commit.h")
#include "commit.h"
#else
#define MARTLET_COMMIT "unknown"
#endif

const char *martlet_commit(void) { return MARTLET_COMMIT; }
