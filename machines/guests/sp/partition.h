/* The library of the secure partitions: start-up, the loop that serves requests, and what every partition can do. */
#ifndef PARTITION_H
#define PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "commands.h"
#include "ffa.h"
#include "transactions.h"

/* What one partition is beyond the library; each defines `partition`. */
struct partition {
    const char *banner;
    /* In front of its lines. */
    const char *name;
    /* What an echo adds to x4. */
    uint64_t echo_adds;
    /* At start-up; may be missing. */
    void (*init)(void);
    /* Serve a command of its own: x3-x7 are the request, and then the answer. False for any other command. */
    bool (*serve)(struct smccc_regs *message);
    /* A device interrupt came; returns with the device quiet. Only a partition that enabled one needs it. */
    void (*interrupt)(unsigned intid);
};

extern const struct partition partition;

/* main.c */
struct counters {
    uint64_t notification_interrupts;
    uint64_t device_interrupts;
    uint64_t runs;
    uint64_t interrupted;
    uint64_t fiqs;
};
extern volatile struct counters counters;
/* No answer and no way back: the SPMC aborts the partition. */
_Noreturn void fail(const char *why);

/* calls.c: a direct request to another partition, through interrupts and yields to its answer. */
struct smccc_regs ask(struct smccc_regs request);
/* A line on the debug log of the manager. */
void log_line(const char *text);

/* commands.c: commands that all partitions serve. */
bool serve_common(struct smccc_regs *message);
/* One line about a command that was served: x4 of the request, and of the answer. */
void tell(uint16_t client, uint64_t command, uint64_t with, uint64_t x4);

/* news.c: notifications and indirect messages. */
struct news {
    uint32_t from_partitions;
    uint32_t from_vms;
    uint32_t framework;
};
void news_init(void);
/* Take what is pending into the collection below; code. */
int32_t collect(void);
extern struct news news;
struct inbox {
    uint64_t count;
    uint16_t sender;
    uint64_t payload;
};
extern struct inbox inbox;

static inline uint64_t handle_in(const struct smccc_regs *message, unsigned low)
{
    return (message->x[low] & 0xffffffff) | message->x[low + 1] << 32;
}

/* The answer x3 = command, x4-x7. */
static inline bool answer(struct smccc_regs *message, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7)
{
    message->x[4] = x4;
    message->x[5] = x5;
    message->x[6] = x6;
    message->x[7] = x7;
    return true;
}

/* Codes travel as 32-bit numbers. */
static inline uint64_t code(int32_t status)
{
    return (uint32_t)status;
}

#endif
