#include "arch.h"
#include "partition.h"
#include "print.h"
#include "probe.h"
#include "spin.h"

#define CALL_UNIT 1024U
#define SPIN_ROUNDS 300000U

/* What x4 of an answer is. */
enum answer { VALUE, CODE, SYNDROME };

struct name {
    uint32_t command;
    const char *name;
    enum answer answer;
};

static const struct name names[] = {
    {SP_WORK, "work", VALUE},
    {SP_STORE, "store", VALUE},
    {SP_SHARE_PAGE, "share a page", VALUE},
    {SP_SWAP, "swap", VALUE},
    {SP_RECLAIM_PAGE, "reclaim the page", CODE},
    {SP_RELAY_TO, "relay", VALUE},
    {SP_RETRIEVE, "retrieve", CODE},
    {SP_RELINQUISH, "relinquish", CODE},
    {SP_RECLAIM, "reclaim", CODE},
    {SP_SEND, "send memory", CODE},
    {SP_READ, "read", SYNDROME},
    {SP_WRITE, "write", SYNDROME},
    {SP_MESSAGE, "message", CODE},
    {SP_INBOX, "inbox", VALUE},
    {SP_BIND, "bind", CODE},
    {SP_UNBIND, "unbind", CODE},
    {SP_NOTIFY, "notify", CODE},
    {SP_NEWS, "news", CODE},
    {SP_SPIN, "spin", VALUE},
    {SP_CALL, "call", VALUE},
    {SP_GIVE_WAY, "give way", CODE},
    {SP_STATE, "state", VALUE},
    {SP_ALARM, "alarm", VALUE},
    {SP_LATENESS, "lateness", VALUE},
};

static const struct name *find_name(uint64_t command)
{
    static const struct name echo = {0, "echo", VALUE};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].command == command)
            return &names[i];
    return &echo;
}

void tell(uint16_t client, uint64_t command, uint64_t with, uint64_t x4)
{
    const struct name *name = find_name(command);

    print("[%s] 0x%04x: %s 0x%lx -> ", partition.name, client, name->name, with);
    if (name->answer == VALUE)
        print("0x%lx\n", x4);
    else if (!x4)
        print("ok\n");
    else if (name->answer == CODE)
        print("error %d\n", (int32_t)x4);
    else
        print("abort\n");
}

static bool do_retrieve(struct smccc_regs *message)
{
    uint64_t *x = message->x;
    struct retrieved found = retrieve(handle_in(message, 4), (uint16_t)x[6], (uint8_t)(x[6] >> 16), (uint32_t)x[7]);

    return answer(message, code(found.status), found.address, found.pages, found.ranges);
}

static bool do_send(struct smccc_regs *message)
{
    uint64_t *x = message->x;
    uint32_t function = (FFA_ERROR & 0xffffff00) | (uint8_t)(x[4] >> 24);
    struct smccc_regs regs = send(function, (uint16_t)x[4], (uint8_t)(x[4] >> 16), x[5], (uint32_t)x[6]);

    if (ffa_status(&regs) != FFA_OK)
        return answer(message, code(ffa_status(&regs)), 0, 0, 0);
    return answer(message, FFA_OK, regs.x[2], regs.x[3], 0);
}

static bool do_message(struct smccc_regs *message)
{
    struct smccc_regs regs;

    ffa_pack_message(tx, FFA_V1_2, own_id, (uint16_t)message->x[4], message->x[5]);
    regs = ffa_call(FFA_MSG_SEND2, 0, 0, 0, 0, 0);
    return answer(message, code(ffa_status(&regs)), 0, 0, 0);
}

static bool do_binding(struct smccc_regs *message, uint32_t function)
{
    struct smccc_regs regs =
        ffa_call(function, ffa_ids((uint16_t)message->x[4], own_id), 0, message->x[5], 0, 0);

    return answer(message, code(ffa_status(&regs)), 0, 0, 0);
}

static bool do_notify(struct smccc_regs *message)
{
    struct smccc_regs regs = ffa_call(FFA_NOTIFICATION_SET, ffa_ids(own_id, (uint16_t)message->x[4]), message->x[6],
                                      message->x[5], 0, 0);

    return answer(message, code(ffa_status(&regs)), 0, 0, 0);
}

static bool do_news(struct smccc_regs *message)
{
    int32_t status = collect();

    answer(message, code(status), news.from_partitions, news.from_vms, news.framework);
    news = (struct news){0};
    return true;
}

static bool do_read(struct smccc_regs *message)
{
    struct probe probe = probe_read(message->x[4]);

    return answer(message, probe.esr, probe.value, 0, 0);
}

static bool do_write(struct smccc_regs *message)
{
    struct probe probe = probe_write(message->x[4], (uint32_t)message->x[5]);

    return answer(message, probe.esr, probe.value, 0, 0);
}

static bool do_call(struct smccc_regs *message)
{
    uint64_t *x = message->x;
    uint64_t rounds = (x[4] >> 16 & 0xffff) * CALL_UNIT;
    struct smccc_regs regs = {{FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(own_id, (uint16_t)x[4]), 0, x[5], x[6], x[7]}};

    spin(rounds);
    regs = ask(regs);
    spin(rounds);
    if (ffa_status(&regs) != FFA_OK)
        return answer(message, code(ffa_status(&regs)), 0, 0, 1);
    message->x[3] = regs.x[3];
    return answer(message, regs.x[4], regs.x[5], regs.x[6], regs.x[7] + 1);
}

static bool do_spin(struct smccc_regs *message)
{
    spin(message->x[4] ? message->x[4] : SPIN_ROUNDS);
    return true;
}

static bool do_yield(struct smccc_regs *message)
{
    struct smccc_regs regs = ffa_call(FFA_YIELD, 0, 0, 0, 0, 0);

    return answer(message, code(ffa_status(&regs)), 0, 0, 0);
}

bool serve_common(struct smccc_regs *message)
{
    switch (message->x[3]) {
    case SP_RETRIEVE:
        return do_retrieve(message);
    case SP_RELINQUISH:
        return answer(message, code(relinquish(handle_in(message, 4), (uint32_t)message->x[6])), 0, 0, 0);
    case SP_RECLAIM:
        return answer(message, code(reclaim(handle_in(message, 4), (uint32_t)message->x[6])), 0, 0, 0);
    case SP_SEND:
        return do_send(message);
    case SP_READ:
        return do_read(message);
    case SP_WRITE:
        return do_write(message);
    case SP_MESSAGE:
        return do_message(message);
    case SP_INBOX:
        return answer(message, inbox.count, inbox.sender, inbox.payload, 0);
    case SP_BIND:
        return do_binding(message, FFA_NOTIFICATION_BIND);
    case SP_UNBIND:
        return do_binding(message, FFA_NOTIFICATION_UNBIND);
    case SP_NOTIFY:
        return do_notify(message);
    case SP_NEWS:
        return do_news(message);
    case SP_SPIN:
        return do_spin(message);
    case SP_CALL:
        return do_call(message);
    case SP_GIVE_WAY:
        return do_yield(message);
    case SP_FAIL:
        fail("asked to fail");
    case SP_STATE:
        return answer(message, counters.notification_interrupts, counters.device_interrupts | counters.fiqs << 16,
                      counters.runs, counters.interrupted);
    default:
        return false;
    }
}
