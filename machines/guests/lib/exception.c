#include "exception.h"

#include "gic.h"
#include "print.h"
#include "psci.h"

static void dispatch_irq(struct exception_frame *frame, unsigned vector)
{
    (void)frame;
    (void)vector;
    gic_dispatch();
}

static void refuse_sync(struct exception_frame *frame, unsigned vector)
{
    exception_panic(frame, vector);
}

static exception_handler *sync_handler = refuse_sync;
static exception_handler *irq_handler = dispatch_irq;

void exception_set_sync(exception_handler *handler)
{
    sync_handler = handler;
}

void exception_set_irq(exception_handler *handler)
{
    irq_handler = handler;
}

_Noreturn void exception_panic(const struct exception_frame *frame, unsigned vector)
{
    print("unexpected exception, vector offset 0x%x\n", vector * 0x80);
    print("  ESR 0x%lx  FAR 0x%lx  ELR 0x%lx  SPSR 0x%lx\n", frame->esr, frame->far, frame->elr, frame->spsr);
    for (unsigned i = 0; i < 31; i++)
        print("  x%-2u 0x%016lx%s", i, frame->x[i], i % 3 == 2 || i == 30 ? "\n" : "");
    psci_system_off();
}

/* Called by vectors.S. */
void exception_entry(struct exception_frame *frame, unsigned vector);
void exception_entry(struct exception_frame *frame, unsigned vector)
{
    switch (vector % 4) {
    case 0:
        sync_handler(frame, vector);
        break;
    case 1:
        irq_handler(frame, vector);
        break;
    default:
        exception_panic(frame, vector);
    }
}
