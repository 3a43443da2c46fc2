#include "chat.h"

#include "arch.h"
#include "mmio.h"
#include "mmu.h"

#define MOST_TRIES 50U
#define RETAIN_RX 1U

struct smccc_regs call(uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4)
{
    return ffa_call(function, x1, x2, x3, x4, 0);
}

void take_interrupts(void)
{
    irq_enable();
    ISB();
    irq_disable();
}

static struct smccc_regs ask_once(struct smccc_regs regs)
{
    regs = ffa_call_regs(regs);
    while (regs.x[0] == FFA_INTERRUPT || regs.x[0] == FFA_YIELD) {
        take_interrupts();
        regs = call(FFA_RUN, regs.x[1], 0, 0, 0);
    }
    return regs;
}

struct smccc_regs ask(uint16_t whom, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7)
{
    struct smccc_regs request = {{FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(own_id, whom), 0, x3, x4, x5, x6, x7}};
    struct smccc_regs regs = ask_once(request);

    for (unsigned tries = 1; ffa_status(&regs) == FFA_BUSY && tries < MOST_TRIES; tries++) {
        call(FFA_YIELD, 0, 0, 0, 0);
        regs = ask_once(request);
    }
    return regs;
}

bool answered(uint16_t whom, const struct smccc_regs *regs)
{
    if (regs->x[0] == FFA_MSG_SEND_DIRECT_RESP_32)
        return true;
    say("%s does not answer: error %d", who(whom), ffa_status(regs));
    return false;
}

/* Another VM's memory appears where its owner has it. */
static int32_t write_word(uint64_t handle, uint16_t owner, uint32_t word)
{
    struct retrieved found = retrieve_any(handle, owner);

    if (found.status)
        return found.status;
    mmu_map(found.address, found.address, PAGE_SIZE, MMU_DATA);
    mmio_write32(found.address, word);
    return relinquish(handle, 0);
}

struct smccc_regs serve(struct smccc_regs message)
{
    uint16_t client = (uint16_t)(message.x[1] >> 16);
    struct smccc_regs response = {{FFA_MSG_SEND_DIRECT_RESP_32, ffa_ids(own_id, client), 0, message.x[3]}};

    if (message.x[3] == CHAT_WRITE) {
        uint32_t word = lines;

        say("%s shares a page with me: I write 0x%x", who(client), word);
        response.x[4] = (uint32_t)write_word(message.x[4] | message.x[5] << 32, client, word);
    } else {
        say("%s asks how much I say", who(client));
        response.x[4] = lines;
    }
    return ffa_call_regs(response);
}

struct smccc_regs wait(void)
{
    return call(FFA_MSG_WAIT, 0, RETAIN_RX, 0, 0);
}
