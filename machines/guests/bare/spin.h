/* A loop of two instructions a round, which takes the same time wherever it is built. */
#ifndef SPIN_H
#define SPIN_H

#include <stdint.h>

static inline void spin(uint64_t rounds)
{
    if (rounds)
        __asm__ volatile("1: subs %0, %0, #1\n   b.ne 1b\n" : "+r"(rounds) : : "cc");
}

#endif
