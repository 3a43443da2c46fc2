#include "chat.h"

#include "arch.h"
#include "exception.h"
#include "gic.h"
#include "machine.h"
#include "probe.h"
#include "timer.h"
#include "uart.h"

__attribute__((aligned(4096))) uint64_t tx[512], rx[512];
uint16_t own_id;
uint32_t lines;

static uint64_t period, next_tick;
static bool quiet;
static volatile bool tick_came, key_came;

const char *who(uint16_t id)
{
    switch (id) {
    case FIRST_VM:
        return "vm0";
    case SECOND_VM:
        return "vm1";
    case SP_HELLO:
        return "sp_hello";
    case SP_IRQ:
        return "sp_irq";
    case SP_RELAY:
        return "sp_relay";
    default:
        return "somebody";
    }
}

static void on_tick(unsigned intid)
{
    (void)intid;
    tick_came = true;
    next_tick += period;
    timer_virtual_at(next_tick);
}

/* The line is level-sensitive, so the character is taken here. */
static volatile char key;
static void on_key(unsigned intid)
{
    (void)intid;
    for (int c = uart_getc(); c >= 0; c = uart_getc()) {
        key = (char)c;
        key_came = true;
    }
}

static void on_sync(struct exception_frame *frame, unsigned vector)
{
    if (!probe_caught(frame))
        exception_panic(frame, vector);
}

static void partition_init(void)
{
    struct smccc_regs regs;

    ffa_use_smc(true);
    call(FFA_VERSION, FFA_V1_2, 0, 0, 0);
    own_id = (uint16_t)call(FFA_ID_GET, 0, 0, 0, 0).x[2];
    call(FFA_RXTX_MAP_64, (uintptr_t)tx, (uintptr_t)rx, 1, 0);
    regs = ffa_call(FFA_PARTITION_INFO_GET, 0, 0, 0, 0, 1);
    print("[%s] I am partition 0x%04x of %lu; press ? for keys\n", who(own_id), own_id, regs.x[2]);
}

static void interrupts_init(void)
{
    exception_set_sync(on_sync);
    gic_init();
    gic_enable(TIMER_VIRTUAL_INTID, on_tick);
    gic_enable(UART_INTID, on_key);
    uart_enable_rx_interrupt();
    next_tick = timer_count() + bootarg_number("first_ms", 500) * timer_frequency() / 1000;
    period = bootarg_number("period_ms", 1000) * timer_frequency() / 1000;
    timer_virtual_at(next_tick);
}

static void on_pressed(char pressed)
{
    if (pressed != ' ') {
        scene_of(pressed);
        return;
    }
    quiet = !quiet;
    say("%s", quiet ? "I am quiet until you press the space bar again" : "I talk again");
}

/* What interrupts have left to do. */
static void work(void)
{
    take_interrupts();
    tell_news();
    if (key_came) {
        key_came = false;
        on_pressed(key);
    }
    if (tick_came) {
        tick_came = false;
        if (!quiet)
            next_scene();
    }
}

void guest_main(void)
{
    struct smccc_regs message;

    partition_init();
    interrupts_init();
    news_init();
    message = wait();
    for (;;) {
        if (message.x[0] == FFA_MSG_SEND_DIRECT_REQ_32) {
            message = serve(message);
            continue;
        }
        work();
        message = wait();
    }
}
