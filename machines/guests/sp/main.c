#include "partition.h"

#include "arch.h"
#include "print.h"
#include "uart.h"

#define BOOT_INFO_SIGNATURE 0xffaU

__attribute__((aligned(4096))) uint64_t tx[512], rx[512];
volatile struct counters counters;
uint16_t own_id;

/* DEN0077A v1.2, 5.4: header, then descriptors of 32 bytes. */
struct boot_info {
    uint32_t signature;
    uint32_t version;
    uint32_t size;
    uint32_t descriptor_size;
    uint32_t descriptors;
    uint32_t offset;
};

struct boot_descriptor {
    char name[16];
    uint32_t type_and_flags;
    uint32_t size;
    uint64_t content;
};

/* Without a vector table and without code the next fetch faults for ever. */
_Noreturn void fail(const char *why)
{
    log_line(why);
    WRITE_SYSREG(vbar_el1, 0);
    ISB();
    ((void (*)(void))0)();
    __builtin_unreachable();
}

static void show_boot_info(const struct boot_info *info)
{
    const struct boot_descriptor *first = (const struct boot_descriptor *)((uintptr_t)info + info->offset);

    if (info->signature == BOOT_INFO_SIGNATURE && info->descriptors)
        print("[%s] 0x%04x, %s of %u bytes at 0x%lx\n", partition.name, own_id, first->name, first->size, first->content);
}

static struct smccc_regs wait(void)
{
    return ffa_call(FFA_MSG_WAIT, 0, 0, 0, 0, 0);
}

/* Give the answer and wait for what comes next. The answer was not taken while interrupts had to be handled first:
   that FFA_INTERRUPT names none in w2. */
static struct smccc_regs respond(struct smccc_regs response, uint32_t function)
{
    struct smccc_regs next;

    response.x[0] = function;
    response.x[1] = ffa_ids((uint16_t)response.x[1], (uint16_t)(response.x[1] >> 16));
    response.x[2] = 0;
    for (;;) {
        next = ffa_call_regs(response);
        if (next.x[0] != FFA_INTERRUPT || next.x[2])
            return next;
        counters.interrupted++;
    }
}

static struct smccc_regs serve_narrow(struct smccc_regs message)
{
    uint64_t command = message.x[3], with = message.x[4];
    uint16_t client = (uint16_t)(message.x[1] >> 16);
    bool wide = message.x[0] == FFA_MSG_SEND_DIRECT_REQ_64;

    if (!partition.serve(&message) && !serve_common(&message))
        message.x[4] += partition.echo_adds;
    tell(client, command, with, message.x[4]);
    return respond(message, wide ? FFA_MSG_SEND_DIRECT_RESP_64 : FFA_MSG_SEND_DIRECT_RESP_32);
}

static void call_function(struct smccc_regs *message)
{
    struct smccc_regs regs = {{0}};

    for (unsigned i = 0; i < 8; i++)
        regs.x[i] = message->x[5 + i];
    regs = ffa_call_regs(regs);
    for (unsigned i = 0; i < 8; i++)
        message->x[5 + i] = regs.x[i];
}

static struct smccc_regs serve_wide(struct smccc_regs message)
{
    bool function = message.x[4] == SP_FUNCTION;

    print("[%s] 0x%04x: %s 0x%lx\n", partition.name, (unsigned)(message.x[1] >> 16 & 0xffff),
          function ? "call" : "echo", message.x[function ? 5 : 4]);
    if (function)
        call_function(&message);
    else
        message.x[4] += SP_ECHO_ADDS;
    message.x[3] = 0;
    return respond(message, FFA_MSG_SEND_DIRECT_RESP2);
}

/* One thing that ended a wait; returns what ended the next one. */
static struct smccc_regs serve(struct smccc_regs message)
{
    switch (message.x[0]) {
    case FFA_MSG_SEND_DIRECT_REQ_32:
    case FFA_MSG_SEND_DIRECT_REQ_64:
        return serve_narrow(message);
    case FFA_MSG_SEND_DIRECT_REQ2:
        return serve_wide(message);
    case FFA_RUN:
        counters.runs++;
        collect();
        return wait();
    case FFA_INTERRUPT:
        /* The vector has taken it already. */
        counters.interrupted++;
        return wait();
    default:
        fail("unexpected end of a wait");
    }
}

/* Called by start.S. */
_Noreturn void bare_main(const struct boot_info *info);
_Noreturn void bare_main(const struct boot_info *info)
{
    struct smccc_regs message;

    uart_init();
    print("%s\n", partition.banner);
    ffa_use_smc(true);
    ffa_call(FFA_VERSION, FFA_V1_2, 0, 0, 0, 0);
    own_id = (uint16_t)ffa_call(FFA_ID_GET, 0, 0, 0, 0, 0).x[2];
    show_boot_info(info);
    ffa_call(FFA_RXTX_MAP_64, (uint64_t)(uintptr_t)tx, (uint64_t)(uintptr_t)rx, 1, 0, 0);
    news_init();
    if (partition.init)
        partition.init();
    __asm__ volatile("msr daifclr, #3" : : : "memory"); /* IRQ and FIQ */
    message = wait();
    for (;;)
        message = serve(message);
}
