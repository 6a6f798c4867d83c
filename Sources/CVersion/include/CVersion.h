#ifndef MARTLET_CVERSION_H
#define MARTLET_CVERSION_H

/// The commit this program was built from, such as `abc1234` or, of changed files, `abc1234-dirty`; `unknown` where it
/// was not built by make in a git checkout. The string lives for ever.
const char *martlet_commit(void);

#endif
