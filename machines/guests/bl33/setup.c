/* Versions, features, discovery, buffers, the debug log, and what the normal world cannot reach. */
#include "client.h"

#include "psci.h"

#define NOT_SUPPORTED_WORD 0xffffffffUL
#define UNUSED_FUNCTION 0x840000efU
/* NPI and SRI are software-generated interrupts; which ones the machine decides. */
#define SGIS 16U

static struct smccc_regs logged[2];
static const uint32_t uuid_words[] = {0x12345678, 0xaabbccdd, 0x33221100};

static void version_errors(void)
{
    expect(call(FFA_VERSION, FFA_V1_2, 0, 0, 0).x[0], FFA_V1_2);
    expect(call(FFA_VERSION, FFA_V1_1, 0, 0, 0).x[0], NOT_SUPPORTED_WORD);
    expect(call(FFA_VERSION, 0x20000, 0, 0, 0).x[0], NOT_SUPPORTED_WORD);
    expect(call(FFA_VERSION, 0x80010002, 0, 0, 0).x[0], NOT_SUPPORTED_WORD);
    expect_code(call(FFA_SPM_ID_GET, 0, 0, 0, 0), FFA_OK);
    expect(call(FFA_SPM_ID_GET, 0, 0, 0, 0).x[2], FFA_SPMC);
}

static struct smccc_regs feature(uint32_t id)
{
    return call(FFA_FEATURES, id, 0, 0, 0);
}

static void features(void)
{
    static const uint32_t served[] = {
        FFA_ERROR, FFA_SUCCESS_32, FFA_SUCCESS_64, FFA_INTERRUPT, FFA_VERSION, FFA_FEATURES, FFA_RX_RELEASE,
        FFA_RXTX_MAP_32, FFA_RXTX_MAP_64, FFA_RXTX_UNMAP, FFA_PARTITION_INFO_GET, FFA_ID_GET, FFA_SPM_ID_GET, FFA_RUN,
        FFA_MSG_SEND_DIRECT_REQ_32, FFA_MSG_SEND_DIRECT_REQ_64, FFA_MSG_SEND_DIRECT_REQ2, FFA_MSG_SEND2,
        FFA_MEM_DONATE_32, FFA_MEM_LEND_32, FFA_MEM_SHARE_32, FFA_MEM_SHARE_64, FFA_MEM_RETRIEVE_REQ_32,
        FFA_MEM_RELINQUISH, FFA_MEM_RECLAIM, FFA_MEM_FRAG_RX, FFA_MEM_FRAG_TX, FFA_NOTIFICATION_BITMAP_CREATE,
        FFA_NOTIFICATION_BITMAP_DESTROY, FFA_NOTIFICATION_BIND, FFA_NOTIFICATION_UNBIND, FFA_NOTIFICATION_SET,
        FFA_NOTIFICATION_GET, FFA_NOTIFICATION_INFO_GET_64, FFA_CONSOLE_LOG_32, FFA_CONSOLE_LOG_64,
        FFA_PARTITION_INFO_GET_REGS,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(served); i++)
        expect_code(feature(served[i]), FFA_OK);
    expect_code(feature(FFA_RX_ACQUIRE), owns_el2 ? FFA_OK : FFA_NOT_SUPPORTED); /* for the hypervisor of VMs */
    expect_code(feature(FFA_NORMAL_WORLD_RESUME), FFA_NOT_SUPPORTED);
    expect_code(feature(UNUSED_FUNCTION), FFA_NOT_SUPPORTED);
    expect(feature(FFA_RXTX_MAP_64).x[2], 1 << 16);
    expect_code(feature(FFA_FEATURE_SRI), FFA_OK);
    expect(feature(FFA_FEATURE_SRI).x[2] < SGIS, true);
    expect_code(feature(FFA_FEATURE_MEI), FFA_NOT_SUPPORTED);
    if (owns_el2)
        expect_code(feature(FFA_FEATURE_NPI), FFA_NOT_SUPPORTED);
    else
        expect(feature(FFA_FEATURE_NPI).x[2] < SGIS, true);
}

static void unknown_calls(void)
{
    expect_code(call(UNUSED_FUNCTION, 0, 0, 0, 0), FFA_NOT_SUPPORTED);
    expect_code(call(FFA_NORMAL_WORLD_RESUME, 0, 0, 0, 0), FFA_NOT_SUPPORTED);
    expect_code(call(FFA_SUCCESS_32, 0, 0, 0, 0), FFA_NOT_SUPPORTED);
    expect_code(call(FFA_MSG_SEND_DIRECT_RESP_32, ffa_ids(own_id, SP_HELLO), 0, 0, 0),
                owns_el2 ? FFA_NOT_SUPPORTED : FFA_DENIED);
    expect((uint64_t)psci_call(PSCI_VERSION, 0, 0, 0), 0x10001);
}

static void partitions_by_uuid(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(uuid_words); i++) {
        uint32_t word = uuid_words[i];
        struct smccc_regs regs = ffa_call(FFA_PARTITION_INFO_GET, word, word, word, word, 0);

        expect_code(regs, FFA_OK);
        expect(regs.x[2], 1);
        expect(rx[0] & 0xffffffff, 1 << 16 | (SP_HELLO + i));
        /* Nobody needs to be told the UUID that was asked for. */
        expect(rx[1] | rx[2], 0);
        expect_code(call(FFA_PARTITION_INFO_GET, 0, 0, 0, 0), FFA_BUSY);
        expect_code(call(FFA_RX_RELEASE, 0, 0, 0, 0), FFA_OK);
    }
    expect_code(ffa_call(FFA_PARTITION_INFO_GET, 1, 2, 3, 4, 0), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_RX_RELEASE, 0, 0, 0, 0), FFA_DENIED);
}

static void partitions_in_registers(void)
{
    unsigned first = owns_el2 ? 0 : 1, last = first + 2;
    struct smccc_regs regs = call(FFA_PARTITION_INFO_GET_REGS, 0, 0, 0, 0);

    expect(regs.x[0], FFA_SUCCESS_64);
    expect(regs.x[2], 24UL << 48 | last << 16 | last);
    for (unsigned i = 0; i < ARRAY_SIZE(uuid_words); i++) {
        uint64_t half = (uint64_t)uuid_words[i] << 32 | uuid_words[i];

        expect(regs.x[3 + 3 * (first + i)] & 0xffff, SP_HELLO + i);
        expect(regs.x[4 + 3 * (first + i)], half);
        expect(call(FFA_PARTITION_INFO_GET_REGS, half, half, 0, 0).x[3] & 0xffff, SP_HELLO + i);
    }
    expect_code(call(FFA_PARTITION_INFO_GET_REGS, 0, 0, last + 1, 0), FFA_INVALID_PARAMETERS);
}

static struct smccc_regs map(uint64_t send, uint64_t receive, uint64_t count)
{
    return call(FFA_RXTX_MAP_64, send, receive, count, 0);
}

static void buffers(void)
{
    uint64_t send = (uintptr_t)tx, receive = (uintptr_t)rx;

    expect_code(map(page(1), page(2), 1), FFA_DENIED);
    expect_code(call(FFA_RXTX_UNMAP, 0, 0, 0, 0), FFA_OK);
    expect_code(call(FFA_RXTX_UNMAP, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_RX_RELEASE, 0, 0, 0, 0), FFA_DENIED);
    expect_code(call(FFA_MSG_SEND2, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_MEM_SHARE_32, 112, 112, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(map(send + 8, receive, 1), FFA_INVALID_PARAMETERS);
    expect_code(map(send, send, 1), FFA_INVALID_PARAMETERS);
    expect_code(map(send, receive, 0), FFA_INVALID_PARAMETERS);
    expect_code(map(send, receive, 2), FFA_INVALID_PARAMETERS);
    expect_code(map(send, ELSEWHERE, 1), FFA_INVALID_PARAMETERS);
    expect_code(map(send, SPMC_MEMORY, 1), FFA_INVALID_PARAMETERS);
    expect_code(map(PARTITION_MEMORY, receive, 1), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_RXTX_MAP_32, send, receive, 1, 0), FFA_OK);
}

/* Characters in w2-w7 or x2-x17, the first in the lowest byte. */
static struct smccc_regs log_text(uint32_t function, const char *text)
{
    struct smccc_regs regs = {{function}};
    unsigned size = function == FFA_CONSOLE_LOG_32 ? 4 : 8, length = 0;

    for (; text[length]; length++)
        regs.x[2 + length / size] |= (uint64_t)(uint8_t)text[length] << length % size * 8;
    regs.x[1] = length;
    return ffa_call_regs(regs);
}

/* Before the test, so that what is logged is on lines of its own. */
static void log_lines(void)
{
    logged[0] = log_text(FFA_CONSOLE_LOG_32, "  logged in 32 bits\r\n");
    logged[1] = log_text(FFA_CONSOLE_LOG_64, "  logged in 64 bits, which have room for more of it\r\n");
}

static void console_log(void)
{
    expect_code(logged[0], FFA_OK);
    expect_code(logged[1], FFA_OK);
    expect_code(call(FFA_CONSOLE_LOG_32, 0, 'x', 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_CONSOLE_LOG_32, 25, 'x', 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(call(FFA_CONSOLE_LOG_64, 129, 'x', 0, 0), FFA_INVALID_PARAMETERS);
}

static void secure_memory(void)
{
    expect_blocked(probe_read(SPMC_MEMORY).esr);
    expect_blocked(probe_write(SPMC_MEMORY, 1).esr);
    expect_blocked(probe_read(PARTITION_MEMORY).esr);
    expect_blocked(probe_write(PARTITION_MEMORY + 0x4000, 1).esr);
    expect_blocked(probe_read(SP_HELLO_PAGE).esr);
    expect(answered(SP_HELLO, 0, 1, 0, 0, 0), 1 + SP_ECHO_ADDS);
}

void setup_tests(void)
{
    test("FFA_VERSION errors", version_errors);
    test("FFA_FEATURES of every function", features);
    test("Functions that are not there", unknown_calls);
    test("PARTITION_INFO_GET by UUID", partitions_by_uuid);
    test("PARTITION_INFO_GET_REGS", partitions_in_registers);
    test("RXTX_MAP errors", buffers);
    log_lines();
    test("CONSOLE_LOG", console_log);
    test("Secure memory is not there", secure_memory);
}
