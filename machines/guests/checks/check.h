/* The self-test's framework: results, expected exceptions, EL0 code, recorded interrupts, and work for the second vCPU. */
#ifndef CHECK_H
#define CHECK_H

#include "arch.h"
#include "timer.h"

/* Device space of the board where there is no device. */
#define HOLE 0x0b000000UL
/* A virtual address that no identity map of this board reaches. */
#define ALIAS 0x7000000000UL

/* results (main.c) */
void check(const char *name, bool condition);
void check_equal(const char *name, uint64_t got, uint64_t expected);
void check_detail(const char *name, const char *detail, uint64_t got, uint64_t expected);

/* Spin until `condition` holds; false after two seconds. */
#define eventually(condition)                                                                \
    ({                                                                                       \
        uint64_t deadline_ = timer_count() + 2 * timer_frequency();                          \
        uint64_t pause_ = 1;                                                                 \
        bool met_;                                                                           \
        while (!(met_ = (condition)) && timer_count() < deadline_) {                         \
            WFE();                                                                           \
            spin(pause_);                                                                    \
            pause_ = pause_ < 50000 ? 2 * pause_ : pause_;                                   \
        }                                                                                    \
        met_;                                                                                \
    })

/* A condition may cost a trap, so eventually() looks less and less often. */
static inline void spin(uint64_t times)
{
    while (times--)
        __asm__ volatile("yield");
}

/* exceptions taken on purpose (trap.c), on CPU 0 only */
struct trap {
    bool armed;
    unsigned count;
    unsigned vector;
    uint64_t esr;
    uint64_t far;
    uint64_t elr;
    uint64_t spsr;
};
extern struct trap trap;

/* Run `statement`, skipping whatever it faults on; its exception, if any, is left in `trap`. */
#define PROBE(statement) \
    do {                 \
        trap_arm();      \
        statement;       \
        trap_disarm();   \
    } while (0)

void trap_arm(void);
void trap_disarm(void);
void trap_init(void);
/* Exactly one exception with this syndrome. The external abort type bit (EA) is not compared: it is implementation defined. */
void check_trap(const char *name, uint64_t esr);
void check_fault(const char *name, uint64_t esr, uint64_t far);

/* Run `code` at EL0 with x0 = argument until its first exception, left in `trap`; returns its x0. */
uint64_t run_el0(void (*code)(void), uint64_t argument);

/* interrupts (interrupts.c) */
struct irq_record {
    volatile unsigned count;
    volatile unsigned last;
    volatile unsigned vector;
    volatile unsigned priority;
    volatile uint64_t when;
};
extern struct irq_record irqs[MAX_CPUS];
/* Called between acknowledge and end of interrupt. */
extern void (*volatile irq_hook)(unsigned intid);

void interrupts_init(void);
/* Let whatever is pending be taken now. */
void irq_window(void);
/* Poll the CPU interface, with interrupts masked. */
uint64_t acknowledge(void);
void end_of_interrupt(uint64_t intid);
bool pending_becomes(uint64_t intid);

/* the second vCPU (peer.c) */
typedef void peer_job(uint64_t argument);
extern volatile uint64_t peer_context;
extern volatile bool peer_up;

bool peer_present(void);
/* CPU_ON and wait for it; the PSCI result. */
int64_t peer_start(uint64_t context);
/* Make the second vCPU leave its loop and call CPU_OFF. */
void peer_stop(void);
void peer_begin(peer_job *job, uint64_t argument);
bool peer_finish(void);
bool peer_run(peer_job *job, uint64_t argument);
/* Both vCPUs call it in turn, so that each is switched in between its steps. */
void peer_rendezvous(void);

void check_psci(void);
void check_psci_last(void);
void check_registers(void);
void check_exceptions(void);
void check_memory(void);
void check_timer(void);
void check_gic(void);
void check_mmio(void);

#endif
