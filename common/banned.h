/* Calls that are never right in this tree become compile errors.  Included by
 * the compiler's command line (-include) for every file of ours. */
#ifndef ASSAY_COMMON_BANNED_H
#define ASSAY_COMMON_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Under clang glibc's fortified forms are macros, and poisoning a macro warns. */
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok atoi atol atof atoll strncpy strncat
#pragma GCC poison gmtime localtime ctime asctime system popen tmpnam mktemp rand srand

#endif
