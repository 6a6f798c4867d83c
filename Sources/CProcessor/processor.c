#include "CProcessor.h"

#if defined(__x86_64__)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT "lacks AVX2, FMA or another part of x86-64-v3, which the kernels are compiled for"
#define REMEDY "use a machine with AVX2 and FMA (Intel since 2013, AMD since 2015)"

void martlet_require_processor(int count, char *const *arguments) {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v3")) return;
  if (count > 1 && strcmp(arguments[1], "doctor") == 0) {
    int json = 0;
    for (int i = 2; i < count; i++) json |= strcmp(arguments[i], "--json") == 0;
    puts(json ? "{\"findings\":[{\"name\":\"processor\",\"remedy\":\"" REMEDY "\",\"status\":\"failed\",\"text\":\"" TEXT "\"}]}"
              : "FAILED   processor  " TEXT "\n                    -> " REMEDY);
    fflush(stdout);
  }
  fputs("error: the processor " TEXT "; " REMEDY "\n", stderr);
  exit(78);
}
#else
void martlet_require_processor(int count, char *const *arguments) { (void)count, (void)arguments; }
#endif
