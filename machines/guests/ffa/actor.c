#include "actor.h"

/* Interrupts end the wait for an answer: take them, and have the callee run on. */
static struct smccc_regs request(struct smccc_regs regs)
{
    regs = ffa_call_regs(regs);
    while (regs.x[0] == FFA_INTERRUPT) {
        local_window();
        regs = ffa_call(FFA_RUN, regs.x[1], 0, 0, 0, 0);
    }
    return regs;
}

uint32_t spoken[OTHER + 1] = {[CLIENT] = FFA_V1_2, [PEER] = FFA_V1_2, [OTHER] = FFA_V1_2};

static bool narrow(unsigned who)
{
    return spoken[who] < FFA_V1_2;
}

static struct smccc_regs wrap(unsigned who, const uint64_t words[WORDS])
{
    struct smccc_regs regs = {{FFA_MSG_SEND_DIRECT_REQ2, ffa_ids(CLIENT, (uint16_t)who)}};

    if (narrow(who)) {
        regs.x[0] = FFA_MSG_SEND_DIRECT_REQ_64;
        regs.x[3] = COMMAND << 32 | words[0];
    }
    for (unsigned i = narrow(who); i < (narrow(who) ? NARROW_WORDS : WORDS); i++)
        regs.x[(narrow(who) ? 3 : 4) + i] = words[i];
    return regs;
}

struct smccc_regs tell(unsigned who, const uint64_t words[WORDS])
{
    for (;;) {
        struct smccc_regs regs = request(wrap(who, words));

        if (ffa_status(&regs) != FFA_BUSY)
            return regs;
        ffa_call(FFA_YIELD, 0, 0, 0, 0, 0);
    }
}

void act(unsigned who, uint64_t words[WORDS])
{
    struct smccc_regs regs;

    if (who == CLIENT) {
        local_do(words);
        return;
    }
    regs = tell(who, words);
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = narrow(who) && i >= NARROW_WORDS ? 0 : regs.x[(narrow(who) ? 3 : 4) + i];
}

struct smccc_regs call_as(unsigned who, uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4)
{
    uint64_t words[WORDS] = {DO_CALL, function, x1, x2, x3, x4};
    struct smccc_regs regs = {{0}};

    act(who, words);
    for (unsigned i = 0; i < 8; i++)
        regs.x[i] = words[i];
    return regs;
}

int32_t status_as(unsigned who, uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4)
{
    struct smccc_regs regs = call_as(who, function, x1, x2, x3, x4);

    return ffa_status(&regs);
}

void write_tx(unsigned who, const void *data, uint32_t size)
{
    const uint64_t *from = data;
    unsigned chunk = (narrow(who) ? NARROW_WORDS : WORDS) - 3;

    for (unsigned at = 0; at < (size + 7) / 8; at += chunk) {
        unsigned count = (size + 7) / 8 - at < chunk ? (size + 7) / 8 - at : chunk;
        uint64_t words[WORDS] = {DO_WRITE_TX, at, count};

        for (unsigned i = 0; i < count; i++)
            words[3 + i] = from[at + i];
        act(who, words);
    }
}

uint64_t read_rx(unsigned who, uint32_t offset)
{
    uint64_t words[WORDS] = {DO_READ_RX, offset / 8};

    act(who, words);
    return words[0];
}

static struct access access_as(unsigned who, enum command command, uint64_t address, uint64_t value)
{
    uint64_t words[WORDS] = {command, address, value};

    act(who, words);
    return (struct access){words[0], words[1], words[2]};
}

struct access load(unsigned who, uint64_t address)
{
    return access_as(who, DO_LOAD, address, 0);
}

struct access store(unsigned who, uint64_t address, uint64_t value)
{
    return access_as(who, DO_STORE, address, value);
}

struct access execute(unsigned who, uint64_t address)
{
    return access_as(who, DO_EXECUTE, address, 0);
}

void map_as(unsigned who, uint64_t address, uint64_t size, uint64_t attributes)
{
    uint64_t words[WORDS] = {DO_MAP, address, size, attributes};

    act(who, words);
}

struct statistics statistics_of(unsigned who)
{
    uint64_t words[WORDS] = {DO_STATISTICS};

    act(who, words);
    return (struct statistics){words[0], words[1], words[2], words[3], words[4]};
}
