/* Cost of the things a guest does, in CNTVCT ticks: bootargs `mode=alu|mem|hvc|mmio|switch|ipi|counter n=NUMBER`. */
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

typedef void benchmark(uint64_t n);

static uint64_t buffer[BUFFER_WORDS];
static volatile uint64_t turn;
static volatile uint64_t arrived[2];
static volatile bool peer_ready;
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

static const struct {
    const char *mode;
    benchmark *run;
    benchmark *peer;
} benchmarks[] = {
    {"alu", run_alu, NULL},
    {"mem", run_mem, NULL},
    {"hvc", run_hvc, NULL},
    {"mmio", run_mmio, NULL},
    {"counter", run_counter, NULL},
    {"switch", run_switch, play_turns},
    {"ipi", run_ipi, answer_ipis},
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
    peer_ready = true;
    DSB();
    SEV();
    peer(rounds);
}

static bool start_peer(benchmark *run, uint64_t n)
{
    peer = run;
    rounds = n;
    if (machine.cpus < 2 || psci_cpu_on(1, 0) != PSCI_SUCCESS)
        return false;
    while (!peer_ready)
        WFE();
    return true;
}

static void measure(unsigned index, uint64_t n)
{
    uint64_t start;

    init_interrupts();
    if (benchmarks[index].peer && !start_peer(benchmarks[index].peer, n)) {
        print("BENCH %s needs a second vCPU\n", benchmarks[index].mode);
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
    print("usage: mode=alu|mem|hvc|mmio|switch|ipi|counter n=NUMBER\n");
}
