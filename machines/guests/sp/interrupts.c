#include "arch.h"
#include "exception.h"
#include "hypercall.h"
#include "partition.h"
#include "print.h"
#include "probe.h"

/* Software interrupts, of which the only one enabled is that of notifications. */
#define FIRST_DEVICE 16U

/* IRQ or FIQ; either vector takes all there are. */
static void take_interrupts(void)
{
    for (unsigned intid = interrupt_get(); intid != HF_NO_INTERRUPT; intid = interrupt_get()) {
        if (intid < FIRST_DEVICE) {
            counters.notification_interrupts++;
            continue;
        }
        counters.device_interrupts++;
        partition.interrupt(intid);
        interrupt_deactivate(intid);
    }
}

/* Called by vectors.S. */
void exception_entry(struct exception_frame *frame, unsigned vector);
void exception_entry(struct exception_frame *frame, unsigned vector)
{
    unsigned kind = vector % 4;

    if (kind == 1 || kind == 2) {
        counters.fiqs += kind == 2;
        take_interrupts();
        return;
    }
    if (kind == 0 && probe_caught(frame))
        return;
    print("[%s] unexpected exception: ESR 0x%lx FAR 0x%lx ELR 0x%lx\n", partition.name, frame->esr, frame->far, frame->elr);
    fail("unexpected exception");
}
