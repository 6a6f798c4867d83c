#ifndef MARTLET_CPROCESSOR_H
#define MARTLET_CPROCESSOR_H

#include <stdbool.h>

/// Whether this processor, and the system it runs, have AVX2, FMA and the rest of x86-64-v3.
bool martlet_processor_is_x86_64_v3(void);

#endif
