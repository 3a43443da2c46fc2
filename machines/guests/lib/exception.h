/* What the vectors save, and who handles it. */
#ifndef EXCEPTION_H
#define EXCEPTION_H

#include <stdint.h>

/* Layout shared with vectors.S. */
struct exception_frame {
    uint64_t x[31];
    uint64_t sp_el0;
    uint64_t elr;
    uint64_t spsr;
    uint64_t esr;
    uint64_t far;
};

enum exception_class {
    EC_UNKNOWN = 0x00,
    EC_SYSREG = 0x18,
    EC_SVC64 = 0x15,
    EC_IABT_LOWER = 0x20,
    EC_IABT_SAME = 0x21,
    EC_PC_ALIGNMENT = 0x22,
    EC_DABT_LOWER = 0x24,
    EC_DABT_SAME = 0x25,
    EC_BRK64 = 0x3c,
};

#define ESR_EC(esr) ((unsigned)((esr) >> 26 & 0x3f))
#define ESR_FSC(esr) ((unsigned)((esr)&0x3f))
#define FSC_EXTERNAL_ABORT 0x10U
#define FSC_ALIGNMENT 0x21U

/* `vector` is the index of the 0x80-byte slot (offset / 0x80). */
typedef void exception_handler(struct exception_frame *frame, unsigned vector);

void exception_set_sync(exception_handler *handler);
void exception_set_irq(exception_handler *handler);

/* Print the frame and power the machine off. */
_Noreturn void exception_panic(const struct exception_frame *frame, unsigned vector);

#endif
