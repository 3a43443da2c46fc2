/* Three partitions under one script: the client acts itself, or has a peer act by a direct message. */
#ifndef ACTOR_H
#define ACTOR_H

#include "ffa.h"

#define CLIENT 1U
#define PEER 2U
#define OTHER 3U

enum command { DO_CALL, DO_WRITE_TX, DO_READ_RX, DO_LOAD, DO_STORE, DO_EXECUTE, DO_MAP, DO_STATISTICS };

/* Payload words of a message that carries a command and of its answer: x4-x17 of a v1.2 request. Up to v1.1 there are
   x3-x7, of which x3 says in its upper half that it is a command. */
#define WORDS 14U
#define NARROW_WORDS 5U
#define COMMAND 0x434f4d4dUL

struct access {
    bool faulted;
    uint64_t value;
    uint64_t esr;
};

struct statistics {
    uint64_t npi;
    uint64_t sri;
    uint64_t runs;
    uint64_t interrupts;
    /* Narrow direct requests answered. */
    uint64_t served;
};

/* What x3 of a narrow direct request may ask for besides an answer, with its arguments in x4 and x5: take that many
   rounds, give way with that time to come back, pass a SPIN of x5 rounds on between the partitions in x4. */
enum wish { SPIN = 0x5350494e, GIVE_WAY = 0x59494c44, PASS_ON = 0x50415353 };

/* local.c: what each partition does on its own. */
extern uint64_t tx[512], rx[512];
extern volatile struct statistics statistics;
void local_init(void);
/* The same for a second vCPU. */
void local_init_cpu(void);
/* Take interrupts that are pending. */
void local_window(void);
/* Do the command in words[0] with the words after it; the answer replaces them. */
void local_do(uint64_t words[WORDS]);

/* peer.c: serve commands for ever; a partition that only serves maps its buffers first. */
_Noreturn void serve(uint32_t version);
_Noreturn void serve_alone(uint32_t version);

/* actor.c: what version `who` speaks, 1.2 until the script has it start over. */
extern uint32_t spoken[OTHER + 1];
/* Send a command to another partition, which may end of it; the answer as it comes. */
struct smccc_regs tell(unsigned who, const uint64_t words[WORDS]);
/* `who` does it. */
void act(unsigned who, uint64_t words[WORDS]);
struct smccc_regs call_as(unsigned who, uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4);
int32_t status_as(unsigned who, uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4);
void write_tx(unsigned who, const void *data, uint32_t size);
uint64_t read_rx(unsigned who, uint32_t offset);
struct access load(unsigned who, uint64_t address);
struct access store(unsigned who, uint64_t address, uint64_t value);
struct access execute(unsigned who, uint64_t address);
void map_as(unsigned who, uint64_t address, uint64_t size, uint64_t attributes);
struct statistics statistics_of(unsigned who);

#endif
