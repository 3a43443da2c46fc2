#include "actor.h"

#include "arch.h"
#include "exception.h"
#include "gic.h"
#include "mmu.h"

__attribute__((aligned(4096))) uint64_t tx[512], rx[512];
volatile struct statistics statistics;

static volatile bool armed;
static volatile uint64_t fault;

static void on_sync(struct exception_frame *frame, unsigned vector)
{
    if (!armed)
        exception_panic(frame, vector);
    fault = frame->esr;
    frame->elr = ESR_EC(frame->esr) == EC_IABT_SAME ? frame->x[30] : frame->elr + 4;
}

static void on_npi(unsigned intid)
{
    (void)intid;
    statistics.npi++;
}

static void on_sri(unsigned intid)
{
    (void)intid;
    statistics.sri++;
}

/* A v1.0 partition has no such interrupts. */
static void enable_feature(unsigned id, gic_handler *handler)
{
    struct smccc_regs regs = ffa_call(FFA_FEATURES, id, 0, 0, 0, 0);

    if (ffa_status(&regs) == FFA_OK)
        gic_enable((unsigned)regs.x[2], handler);
}

void local_init(void)
{
    exception_set_sync(on_sync);
    gic_init();
    enable_feature(FFA_FEATURE_NPI, on_npi);
    enable_feature(FFA_FEATURE_SRI, on_sri);
}

void local_init_cpu(void)
{
    gic_init_cpu();
    enable_feature(FFA_FEATURE_NPI, on_npi);
}

void local_window(void)
{
    irq_enable();
    ISB();
    irq_disable();
}

static void arm(void)
{
    fault = 0;
    armed = true;
}

static void answer_access(uint64_t *words, uint64_t value)
{
    armed = false;
    words[0] = fault != 0;
    words[1] = value;
    words[2] = fault;
}

static void do_call(uint64_t *words)
{
    struct smccc_regs regs = {{0}};

    for (unsigned i = 0; i < 8; i++)
        regs.x[i] = words[1 + i];
    regs = ffa_call_regs(regs);
    for (unsigned i = 0; i < 8; i++)
        words[i] = regs.x[i];
}

static void do_load(uint64_t *words)
{
    uint64_t value = 0;

    arm();
    __asm__ volatile("ldr %0, [%1]" : "+r"(value) : "r"(words[1]) : "memory");
    answer_access(words, value);
}

static void do_store(uint64_t *words)
{
    arm();
    __asm__ volatile("str %0, [%1]" : : "r"(words[2]), "r"(words[1]) : "memory");
    answer_access(words, 0);
}

static void do_execute(uint64_t *words)
{
    uint64_t (*code)(void) = (uint64_t(*)(void))(uintptr_t)words[1];
    uint64_t value;

    sync_instruction((const void *)(uintptr_t)words[1]);
    arm();
    value = code();
    answer_access(words, value);
}

static void do_statistics(uint64_t *words)
{
    local_window();
    words[0] = statistics.npi;
    words[1] = statistics.sri;
    words[2] = statistics.runs;
    words[3] = statistics.interrupts;
    words[4] = statistics.served;
}

void local_do(uint64_t words[WORDS])
{
    switch (words[0]) {
    case DO_CALL:
        do_call(words);
        break;
    case DO_WRITE_TX:
        for (unsigned i = 0; i < words[2]; i++)
            tx[words[1] + i] = words[3 + i];
        break;
    case DO_READ_RX:
        words[0] = rx[words[1]];
        break;
    case DO_LOAD:
        do_load(words);
        break;
    case DO_STORE:
        do_store(words);
        break;
    case DO_EXECUTE:
        do_execute(words);
        break;
    case DO_MAP:
        words[0] = mmu_map(words[1], words[1], words[2], words[3]);
        break;
    default:
        do_statistics(words);
    }
}
