/* A VM that talks: to the other VM and to the secure partitions, one scene after another for ever. */
#ifndef CHAT_H
#define CHAT_H

#include <stdbool.h>
#include <stdint.h>

#include "commands.h"
#include "ffa.h"
#include "print.h"
#include "transactions.h"

#define FIRST_VM 1U
#define SECOND_VM 2U

/* x3 of direct requests between the two VMs. */
enum chat_command {
    /* Answer: x4 = lines said so far. */
    CHAT_COUNT = 0xc4a70001,
    /* x4, x5 handle of a page: write a word into it. Answer: x4 = code, x5 = the word. */
    CHAT_WRITE = 0xc4a70002,
};

/* Bits of notifications that each VM lets the other one and sp_hello set. */
#define BELL 8U
#define PARTITION_BELL 32U

/* Somebody's name. */
const char *who(uint16_t id);
static inline uint16_t other_vm(void)
{
    return own_id == FIRST_VM ? SECOND_VM : FIRST_VM;
}

/* main.c: one line on the console. */
extern uint32_t lines;
#define say(format, ...) (lines++, print("[%s] " format "\n", who(own_id), ##__VA_ARGS__))

/* calls.c */
struct smccc_regs call(uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4);
/* A direct request, through interrupts to its answer; another try where the receiver is busy, but not for ever. */
struct smccc_regs ask(uint16_t whom, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7);
/* Whether there was an answer; says so if not. */
bool answered(uint16_t whom, const struct smccc_regs *regs);
/* Take interrupts that are pending; otherwise they are masked. */
void take_interrupts(void);
/* Serve a direct request and wait for what comes next. */
struct smccc_regs serve(struct smccc_regs message);
/* Wait for a message, an interrupt or cycles. */
struct smccc_regs wait(void);

/* news.c: notifications, and letters that they tell of. */
void news_init(void);
void tell_news(void);

/* scenes.c */
void next_scene(void);
/* The scene that a key stands for; the list of keys for any other one. */
void scene_of(char key);

#endif
