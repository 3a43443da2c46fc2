/* Armv8.0-A EL1: system registers, barriers, interrupt masks, cache maintenance. */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READ_SYSREG(name)                                              \
    ({                                                                 \
        uint64_t value_;                                               \
        __asm__ volatile("mrs %0, " #name : "=r"(value_) : : "memory"); \
        value_;                                                        \
    })

#define WRITE_SYSREG(name, value) \
    __asm__ volatile("msr " #name ", %x0" : : "rZ"((uint64_t)(value)) : "memory")

#define ISB() __asm__ volatile("isb" : : : "memory")
#define DSB() __asm__ volatile("dsb sy" : : : "memory")
#define WFI() __asm__ volatile("wfi" : : : "memory")
#define WFE() __asm__ volatile("wfe" : : : "memory")
#define SEV() __asm__ volatile("sev" : : : "memory")

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define PAGE_SIZE 0x1000UL
#define MAX_CPUS 8U

#define PSR_I 0x80UL

static inline void irq_enable(void)
{
    __asm__ volatile("msr daifclr, #2" : : : "memory");
}

static inline void irq_disable(void)
{
    __asm__ volatile("msr daifset, #2" : : : "memory");
}

static inline uint64_t irq_save(void)
{
    uint64_t daif = READ_SYSREG(daif);
    irq_disable();
    return daif;
}

static inline void irq_restore(uint64_t daif)
{
    WRITE_SYSREG(daif, daif);
}

static inline unsigned cpu_id(void)
{
    return (unsigned)(READ_SYSREG(mpidr_el1) & 0xff);
}

static inline unsigned current_el(void)
{
    return (unsigned)(READ_SYSREG(CurrentEL) >> 2 & 3);
}

/* Make instructions just written to one cache line of `address` visible to fetches by every CPU. */
static inline void sync_instruction(const void *address)
{
    __asm__ volatile("dc cvau, %0\n dsb ish\n ic ivau, %0\n dsb ish\n isb" : : "r"(address) : "memory");
}

#endif
