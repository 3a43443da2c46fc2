/* Notifications and indirect messages, and the interrupts that tell of them. */
#include "client.h"

#define FROM_PARTITIONS 1U
#define BIT 8U
#define OTHER_BIT 2U
#define PAYLOAD 0x5ca1ab1eU
#define RX_FULL 1U

/* Interrupts that told this client of something: a VM has its own for what is its own. */
static unsigned told_of_own(void)
{
    take_interrupts();
    return owns_el2 ? schedule_interrupts : notification_interrupts;
}

static unsigned told_to_schedule(void)
{
    take_interrupts();
    return schedule_interrupts;
}

static struct smccc_regs bind(uint16_t sender, uint32_t bits)
{
    return call(FFA_NOTIFICATION_BIND, ffa_ids(sender, own_id), 0, bits, 0);
}

static struct smccc_regs unbind(uint16_t sender, uint32_t bits)
{
    return call(FFA_NOTIFICATION_UNBIND, ffa_ids(sender, own_id), 0, bits, 0);
}

static struct smccc_regs set(uint16_t receiver, uint32_t bits)
{
    return call(FFA_NOTIFICATION_SET, ffa_ids(own_id, receiver), 0, bits, 0);
}

static struct smccc_regs get(void)
{
    return call(FFA_NOTIFICATION_GET, own_id, FROM_PARTITIONS, 0, 0);
}

/* What INFO_GET lists: one endpoint in one list. */
static void expect_listed(uint16_t endpoint)
{
    struct smccc_regs regs = call(FFA_NOTIFICATION_INFO_GET_64, 0, 0, 0, 0);

    expect(regs.x[0], FFA_SUCCESS_64);
    expect(regs.x[2] >> 7 & 0x1f, 1);
    expect(regs.x[3] & 0xffff, endpoint);
}

static void expect_nothing_listed(void)
{
    struct smccc_regs regs;

    do
        regs = call(FFA_NOTIFICATION_INFO_GET_64, 0, 0, 0, 0);
    while (regs.x[0] == FFA_SUCCESS_64 && regs.x[2] & 1 && !(regs.x[2] >> 7 & 0x1f));
    expect_code(regs, FFA_NO_DATA);
}

static void bitmaps(void)
{
    feature_interrupts_init();
    expect_code(bind(SP_HELLO, BIT), FFA_NOT_SUPPORTED);
    expect_code(call(FFA_NOTIFICATION_BITMAP_CREATE, own_id, 0, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_NOTIFICATION_BITMAP_CREATE, SP_HELLO, 1, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_NOTIFICATION_BITMAP_CREATE, own_id, 1, 0, 0), FFA_OK);
    expect_code(call(FFA_NOTIFICATION_BITMAP_CREATE, own_id, 1, 0, 0), FFA_DENIED);
    expect_code(call(FFA_NOTIFICATION_BITMAP_DESTROY, own_id, 0, 0, 0), FFA_OK);
    expect_code(call(FFA_NOTIFICATION_BITMAP_DESTROY, own_id, 0, 0, 0), FFA_DENIED);
    expect_code(call(FFA_NOTIFICATION_BITMAP_CREATE, own_id, 1, 0, 0), FFA_OK);
    expect_nothing_listed();
}

static void from_a_partition(void)
{
    unsigned before = told_of_own();

    expect(answered(SP_HELLO, SP_NOTIFY, own_id, BIT, 0, 0), code(FFA_DENIED));
    expect_code(bind(SP_HELLO, BIT), FFA_OK);
    expect(answered(SP_HELLO, SP_NOTIFY, own_id, BIT, 0, 0), FFA_OK);
    expect(told_of_own(), before + 1);
    expect_listed(own_id);
    expect_nothing_listed();
    expect(get().x[2], BIT);
    expect(get().x[2], 0);
    /* A bit that is pending already tells nothing new. */
    expect(answered(SP_HELLO, SP_NOTIFY, own_id, BIT, 0, 0), FFA_OK);
    expect(answered(SP_HELLO, SP_NOTIFY, own_id, BIT, 0, 0), FFA_OK);
    expect(told_of_own(), before + 2);
    expect_listed(own_id);
    expect(get().x[2], BIT);
    expect_nothing_listed();
}

/* How often the scheduler was told, and a partition interrupted by notifications and run for them. */
struct before {
    unsigned told;
    struct smccc_regs state;
};

static struct before before_news(uint16_t partition)
{
    return (struct before){told_to_schedule(), request(partition, SP_STATE, 0, 0, 0, 0)};
}

/* The scheduler is told whom to run; there the partition takes its own interrupt. */
static void run_for_news(uint16_t partition, struct before before)
{
    struct smccc_regs state;

    expect(told_to_schedule(), before.told + 1);
    expect_listed(partition);
    expect(run(partition).x[0], FFA_MSG_WAIT);
    state = request(partition, SP_STATE, 0, 0, 0, 0);
    expect(state.x[4], before.state.x[4] + 1);
    expect(state.x[6], before.state.x[6] + 1);
}

static void to_a_partition(void)
{
    struct before before = before_news(SP_HELLO);
    struct smccc_regs regs;

    expect_code(set(SP_HELLO, OTHER_BIT), FFA_DENIED);
    expect(answered(SP_HELLO, SP_BIND, own_id, OTHER_BIT, 0, 0), FFA_OK);
    expect_code(set(SP_HELLO, OTHER_BIT), FFA_OK);
    run_for_news(SP_HELLO, before);
    regs = request(SP_HELLO, SP_NEWS, 0, 0, 0, 0);
    expect(regs.x[4], FFA_OK);
    expect(regs.x[5], 0);
    expect(regs.x[6], OTHER_BIT);
    expect_code(run(SP_HELLO), FFA_DENIED);
    expect(answered(SP_HELLO, SP_UNBIND, own_id, OTHER_BIT, 0, 0), FFA_OK);
}

static void between_partitions(void)
{
    struct before before = before_news(SP_IRQ);
    struct smccc_regs regs;

    expect(answered(SP_IRQ, SP_BIND, SP_RELAY, BIT, 0, 0), FFA_OK);
    expect(answered(SP_HELLO, SP_NOTIFY, SP_IRQ, BIT, 0, 0), code(FFA_DENIED));
    expect(answered(SP_RELAY, SP_NOTIFY, SP_IRQ, BIT, 0, 0), FFA_OK);
    run_for_news(SP_IRQ, before);
    regs = request(SP_IRQ, SP_NEWS, 0, 0, 0, 0);
    expect(regs.x[5], BIT);
    expect(regs.x[6], 0);
    expect(answered(SP_IRQ, SP_UNBIND, SP_RELAY, BIT, 0, 0), FFA_OK);
}

static void binding_errors(void)
{
    expect_code(bind(SP_HELLO, 0), FFA_INVALID_PARAMETERS);
    expect_code(bind(NOBODY, 1), FFA_INVALID_PARAMETERS);
    expect_code(bind(SP_HELLO, BIT), FFA_OK);
    expect_code(bind(SP_IRQ, BIT | 1), FFA_DENIED);
    expect(answered(SP_IRQ, SP_NOTIFY, own_id, 1, 0, 0), code(FFA_DENIED));
    expect_code(unbind(SP_IRQ, BIT), FFA_DENIED);
    expect_code(unbind(SP_HELLO, BIT | 1), FFA_DENIED);
    expect(answered(SP_HELLO, SP_NOTIFY, own_id, BIT | 1, 0, 0), code(FFA_DENIED));
    expect(answered(SP_HELLO, SP_NOTIFY, own_id, BIT, 0, 0), FFA_OK);
    expect_code(unbind(SP_HELLO, BIT), FFA_DENIED);
    expect_code(call(FFA_NOTIFICATION_BITMAP_DESTROY, own_id, 0, 0, 0), FFA_DENIED);
    expect(get().x[2], BIT);
    expect_code(unbind(SP_HELLO, BIT), FFA_OK);
    expect_code(call(FFA_NOTIFICATION_GET, SP_HELLO, FROM_PARTITIONS, 0, 0), FFA_INVALID_PARAMETERS);
    take_interrupts();
    call(FFA_NOTIFICATION_INFO_GET_64, 0, 0, 0, 0);
}

static struct smccc_regs send_message(uint16_t sender, uint16_t receiver, uint64_t payload)
{
    ffa_pack_message(tx, FFA_V1_2, sender, receiver, payload);
    return call(FFA_MSG_SEND2, 0, 0, 0, 0);
}

static void expect_in_inbox(uint16_t partition, uint64_t count, uint16_t sender, uint64_t payload)
{
    struct smccc_regs regs = request_64(partition, SP_INBOX, 0, 0, 0, 0);

    expect(regs.x[4], count);
    expect(regs.x[5], sender);
    expect(regs.x[6], payload);
}

static void message_to_a_partition(void)
{
    struct before before = before_news(SP_HELLO);

    expect_code(send_message(own_id, SP_HELLO, PAYLOAD), FFA_OK);
    expect_code(send_message(own_id, SP_HELLO, 1), FFA_BUSY);
    run_for_news(SP_HELLO, before);
    expect_in_inbox(SP_HELLO, 1, own_id, PAYLOAD);
    expect(request(SP_HELLO, SP_NEWS, 0, 0, 0, 0).x[7], RX_FULL);
    expect_code(send_message(own_id, SP_HELLO, ~0UL), FFA_OK);
    expect(told_to_schedule(), before.told + 2);
    expect_listed(SP_HELLO);
    expect(run(SP_HELLO).x[0], FFA_MSG_WAIT);
    expect_in_inbox(SP_HELLO, 2, own_id, ~0UL);
}

static void message_between_partitions(void)
{
    struct before before = before_news(SP_RELAY);

    expect(answered(SP_HELLO, SP_MESSAGE, SP_RELAY, PAYLOAD, 0, 0), FFA_OK);
    expect(answered(SP_IRQ, SP_MESSAGE, SP_RELAY, 1, 0, 0), code(FFA_BUSY));
    run_for_news(SP_RELAY, before);
    expect_in_inbox(SP_RELAY, 1, SP_HELLO, PAYLOAD);
    expect(answered(SP_HELLO, SP_MESSAGE, SP_HELLO, 1, 0, 0), code(FFA_INVALID_PARAMETERS));
    expect(answered(SP_HELLO, SP_MESSAGE, NOBODY, 1, 0, 0), code(FFA_INVALID_PARAMETERS));
}

static void message_errors(void)
{
    expect_code(send_message(SP_IRQ, SP_HELLO, 1), FFA_INVALID_PARAMETERS);
    expect_code(send_message(own_id, NOBODY, 1), FFA_INVALID_PARAMETERS);
    expect_code(send_message(own_id, own_id, 1), FFA_INVALID_PARAMETERS);
    ffa_pack_message(tx, FFA_V1_2, own_id, SP_HELLO, 1);
    tx[2] = 5000;
    expect_code(call(FFA_MSG_SEND2, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    ffa_pack_message(tx, FFA_V1_2, own_id, SP_HELLO, 1);
    tx[1] &= ~0xffffffffUL;
    expect_code(call(FFA_MSG_SEND2, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    expect_in_inbox(SP_HELLO, 2, own_id, ~0UL);
}

void notification_tests(void)
{
    test("Notification bitmaps", bitmaps);
    test("Notification from an SP", from_a_partition);
    test("Notification to an SP", to_a_partition);
    test("Notification from SP to SP", between_partitions);
    test("Notification errors", binding_errors);
    test("Indirect message to an SP", message_to_a_partition);
    test("Indirect message from SP to SP", message_between_partitions);
    test("Indirect message errors", message_errors);
}
