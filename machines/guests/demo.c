/* The default machine's guest: ticks, inter-processor interrupts and a console that answers. */
#include "arch.h"
#include "gic.h"
#include "machine.h"
#include "print.h"
#include "psci.h"
#include "timer.h"
#include "uart.h"

#define IPI_INTID 1U
#define LINE_SIZE 80U

static char name[16];
static uint64_t boot_count;
static uint64_t period;
static uint64_t next_tick;
static unsigned ticks;
static volatile unsigned ipi_number;
static volatile bool peer_ready;

/* What has been typed since the last Enter. Guarded by the console lock. */
static char typed[LINE_SIZE];
static unsigned typed_length;

/* A message must not be glued to a half-typed line: leave that line, and show it again afterwards. */
static void begin_message(void)
{
    console_lock();
    if (typed_length)
        print_locked("\n");
    print_locked("[%s] ", name);
}

static void end_message(void)
{
    print_locked("\n");
    if (typed_length)
        print_locked("%s", typed);
    console_unlock();
}

#define say(...)                   \
    do {                           \
        begin_message();           \
        print_locked(__VA_ARGS__); \
        end_message();             \
    } while (0)

static uint64_t milliseconds(uint64_t counts)
{
    return counts * 1000 / timer_frequency();
}

static void on_tick(unsigned intid)
{
    uint64_t now = milliseconds(timer_count() - boot_count);

    (void)intid;
    ticks++;
    next_tick += period;
    timer_virtual_at(next_tick);
    if (!peer_ready) {
        say("tick %u at %lu.%03lu s", ticks, now / 1000, now % 1000);
        return;
    }
    say("tick %u at %lu.%03lu s, cpu0 -> cpu1 IPI %u", ticks, now / 1000, now % 1000, ticks);
    ipi_number = ticks;
    gic_send_sgi(1, IPI_INTID);
}

static void on_ipi(unsigned intid)
{
    (void)intid;
    say("cpu%u got IPI %u", cpu_id(), ipi_number);
}

static void finish_line(void)
{
    console_lock();
    print_locked("\n");
    if (typed_length)
        print_locked("[%s] you typed: %s\n", name, typed);
    typed_length = 0;
    typed[0] = '\0';
    console_unlock();
}

static void erase_character(void)
{
    if (!typed_length)
        return;
    typed[--typed_length] = '\0';
    print("\b \b");
}

static void append_character(char c)
{
    if (typed_length + 1 >= LINE_SIZE)
        return;
    console_lock();
    typed[typed_length++] = c;
    typed[typed_length] = '\0';
    print_locked("%c", c);
    console_unlock();
}

/* A terminal's Enter key sends CR; a file piped in ends its lines with LF; CR LF is one end, since an empty line says nothing. */
static void on_character(char c)
{
    static char previous;

    if (c == '\r' || (c == '\n' && previous != '\r'))
        finish_line();
    else if (c == '\b' || c == 0x7f)
        erase_character();
    else if (c >= ' ' && c < 0x7f)
        append_character(c);
    previous = c;
}

static void on_uart(unsigned intid)
{
    int c;

    (void)intid;
    while ((c = uart_getc()) >= 0)
        on_character((char)c);
}

static void wait_for_interrupts(void)
{
    irq_enable();
    for (;;)
        WFI();
}

void secondary_main(uint64_t context)
{
    gic_init_cpu();
    gic_enable(IPI_INTID, on_ipi);
    say("cpu%u is up, context id 0x%lx", cpu_id(), context);
    peer_ready = true;
    wait_for_interrupts();
}

static void banner(void)
{
    say("----------------------------------------------------");
    say("Hello! I am %s, a small program on a virtual Arm machine.", name);
    say("CurrentEL: EL%u   vCPUs: %u   RAM: %lu MB at 0x%lx", current_el(), machine.cpus, machine.ram_size >> 20,
        machine.ram_base);
    say("I tick every %lu ms. Type a line and press Enter: I answer.", milliseconds(period));
    say("----------------------------------------------------");
}

static void start_peer(void)
{
    int64_t result;

    if (machine.cpus < 2)
        return;
    result = psci_cpu_on(1, 0x1234);
    if (result != PSCI_SUCCESS)
        say("cpu1 did not start: PSCI error %ld", result);
}

void guest_main(void)
{
    if (!bootarg_string("name", name, sizeof(name)))
        bootarg_string("", name, sizeof(name));
    if (!name[0])
        name[0] = 'v', name[1] = 'm';
    boot_count = timer_count();
    period = timer_frequency() * bootarg_number("period_ms", 1000) / 1000;
    if (!period)
        period = timer_frequency();
    banner();
    gic_init();
    gic_enable(TIMER_VIRTUAL_INTID, on_tick);
    gic_enable(UART_INTID, on_uart);
    start_peer();
    uart_enable_rx_interrupt();
    next_tick = boot_count + period;
    timer_virtual_at(next_tick);
    wait_for_interrupts();
}
