#include "probe.h"

static volatile bool armed;
static volatile uint64_t fault;

static void arm(void)
{
    fault = 0;
    armed = true;
}

struct probe probe_read(uint64_t address)
{
    uint32_t value = 0;

    arm();
    __asm__ volatile("ldr %w0, [%1]" : "+r"(value) : "r"(address) : "memory");
    armed = false;
    return (struct probe){fault, value};
}

struct probe probe_write(uint64_t address, uint32_t value)
{
    arm();
    __asm__ volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
    armed = false;
    return (struct probe){fault, value};
}

bool probe_caught(struct exception_frame *frame)
{
    if (!armed || ESR_EC(frame->esr) != EC_DABT_SAME)
        return false;
    fault = frame->esr;
    frame->elr += 4;
    return true;
}
