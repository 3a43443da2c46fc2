#include "check.h"

#include "exception.h"

#define ESR_EA (1UL << 9)
#define FIRST_LOWER_EL_VECTOR 8U
#define SPSR_EL1H_MASKED 0x3c5UL

/* probe.S */
uint64_t el0_enter(void (*code)(void), uint64_t argument, uint64_t stack);
void el0_return(void);

struct trap trap;
static __attribute__((aligned(16))) uint8_t el0_stack[256];

void trap_arm(void)
{
    trap = (struct trap){.armed = true};
    __asm__ volatile("" : : : "memory");
}

void trap_disarm(void)
{
    __asm__ volatile("" : : : "memory");
    trap.armed = false;
}

static void record(const struct exception_frame *frame, unsigned vector)
{
    trap.count++;
    trap.vector = vector;
    trap.esr = frame->esr;
    trap.far = frame->far;
    trap.elr = frame->elr;
    trap.spsr = frame->spsr;
}

static void leave_el0(struct exception_frame *frame)
{
    frame->elr = (uintptr_t)el0_return;
    frame->spsr = SPSR_EL1H_MASKED;
}

static void on_sync(struct exception_frame *frame, unsigned vector)
{
    if (!trap.armed || cpu_id() != 0 || trap.count > 8)
        exception_panic(frame, vector);
    record(frame, vector);
    if (vector >= FIRST_LOWER_EL_VECTOR)
        leave_el0(frame);
    else if (ESR_EC(frame->esr) == EC_IABT_SAME)
        frame->elr = frame->x[30];
    else if (ESR_EC(frame->esr) != EC_SVC64)
        frame->elr += 4;
}

void trap_init(void)
{
    exception_set_sync(on_sync);
}

uint64_t run_el0(void (*code)(void), uint64_t argument)
{
    uint64_t result;

    PROBE(result = el0_enter(code, argument, (uintptr_t)el0_stack + sizeof(el0_stack)));
    return result;
}

static bool is_abort(uint64_t esr)
{
    unsigned class = ESR_EC(esr);

    return class == EC_DABT_SAME || class == EC_DABT_LOWER || class == EC_IABT_SAME || class == EC_IABT_LOWER;
}

void check_trap(const char *name, uint64_t esr)
{
    check_detail(name, ": ESR", is_abort(esr) ? trap.esr & ~ESR_EA : trap.esr, esr);
    check_detail(name, ": taken once", trap.count, 1);
}

void check_fault(const char *name, uint64_t esr, uint64_t far)
{
    check_trap(name, esr);
    check_detail(name, ": FAR", trap.far, far);
}
