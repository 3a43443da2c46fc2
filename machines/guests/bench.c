/* Cost of the things a guest does, in CNTVCT ticks: bootargs `mode=alu|mem|hvc|mmio|switch|ipi|ring|counter n=NUMBER`. */
#include "arch.h"
#include "gic.h"
#include "machine.h"
#include "mmio.h"
#include "print.h"
#include "psci.h"
#include "timer.h"
#include "uart.h"

#define BUFFER_WORDS ((1UL << 20) / sizeof(uint64_t))
#define IPI_INTID 1U
#define MOST_CPUS 8U

typedef void benchmark(uint64_t n);

static uint64_t buffer[BUFFER_WORDS];
static volatile uint64_t turn;
static volatile uint64_t arrived[MOST_CPUS];
static volatile bool ready[MOST_CPUS];
static uint64_t rounds;
static benchmark *peer;

static void run_alu(uint64_t n)
{
    uint64_t value = 1;

    __asm__ volatile("1: add %0, %0, %0, lsl #3\n"
                     "   eor %0, %0, %0, lsr #7\n"
                     "   subs %1, %1, #1\n"
                     "   b.ne 1b\n"
                     : "+r"(value), "+r"(n)
                     :
                     : "cc");
}

/* One iteration is one pass of a load and a store per 64-byte line over 1 MB. */
static void run_mem(uint64_t n)
{
    volatile uint64_t *words = buffer;

    while (n--)
        for (uint64_t i = 0; i < BUFFER_WORDS; i += 8)
            words[i] = words[i] + 1;
}

static void run_hvc(uint64_t n)
{
    while (n--)
        psci_call(PSCI_VERSION, 0, 0, 0);
}

static void run_mmio(uint64_t n)
{
    while (n--)
        mmio_read32(UART_BASE + UART_FR);
}

static void run_counter(uint64_t n)
{
    while (n--)
        (void)READ_SYSREG(cntvct_el0);
}

/* CPU 0 plays the even turns, CPU 1 the odd ones. */
static void play_turns(uint64_t n)
{
    for (uint64_t mine = cpu_id(); mine < 2 * n; mine += 2) {
        while (turn != mine)
            WFE();
        turn = mine + 1;
        DSB();
        SEV();
    }
}

static void run_switch(uint64_t n)
{
    play_turns(n);
    while (turn != 2 * n)
        WFE();
}

static void on_ipi(unsigned intid)
{
    (void)intid;
    arrived[cpu_id()]++;
}

/* Sleep with interrupts masked, so that one arriving just before WFI still ends it. */
static void wait_ipi(uint64_t count)
{
    irq_disable();
    while (arrived[cpu_id()] < count) {
        WFI();
        irq_enable();
        ISB();
        irq_disable();
    }
}

static void answer_ipis(uint64_t n)
{
    for (uint64_t i = 1; i <= n; i++) {
        wait_ipi(i);
        gic_send_sgi(0, IPI_INTID);
    }
}

static void run_ipi(uint64_t n)
{
    for (uint64_t i = 1; i <= n; i++) {
        gic_send_sgi(1, IPI_INTID);
        wait_ipi(i);
    }
}

/* An interrupt goes once round all vCPUs. */
static void pass_on(uint64_t n)
{
    for (uint64_t i = 1; i <= n; i++) {
        wait_ipi(i);
        gic_send_sgi((cpu_id() + 1) % machine.cpus, IPI_INTID);
    }
}

static const struct {
    const char *mode;
    benchmark *run;
    benchmark *peer;
    bool all; /* every other vCPU is a peer, not just the second one */
} benchmarks[] = {
    {"alu", run_alu, NULL, false},
    {"mem", run_mem, NULL, false},
    {"hvc", run_hvc, NULL, false},
    {"mmio", run_mmio, NULL, false},
    {"counter", run_counter, NULL, false},
    {"switch", run_switch, play_turns, false},
    {"ipi", run_ipi, answer_ipis, false},
    {"ring", run_ipi, pass_on, true},
};

static void init_interrupts(void)
{
    if (cpu_id() == 0)
        gic_init();
    else
        gic_init_cpu();
    gic_enable(IPI_INTID, on_ipi);
}

void secondary_main(uint64_t context)
{
    (void)context;
    init_interrupts();
    ready[cpu_id()] = true;
    DSB();
    SEV();
    peer(rounds);
}

static bool start_peers(benchmark *run, uint64_t n, bool all)
{
    unsigned last = all ? machine.cpus - 1 : 1;

    peer = run;
    rounds = n;
    if (machine.cpus < 2 || machine.cpus > MOST_CPUS)
        return false;
    for (unsigned cpu = 1; cpu <= last; cpu++) {
        if (psci_cpu_on(cpu, 0) != PSCI_SUCCESS)
            return false;
        while (!ready[cpu])
            WFE();
    }
    return true;
}

static void measure(unsigned index, uint64_t n)
{
    uint64_t start;

    init_interrupts();
    if (benchmarks[index].peer && !start_peers(benchmarks[index].peer, n, benchmarks[index].all)) {
        print("BENCH %s needs more vCPUs, 8 at most\n", benchmarks[index].mode);
        return;
    }
    start = timer_count();
    benchmarks[index].run(n);
    print("BENCH %s %lu %lu\n", benchmarks[index].mode, n, timer_count() - start);
}

void guest_main(void)
{
    char mode[16];
    uint64_t n = bootarg_number("n", 1000);

    bootarg_string("mode", mode, sizeof(mode));
    for (unsigned i = 0; n && i < ARRAY_SIZE(benchmarks); i++)
        if (string_equal(mode, benchmarks[i].mode)) {
            measure(i, n);
            return;
        }
    print("usage: mode=alu|mem|hvc|mmio|switch|ipi|ring|counter n=NUMBER\n");
}
