/* Ticket-free spinlock on LDAXR/STXR; waiters sleep in WFE until the unlocking store clears their monitor. */
#ifndef SPINLOCK_H
#define SPINLOCK_H

#include <stdint.h>

struct spinlock {
    uint32_t held;
};

static inline void spin_lock(struct spinlock *lock)
{
    uint32_t scratch;

    __asm__ volatile("   sevl\n"
                     "1: wfe\n"
                     "2: ldaxr %w0, [%1]\n"
                     "   cbnz %w0, 1b\n"
                     "   stxr %w0, %w2, [%1]\n"
                     "   cbnz %w0, 2b\n"
                     : "=&r"(scratch)
                     : "r"(&lock->held), "r"(1)
                     : "memory");
}

static inline void spin_unlock(struct spinlock *lock)
{
    __asm__ volatile("stlr wzr, [%0]\n dsb ish\n sev" : : "r"(&lock->held) : "memory");
}

#endif
