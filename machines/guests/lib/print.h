/* Console output. One print() call is one unit: lines from two CPUs never mix. */
#ifndef PRINT_H
#define PRINT_H

#include <stdarg.h>

/* %s %c %d %u %x %ld %lu %lx %p %%, with a width, 0 padding and - for left alignment. '\n' is sent as CR LF. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);

/* For callers that make one unit of several prints. */
void console_lock(void);
void console_unlock(void);
__attribute__((format(printf, 1, 2))) void print_locked(const char *format, ...);

#endif
