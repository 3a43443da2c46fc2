#include "chat.h"

#include "gic.h"

/* Flags of NOTIFICATION_GET: from partitions, VMs, the SPMC and the hypervisor. */
#define FROM_ALL 15U
#define RX_FULL 1U
#define MOST_IDS 20U
#define LETTER 8U

static volatile bool news_came, schedule_came;

static void on_news(unsigned intid)
{
    (void)intid;
    news_came = true;
}

static void on_schedule(unsigned intid)
{
    (void)intid;
    schedule_came = true;
}

static void enable_feature(unsigned id, gic_handler *handler)
{
    struct smccc_regs regs = call(FFA_FEATURES, id, 0, 0, 0);

    if (ffa_status(&regs) == FFA_OK)
        gic_enable((unsigned)regs.x[2], handler);
}

void news_init(void)
{
    enable_feature(FFA_FEATURE_NPI, on_news);
    enable_feature(FFA_FEATURE_SRI, on_schedule);
    call(FFA_NOTIFICATION_BITMAP_CREATE, own_id, 1, 0, 0);
    call(FFA_NOTIFICATION_BIND, ffa_ids(other_vm(), own_id), 0, BELL, 0);
    call(FFA_NOTIFICATION_BIND, ffa_ids(SP_HELLO, own_id), 0, PARTITION_BELL, 0);
}

/* The header of v1.2: payload offset at 8, sender and receiver at 12. */
static void read_letter(void)
{
    char text[LETTER + 1] = {0};
    uint64_t payload = rx[(uint32_t)rx[1] / 8];

    for (unsigned i = 0; i < LETTER; i++)
        text[i] = (char)(payload >> 8 * i);
    say("%s writes: %s", who((uint16_t)(rx[1] >> 48)), text);
    call(FFA_RX_RELEASE, 0, 0, 0, 0);
}

static void take_news(void)
{
    struct smccc_regs regs = call(FFA_NOTIFICATION_GET, own_id, FROM_ALL, 0, 0);

    if (ffa_status(&regs) != FFA_OK)
        return;
    if (regs.x[2] & PARTITION_BELL)
        say("%s rings", who(SP_HELLO));
    if (regs.x[4] & BELL)
        say("%s rings", who(other_vm()));
    if ((regs.x[6] | regs.x[7]) & RX_FULL)
        read_letter();
}

/* The first VM gives cycles to partitions that have news. Each list in x3-x7 begins with an endpoint's id; how many more
   ids it has is in two bits for each list, from bit 12 of x2 on. */
static void schedule(void)
{
    struct smccc_regs regs = call(FFA_NOTIFICATION_INFO_GET_64, 0, 0, 0, 0);
    unsigned listed = regs.x[2] >> 7 & 0x1f, at = 0;

    if (regs.x[0] != FFA_SUCCESS_64)
        return;
    for (unsigned list = 0; list < listed && at < MOST_IDS; list++) {
        uint16_t id = (uint16_t)(regs.x[3 + at / 4] >> at % 4 * 16);

        at += 1 + (regs.x[2] >> (12 + 2 * list) & 3);
        if (id & 0x8000) {
            say("%s has news: I let it run", who(id));
            call(FFA_RUN, ffa_ids(id, 0), 0, 0, 0);
        }
    }
}

void tell_news(void)
{
    if (news_came) {
        news_came = false;
        take_news();
    }
    if (schedule_came) {
        schedule_came = false;
        schedule();
    }
}
