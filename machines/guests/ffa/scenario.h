/* The client's script: checks by name, and addresses that all three partitions agree on. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "actor.h"

/* RAM of the partitions, as each sees its own. */
#define RAM_OF(who) (0x48000000UL + ((who)-1) * 0x20000000UL)
/* Pages that nobody uses for anything else. */
#define PAGE_OF(who, number) (RAM_OF(who) + 0x1000000UL + (number)*0x1000UL)
/* Where no partition has anything. */
#define ELSEWHERE 0xc0000000UL
#define CODE_WINDOW 0xc0200000UL
#define SP1 0x8001U
#define SP2 0x8002U
#define NOBODY 0x9999U

void check(const char *name, uint64_t got, uint64_t expected);
void refused(const char *name, struct smccc_regs regs, int32_t code);
void accepted(const char *name, struct smccc_regs regs);

void check_version(void);
void check_setup(void);
void check_messages(void);
void check_memory(void);
void check_notifications(void);
void check_chains(void);
void check_teardown(void);

#endif
