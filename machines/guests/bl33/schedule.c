/* Who runs: preemption of call chains, FFA_RUN, FFA_YIELD, and the secure timer's interrupt in every situation. */
#include "client.h"

#define RESP FFA_MSG_SEND_DIRECT_RESP_32
#define SPIN_ROUNDS 500000U
#define MOST_RUNS 200U
/* In units of SP_CALL, before and after its call. */
#define CALL_ROUNDS 200U

/* Counter ticks: several in each spin of a chain, and a time that is over in the middle of a long one. */
static uint64_t tick(void)
{
    return ticks_of(CALL_ROUNDS * 1024) / 3;
}

static uint64_t alarm_time(void)
{
    return ticks_of(SPIN_ROUNDS) / 3;
}

static void set_alarm(bool fiq)
{
    expect(answered(SP_IRQ, SP_ALARM, alarm_time(), fiq, 0, 0), alarm_time());
}

/* Whether the last alarm interrupted at its time, and not only when something else was over. */
static bool punctual(void)
{
    return answered(SP_IRQ, SP_LATENESS, 0, 0, 0, 0) < ticks_of(SPIN_ROUNDS) / 10;
}

/* x4 of SP_CALL. */
static uint64_t callee(uint16_t partition, unsigned rounds)
{
    return (uint64_t)rounds << 16 | partition;
}

static void three_deep(void)
{
    struct smccc_regs regs = request(SP_RELAY, SP_CALL, SP_HELLO, SP_CALL, SP_IRQ, 0);

    expect(regs.x[0], RESP);
    expect(regs.x[4], SP_ECHO_ADDS);
    expect(regs.x[7], 2);
    regs = request(SP_RELAY, SP_CALL, SP_HELLO, SP_CALL, SP_IRQ, SP_WORK);
    expect(regs.x[4], SP_WORK_ADDS);
    expect(regs.x[5], SP_TIMER_INTID);
}

static struct smccc_regs three_slow(void)
{
    return request(SP_RELAY, SP_CALL, callee(SP_HELLO, CALL_ROUNDS), SP_CALL, callee(SP_IRQ, CALL_ROUNDS), SP_SPIN);
}

static void expect_three_slow(struct smccc_regs regs)
{
    expect(regs.x[0], RESP);
    expect(regs.x[3], SP_SPIN);
    expect(regs.x[7], 2);
}

static void preempted_at_every_level(void)
{
    struct smccc_regs regs;

    ticking_start(tick());
    regs = run_on(three_slow(), MOST_RUNS);
    ticking_stop();
    expect_three_slow(regs);
    for (unsigned level = 0; level < 3; level++)
        expect(preemptions.of[level] > 1, true);
}

static void preempted_again_and_again(void)
{
    unsigned counts[2];

    for (unsigned i = 0; i < 2; i++) {
        ticking_start(tick() / 4);
        expect_three_slow(run_on(three_slow(), MOST_RUNS));
        ticking_stop();
        counts[i] = preemptions.count;
    }
    expect(counts[0] > 20, true);
    expect(counts[1] > 20, true);
}

/* Leave a partition preempted in the middle of its work. */
static void preempt(struct smccc_regs (*begin)(void), uint16_t named)
{
    struct smccc_regs regs;

    ticking_start(tick());
    regs = begin();
    ticking_stop();
    expect(regs.x[0], FFA_INTERRUPT);
    expect(regs.x[1], ffa_ids(named, 0));
}

static struct smccc_regs spin_hello(void)
{
    return request(SP_HELLO, SP_SPIN, SPIN_ROUNDS, 0, 0, 0);
}

static struct smccc_regs spin_behind_relay(void)
{
    return request(SP_RELAY, SP_CALL, SP_HELLO, SP_SPIN, SPIN_ROUNDS, 0);
}

static void others_while_preempted(void)
{
    preempt(spin_hello, SP_HELLO);
    expect_code(request(SP_HELLO, 0, 0, 0, 0, 0), FFA_BUSY);
    expect(answered(SP_IRQ, 0, 5, 0, 0, 0), 5 + SP_ECHO_ADDS);
    expect(answered(SP_IRQ, SP_WORK, 6, 0, 0, 0), 6 + SP_WORK_ADDS);
    expect(answered(SP_RELAY, SP_RELAY_TO, SP_HELLO, 0, 0, 0), code(FFA_BUSY));
    expect(answered(SP_RELAY, SP_RELAY_TO, SP_IRQ, 7, 0, 0), 7 + SP_ECHO_ADDS);
    expect(answered(SP_IRQ, SP_CALL, SP_RELAY, 0, 8, 0), 8 + SP_RELAY_ADDS);
    expect(run(SP_HELLO).x[0], RESP);
    expect(answered(SP_HELLO, 0, 9, 0, 0, 0), 9 + SP_ECHO_ADDS);
}

static void run_errors(void)
{
    expect_code(run(NOBODY), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_RUN, ffa_ids(SP_HELLO, 1), 0, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(run(SP_HELLO), FFA_DENIED);
    preempt(spin_behind_relay, SP_HELLO);
    /* A caller runs when its callee has answered. */
    expect_code(run(SP_RELAY), FFA_DENIED);
    expect_code(request(SP_RELAY, 0, 0, 0, 0, 0), FFA_BUSY);
    expect(run(SP_HELLO).x[0], RESP);
    expect(answered(SP_RELAY, 0, 1, 0, 0, 0), 1 + SP_RELAY_ADDS);
}

static void yields(void)
{
    struct smccc_regs regs = request(SP_HELLO, SP_GIVE_WAY, 0, 0, 0, 0);

    expect(regs.x[0], FFA_YIELD);
    expect(regs.x[1], ffa_ids(SP_HELLO, 0));
    expect_code(request(SP_HELLO, 0, 0, 0, 0, 0), FFA_BUSY);
    expect(answered(SP_IRQ, 0, 5, 0, 0, 0), 5 + SP_ECHO_ADDS);
    regs = run(SP_HELLO);
    expect(regs.x[0], RESP);
    expect(regs.x[4], FFA_OK);
    /* Between partitions the caller runs the callee on. */
    regs = request(SP_RELAY, SP_CALL, SP_HELLO, SP_GIVE_WAY, 0, 0);
    expect(regs.x[0], RESP);
    expect(regs.x[3], SP_GIVE_WAY);
    expect(regs.x[4], FFA_OK);
}

/* Of sp_irq: x5 interrupts taken, x7 calls that ended with FFA_INTERRUPT. */
static struct smccc_regs state(void)
{
    return request(SP_IRQ, SP_STATE, 0, 0, 0, 0);
}

static void alarm_in_normal_world(void)
{
    uint64_t before = state().x[5];

    set_alarm(false);
    expect(state().x[5], before);
    spin(SPIN_ROUNDS);
    expect(state().x[5], before + 1);
    expect(punctual(), true);
}

/* Virtual FIQs go to another vector. */
static void alarm_by_fiq(void)
{
    uint64_t before = state().x[5];

    set_alarm(true);
    expect(spin_hello().x[0], RESP);
    expect(state().x[5], before + (1 << 16 | 1));
    expect(punctual(), true);
}

static void alarm_in_another_partition(void)
{
    uint64_t before = state().x[5];

    set_alarm(false);
    expect(spin_hello().x[0], RESP);
    expect(state().x[5], before + 1);
    expect(punctual(), true);
}

static void alarm_of_a_caller(void)
{
    struct smccc_regs before = state(), after;

    set_alarm(false);
    after = request(SP_IRQ, SP_CALL, SP_HELLO, SP_SPIN, SPIN_ROUNDS, 0);
    expect(after.x[0], RESP);
    expect(after.x[7], 1);
    after = state();
    expect(after.x[5], before.x[5] + 1);
    expect(after.x[7], before.x[7] + 1);
    expect(punctual(), true);
}

/* The timer fires while its owner is preempted: it is taken when the owner runs again. */
static struct smccc_regs spin_irq(void)
{
    return request(SP_IRQ, SP_SPIN, SPIN_ROUNDS, 0, 0, 0);
}

static void alarm_while_preempted(void)
{
    uint64_t before = state().x[5];

    set_alarm(false);
    preempt(spin_irq, SP_IRQ);
    expect(spin_hello().x[0], RESP);
    expect(run(SP_IRQ).x[0], RESP);
    expect(state().x[5], before + 1);
    expect(punctual(), false);
}

void schedule_tests(void)
{
    test("A chain three deep", three_deep);
    test("Preemption at every level of a chain", preempted_at_every_level);
    test("Preemption of one chain again and again", preempted_again_and_again);
    test("SPs call each other while a third is preempted", others_while_preempted);
    test("FFA_RUN errors", run_errors);
    test("FFA_YIELD", yields);
    test("Secure interrupt in the normal world", alarm_in_normal_world);
    test("Secure interrupt in another SP", alarm_in_another_partition);
    test("Secure interrupt by FIQ", alarm_by_fiq);
    test("Secure interrupt of a caller", alarm_of_a_caller);
    test("Secure interrupt of a preempted SP", alarm_while_preempted);
}
