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
/* What x3 of a request to a stub partition asks for. */
#define STUB_RETRIEVE 0x53540001UL
#define STUB_RELINQUISH 0x53540002UL
#define STUB_NOTIFY 0x53540003UL
/* A word of RAM that outlives a reset: the version a partition starts with, 0 for whatever it is given. */
#define VERSION_WORD(ram_base) ((ram_base) + 0x12bc000UL)

void check(const char *name, uint64_t got, uint64_t expected);
void refused(const char *name, struct smccc_regs regs, int32_t code);
void accepted(const char *name, struct smccc_regs regs);

/* shares.c: a send of pages of the client to one receiver; tests change what they are about. */
extern struct ffa_region region;
extern uint64_t packed[640];
void describe(uint16_t receiver, uint8_t permissions, uint64_t page, uint32_t pages);
void also(uint16_t receiver, uint8_t permissions);
void describe_request(uint16_t who, uint64_t handle, uint8_t permissions);
/* In the layout of the version that `who` speaks. */
struct smccc_regs send(unsigned who, uint32_t function);
uint64_t handle_of(struct smccc_regs regs);
struct smccc_regs retrieve(unsigned who, uint64_t handle, uint8_t permissions);
struct smccc_regs relinquish(unsigned who, uint64_t handle, uint32_t flags);
struct smccc_regs reclaim(unsigned who, uint64_t handle, uint32_t flags);
/* The access arrives as an external abort of the guest's own. */
void blocked(const char *name, struct access access);
void works(const char *name, struct access access, uint64_t value);

/* messages.c */
struct smccc_regs send2(unsigned who, uint16_t sender, uint16_t receiver, uint64_t payload);

void check_version(void);
void check_setup(void);
void check_messages(void);
void check_memory(void);
void check_notifications(void);
void check_chains(void);
void check_numbered(void);
void check_versions(void);
void check_teardown(void);

#endif
