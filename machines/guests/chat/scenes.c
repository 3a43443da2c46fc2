#include "chat.h"

#include "arch.h"
#include "probe.h"

#define GREETING 0x79616420646f6f67UL /* "good day" */
#define NOTHING 0x2dU

static __attribute__((aligned(4096))) volatile uint32_t page[1024];

static uint64_t page_address(void)
{
    return (uint64_t)(uintptr_t)page;
}

static void echo(void)
{
    uint32_t number = lines;
    struct smccc_regs regs = ask(SP_HELLO, 0, number, 0, 0, 0);

    if (answered(SP_HELLO, &regs))
        say("I say 0x%x to sp_hello: it answers 0x%lx", number, regs.x[4]);
}

static void timer(void)
{
    struct smccc_regs regs = ask(SP_IRQ, SP_WORK, 0, 0, 0, 0);

    if (answered(SP_IRQ, &regs))
        say("sp_irq waits for its timer: interrupt %lu", regs.x[5]);
}

static void relay(void)
{
    uint32_t number = lines;
    struct smccc_regs regs = ask(SP_RELAY, SP_RELAY_TO, SP_HELLO, number, 0, 0);

    if (answered(SP_RELAY, &regs))
        say("sp_relay asks sp_hello for me: 0x%lx", regs.x[4]);
}

static void neighbour(void)
{
    struct smccc_regs regs = ask(other_vm(), CHAT_COUNT, 0, 0, 0, 0);

    if (answered(other_vm(), &regs))
        say("%s has said %lu lines", who(other_vm()), regs.x[4]);
}

/* Send the page; false, having said so, if that is refused. */
static bool send_page(uint32_t function, uint16_t receiver, uint64_t *handle)
{
    struct smccc_regs regs;

    page[0] = NOTHING;
    regs = send(function, receiver, FFA_RW, page_address(), 1);
    if (ffa_status(&regs) != FFA_OK) {
        say("%s cannot have my page: error %d", who(receiver), ffa_status(&regs));
        return false;
    }
    *handle = regs.x[2] | regs.x[3] << 32;
    return true;
}

/* Let the receiver of a page write into it, and take it back. */
static void write_and_reclaim(uint16_t receiver, uint64_t command, uint64_t handle, const char *told)
{
    struct smccc_regs regs = ask(receiver, command, handle & 0xffffffff, handle >> 32, page_address(), 0);
    int32_t status = reclaim(handle, 0);

    if (!answered(receiver, &regs))
        return;
    if (status)
        say("my page does not come back: error %d", status);
    else
        say("%s %s: it wrote 0x%x", told, who(receiver), page[0]);
}

static void share_with_partition(void)
{
    uint64_t handle;

    if (send_page(FFA_MEM_SHARE_32, SP_HELLO, &handle))
        write_and_reclaim(SP_HELLO, SP_STORE, handle, "I shared a page with");
}

static void share_with_neighbour(void)
{
    uint64_t handle;

    if (send_page(FFA_MEM_SHARE_32, other_vm(), &handle))
        write_and_reclaim(other_vm(), CHAT_WRITE, handle, "I shared a page with");
}

static void lend_to_partition(void)
{
    uint64_t handle;

    if (!send_page(FFA_MEM_LEND_32, SP_IRQ, &handle))
        return;
    say("my page is lent to sp_irq: I %s read it", probe_read(page_address()).esr ? "cannot" : "can");
    write_and_reclaim(SP_IRQ, SP_STORE, handle, "I have it back from");
}

static void spy(void)
{
    struct smccc_regs regs = ask(SP_IRQ, SP_READ, page_address(), 0, 0, 0);

    if (answered(SP_IRQ, &regs))
        say("sp_irq tries to read my page: it %s", regs.x[4] ? "cannot" : "can");
}

static void ring(void)
{
    struct smccc_regs regs = call(FFA_NOTIFICATION_SET, ffa_ids(own_id, other_vm()), 0, BELL, 0);

    if (ffa_status(&regs) == FFA_OK)
        say("I ring %s", who(other_vm()));
    else
        say("%s has no bell: error %d", who(other_vm()), ffa_status(&regs));
}

static void be_rung(void)
{
    struct smccc_regs regs;

    say("sp_hello, ring me");
    regs = ask(SP_HELLO, SP_NOTIFY, own_id, PARTITION_BELL, 0, 0);
    answered(SP_HELLO, &regs);
}

static void write_to(uint16_t whom)
{
    struct smccc_regs regs;

    ffa_pack_message(tx, FFA_V1_2, own_id, whom, GREETING);
    regs = call(FFA_MSG_SEND2, 0, 0, 0, 0);
    if (ffa_status(&regs) == FFA_OK)
        say("I write to %s: good day", who(whom));
    else
        say("%s takes no letter: error %d", who(whom), ffa_status(&regs));
}

static void letter(void)
{
    write_to(other_vm());
}

static void letter_to_partition(void)
{
    write_to(SP_RELAY);
}

static void between_partitions(void)
{
    struct smccc_regs shared = ask(SP_HELLO, SP_SHARE_PAGE, 0, 0, 0, SP_IRQ), regs;

    if (!answered(SP_HELLO, &shared))
        return;
    regs = ask(SP_IRQ, SP_SWAP, shared.x[4], shared.x[5], SP_HELLO_PAGE, 0);
    if (answered(SP_IRQ, &regs))
        say("sp_hello shares with sp_irq: it read 0x%lx", regs.x[5]);
    regs = ask(SP_HELLO, SP_RECLAIM_PAGE, 0, 0, 0, 0);
    answered(SP_HELLO, &regs);
}

static const struct {
    char key;
    const char *what;
    void (*play)(void);
} scenes[] = {
    {'1', "ask sp_hello", echo},
    {'2', "ask the other VM", neighbour},
    {'3', "share a page with sp_hello", share_with_partition},
    {'4', "wait for sp_irq's timer", timer},
    {'5', "ring the other VM", ring},
    {'6', "ask through sp_relay", relay},
    {'7', "lend a page to sp_irq", lend_to_partition},
    {'8', "write to the other VM", letter},
    {'9', "share a page with the other VM", share_with_neighbour},
    {'a', "let sp_irq try to spy", spy},
    {'b', "be rung by sp_hello", be_rung},
    {'c', "let SPs share with each other", between_partitions},
    {'d', "write to sp_relay", letter_to_partition},
};

void next_scene(void)
{
    static unsigned scene;

    scenes[scene].play();
    scene = (scene + 1) % ARRAY_SIZE(scenes);
}

void scene_of(char key)
{
    for (unsigned i = 0; i < ARRAY_SIZE(scenes); i++)
        if (scenes[i].key == key) {
            scenes[i].play();
            return;
        }
    for (unsigned i = 0; i < ARRAY_SIZE(scenes); i++)
        print("  %c  %s\n", scenes[i].key, scenes[i].what);
    print("  space bar: quiet\n");
}
