#include "scenario.h"

#include "arch.h"
#include "gic.h"
#include "timer.h"

/* Counter ticks; the spins below take ten times as long. */
#define SOON 5000U
#define LONG 200000U

static volatile unsigned ticks;
static unsigned again;
static struct smccc_regs ended[4];

static void on_tick(unsigned intid)
{
    (void)intid;
    ticks++;
    if (again && again--)
        timer_virtual_at(timer_count() + SOON);
    else
        timer_virtual_off();
}

static struct smccc_regs ask(uint16_t whom, uint64_t what, uint64_t low, uint64_t high)
{
    return ffa_call_regs((struct smccc_regs){{FFA_MSG_SEND_DIRECT_REQ_64, ffa_ids(CLIENT, whom), 0, what, low, high}});
}

static struct smccc_regs run(uint16_t whom)
{
    return ffa_call(FFA_RUN, ffa_ids(whom, 0), 0, 0, 0, 0);
}

static void tick_soon(unsigned times)
{
    ticks = 0;
    again = times - 1;
    timer_virtual_at(timer_count() + SOON);
}

/* Ask a peer to take long and run it on after every interrupt; how often that was, and how it `ended` each time. */
static unsigned ask_and_run(uint16_t whom, uint64_t what, uint64_t low, uint64_t high)
{
    struct smccc_regs regs = ask(whom, what, low, high);
    unsigned runs = 0;

    while (regs.x[0] == FFA_INTERRUPT && runs < ARRAY_SIZE(ended) - 1) {
        ended[runs++] = regs;
        regs = run(whom);
    }
    ended[runs] = regs;
    return runs;
}

static void answered(const char *name, const struct smccc_regs *regs, uint16_t whom)
{
    check(name, regs->x[0] << 32 | regs->x[1], (uint64_t)FFA_MSG_SEND_DIRECT_RESP_64 << 32 | ffa_ids(whom, CLIENT));
}

static void check_one_tick(void)
{
    uint64_t served = statistics_of(PEER).served;
    struct smccc_regs regs;

    tick_soon(1);
    irq_enable();
    regs = ask(PEER, SPIN, LONG, 0);
    irq_disable();
    check("a tick ends the wait for an answer", regs.x[0], FFA_INTERRUPT);
    check("and names the callee", regs.x[1], ffa_ids(PEER, 0));
    check("it was taken before anything else", ticks, 1);
    refused("another request to the callee", ask(PEER, 0, 0, 0), FFA_BUSY);
    refused("RUN of it by a third VM", call_as(OTHER, FFA_RUN, ffa_ids(PEER, 0), 0, 0, 0), FFA_DENIED);
    regs = run(PEER);
    answered("RUN brings the answer", &regs, PEER);
    check("with the payload", regs.x[5], 1);
    check("the callee served one request", statistics_of(PEER).served - served, 1);
    refused("and has no more to answer",
            call_as(PEER, FFA_MSG_SEND_DIRECT_RESP_64, ffa_ids(PEER, CLIENT), 0, 0, 0), FFA_DENIED);
}

static void check_many_ticks(void)
{
    uint64_t served = statistics_of(PEER).served;
    unsigned runs;

    tick_soon(3);
    irq_enable();
    runs = ask_and_run(PEER, SPIN, LONG, 0);
    irq_disable();
    check("three ticks end the wait three times", runs << 8 | ticks, 3 << 8 | 3);
    answered("the fourth end is the answer", &ended[runs], PEER);
    check("to one request", statistics_of(PEER).served - served, 1);
}

/* With interrupts masked the wait ends as well, but only a new interrupt ends it again. */
static void check_masked(void)
{
    struct smccc_regs regs;

    tick_soon(1);
    regs = ask(PEER, SPIN, LONG, 0);
    check("a masked tick ends the wait", regs.x[0] << 8 | ticks, (uint64_t)FFA_INTERRUPT << 8);
    regs = run(PEER);
    answered("while it pends the callee goes on", &regs, PEER);
    local_window();
    check("the tick is taken at last", ticks, 1);
}

static void check_chain(void)
{
    unsigned runs;

    tick_soon(2);
    irq_enable();
    runs = ask_and_run(PEER, PASS_ON, ffa_ids(PEER, OTHER), LONG);
    irq_disable();
    check("ticks stop a chain of two requests", runs, 2);
    check("the callee is named, not its own", ended[0].x[1], ffa_ids(PEER, 0));
    answered("the chain goes on to its answer", &ended[runs], PEER);
    check("which came from its end", ended[runs].x[5], LONG + 2);
}

static void check_yield(void)
{
    struct smccc_regs regs = ask(PEER, GIVE_WAY, 0x23456789, 1);

    check("a yield ends the wait for an answer", regs.x[0] << 32 | regs.x[1],
          (uint64_t)FFA_YIELD << 32 | ffa_ids(PEER, 0));
    check("with the time to come back", regs.x[3] << 32 | regs.x[2], 0x123456789);
    refused("a request to who yielded", ask(PEER, 0, 0, 0), FFA_BUSY);
    refused("RUN of it by a third VM is refused", call_as(OTHER, FFA_RUN, ffa_ids(PEER, 0), 0, 0, 0), FFA_DENIED);
    regs = run(PEER);
    answered("RUN after the yield brings the answer", &regs, PEER);
    check("who yielded went on with FFA_SUCCESS", regs.x[3], GIVE_WAY + 1);
}

void check_chains(void)
{
    gic_enable(TIMER_VIRTUAL_INTID, on_tick);
    check_one_tick();
    check_many_ticks();
    check_masked();
    check_chain();
    check_yield();
    gic_disable(TIMER_VIRTUAL_INTID);
}
