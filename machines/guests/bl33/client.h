/* The test client of the secure world. One program for NS-EL1 under a hypervisor that relays FF-A, and for NS-EL2
   without one; it talks by SMC in both places. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "arch.h"
#include "commands.h"
#include "ffa.h"
#include "probe.h"
#include "spin.h"

#define NOBODY 0x9999U
/* Secure memory that is not the client's: the SPMC's, and a partition's. */
#define SPMC_MEMORY 0x0e100000UL
#define PARTITION_MEMORY 0x0e300000UL
/* Where nothing is. */
#define ELSEWHERE 0xc0000000UL

/* main.c */
extern bool owns_el2;
extern uint16_t own_id;
extern uint64_t tx[512], rx[512];

/* report.c: one line for each test, of as many checks as it likes; the first that fails is told. */
void test(const char *name, void (*run)(void));
void expect(uint64_t got, uint64_t expected);
/* The code of FFA_ERROR, or FFA_OK. */
void expect_code(struct smccc_regs regs, int32_t code);
void report_summary(void);

/* calls.c */
struct smccc_regs call(uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4);
/* Direct requests of 32 and 64 bits; x0-x17 of what ended them. */
struct smccc_regs request(uint16_t receiver, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7);
struct smccc_regs request_64(uint16_t receiver, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7);
struct smccc_regs run(uint16_t partition);
/* Take interrupts and run on until the answer is there, at most so many times; `preemptions` tells of it. */
struct smccc_regs run_on(struct smccc_regs regs, unsigned most);
struct preemptions {
    unsigned count;
    /* How often each of the three partitions was named. */
    unsigned of[3];
};
extern struct preemptions preemptions;
/* A code as partitions answer it. */
static inline uint64_t code(int32_t status)
{
    return (uint32_t)status;
}
/* x4 of a partition's answer, that is, the code of most commands; ~0 where there was no answer. Interrupts that come
   meanwhile, such as those of notifications it makes, are taken. */
uint64_t answered(uint16_t receiver, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7);

/* interrupts.c */
extern volatile unsigned ticks, notification_interrupts, schedule_interrupts;
void interrupts_init(void);
/* Enable the interrupts that tell of notifications, as FEATURES says. */
void feature_interrupts_init(void);
/* Counter ticks in which a partition counts down from `rounds`, if nothing comes between. */
uint64_t ticks_of(uint64_t rounds);
/* Interrupt every `period` ticks of the counter until stopped. */
void ticking_start(uint64_t period);
void ticking_stop(void);
/* Take all interrupts that are pending; otherwise they are masked. */
void take_interrupts(void);

/* region.c: memory transactions. */
#define PAGES 700U
/* A page of the client's own that no other test has left in use. */
uint64_t page(unsigned number);
uint32_t page_word(unsigned number);
void set_page_word(unsigned number, uint32_t word);
extern struct ffa_region region;
/* A send of pages to one receiver; tests change what they are about. */
void describe(uint16_t receiver, uint8_t permissions, uint64_t address, uint32_t pages);
void also(uint16_t receiver, uint8_t permissions);
/* Send `region`; memory lent or donated to one gets its type from the receiver. */
struct smccc_regs send(uint32_t function);
uint64_t handle_of(struct smccc_regs regs);
uint64_t share(uint16_t receiver, unsigned number);
uint64_t lend(uint16_t receiver, unsigned number);
struct smccc_regs reclaim(uint64_t handle, uint32_t flags);
/* Code of a partition's retrieval of what the client sent. */
uint64_t retrieve(uint16_t partition, uint64_t handle, uint8_t permissions, uint32_t flags);
uint64_t relinquish(uint16_t partition, uint64_t handle, uint32_t flags);
/* An access that ended in an external abort of the same exception level, as memory that is not there does. */
void expect_blocked(uint64_t esr);
/* Accesses by a partition: its syndrome, and the word read. */
uint64_t read_fault(uint16_t partition, uint64_t address);
uint64_t write_fault(uint16_t partition, uint64_t address, uint32_t word);
uint64_t read_by(uint16_t partition, uint64_t address);

/* Tests, in the order in which they run. */
void numbered_tests(void);
void setup_tests(void);
void message_tests(void);
void schedule_tests(void);
void memory_tests(void);
void hostile_tests(void);
void notification_tests(void);
void abort_tests(void);

#endif
