// In C, since the linker may take a specialised Swift generic from a target that is compiled for newer processors.
#ifndef MARTLET_CPROCESSOR_H
#define MARTLET_CPROCESSOR_H

/// Ends the program with status 78 and a remedy where the processor lacks instructions that the kernels are compiled for; `doctor`
/// gets it as a finding, too.
void martlet_require_processor(int count, char *const *arguments);

#endif
