/* Guests that misbehave, one per definition: NOWHERE, NOTABLES, EXLOOP, BADSTORE. */
#include "arch.h"
#include "exception.h"
#include "machine.h"
#include "mmio.h"
#include "mmu.h"
#include "print.h"

/* Device space of the board where there is no device. */
#define HOLE 0x0b000000UL

#if defined(NOWHERE)

/* With the MMU off and vectors in the hole, the jump faults, and so does every fetch of the handler. */
void guest_main(void)
{
    print("nowhere: jumping to 0x%lx without exception vectors\n", HOLE);
    WRITE_SYSREG(sctlr_el1, READ_SYSREG(sctlr_el1) & ~1UL);
    WRITE_SYSREG(vbar_el1, HOLE);
    ISB();
    __asm__ volatile("br %0" : : "r"(HOLE));
    __builtin_unreachable();
}

#elif defined(NOTABLES)

/* Its own code is no longer mapped, the exception vectors neither: every fetch faults from here on. */
void guest_main(void)
{
    print("notables: clearing my own translation tables\n");
    for (unsigned i = 0; i < ARRAY_SIZE(mmu_root); i++)
        ((volatile uint64_t *)mmu_root)[i] = 0;
    __asm__ volatile("dsb ish\n tlbi vmalle1is\n dsb ish\n isb" : : : "memory");
    print("notables: still alive\n");
}

#elif defined(EXLOOP)

/* Slot 4 (current EL with SP_EL1, synchronous) starts with the instruction that leads to it. */
__asm__(".pushsection .text.exloop, \"ax\"\n"
        ".balign 0x800\n"
        "exloop_vectors:\n"
        ".rept 512\n"
        "svc #1\n"
        ".endr\n"
        ".popsection\n");
extern char exloop_vectors[];

void guest_main(void)
{
    print("exloop: an exception whose handler takes the same exception\n");
    WRITE_SYSREG(vbar_el1, (uintptr_t)exloop_vectors);
    ISB();
    __asm__ volatile("svc #1");
}

#elif defined(BADSTORE)

static void skip_external_abort(struct exception_frame *frame, unsigned vector)
{
    if (ESR_EC(frame->esr) != EC_DABT_SAME || ESR_FSC(frame->esr) != FSC_EXTERNAL_ABORT)
        exception_panic(frame, vector);
    print("caught external abort at 0x%lx\n", frame->far);
    frame->elr += 4;
}

void guest_main(void)
{
    exception_set_sync(skip_external_abort);
    print("badstore: storing to 0x%lx\n", HOLE + 0x10);
    mmio_write32(HOLE + 0x10, 1);
    print("still alive\n");
}

#endif
