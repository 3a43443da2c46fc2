/*
 * Binder between two processes: one becomes the context manager of a binder device and answers each number with the next
 * one, the other asks it by handle 0 and checks who answered what.
 *   binder_ping DEVICE         such as /dev/binderfs/binder
 * Exit codes: 0 every answer was right, 1 something failed, 2 wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/android/binder.h>

enum { OK, FAILED, USAGE };
enum { PING = 1 };

#define PINGS 100U
#define AREA (128U << 10)

/* Commands as the driver reads them: a word, then its argument without padding. */
struct __attribute__((packed)) transaction {
    uint32_t command;
    struct binder_transaction_data data;
};
struct __attribute__((packed)) release {
    uint32_t command;
    binder_uintptr_t buffer;
};

/* What a process has of the driver: its descriptor, and what came and was not looked at yet. */
struct binder {
    int device;
    uint8_t answers[512];
    size_t at, end;
};

static int failed(const char *what)
{
    fprintf(stderr, "binder_ping: %s: %s\n", what, strerror(errno));
    return FAILED;
}

static bool open_binder(struct binder *binder, const char *path)
{
    struct binder_version version = {0};

    binder->at = binder->end = 0;
    binder->device = open(path, O_RDWR | O_CLOEXEC);
    if (binder->device < 0 || ioctl(binder->device, BINDER_VERSION, &version))
        return false;
    if (version.protocol_version != BINDER_CURRENT_PROTOCOL_VERSION) {
        errno = EPROTO;
        return false;
    }
    return mmap(NULL, AREA, PROT_READ, MAP_PRIVATE, binder->device, 0) != MAP_FAILED;
}

static bool tell(struct binder *binder, const void *commands, size_t size)
{
    struct binder_write_read both = {.write_size = size, .write_buffer = (uintptr_t)commands};

    return ioctl(binder->device, BINDER_WRITE_READ, &both) == 0;
}

static bool hear(struct binder *binder)
{
    struct binder_write_read both = {.read_size = sizeof binder->answers, .read_buffer = (uintptr_t)binder->answers};

    if (ioctl(binder->device, BINDER_WRITE_READ, &both))
        return false;
    binder->at = 0;
    binder->end = both.read_consumed;
    return true;
}

/* Wait for a transaction, a reply or word that a reply is on its way; what else comes needs no answer. */
static bool wait_for(struct binder *binder, uint32_t wanted, struct binder_transaction_data *data)
{
    uint32_t answer;

    for (;;) {
        if (binder->at + sizeof answer > binder->end && !hear(binder))
            return false;
        if (binder->at + sizeof answer > binder->end)
            continue;
        memcpy(&answer, binder->answers + binder->at, sizeof answer);
        if (answer == wanted && data)
            memcpy(data, binder->answers + binder->at + sizeof answer, sizeof *data);
        binder->at += sizeof answer + _IOC_SIZE(answer);
        if (answer == wanted)
            return true;
        if (answer == BR_DEAD_REPLY || answer == BR_FAILED_REPLY || answer == BR_ERROR) {
            errno = EPIPE;
            return false;
        }
    }
}

/* The number in a transaction's buffer, which goes back to the driver. */
static bool take_number(struct binder *binder, const struct binder_transaction_data *data, uint32_t *number)
{
    struct release release = {BC_FREE_BUFFER, data->data.ptr.buffer};

    if (data->data_size != sizeof *number) {
        errno = EBADMSG;
        return false;
    }
    memcpy(number, (const void *)(uintptr_t)data->data.ptr.buffer, sizeof *number);
    return tell(binder, &release, sizeof release);
}

static bool send_number(struct binder *binder, uint32_t command, const uint32_t *number)
{
    struct transaction transaction = {command, {.code = PING, .data_size = sizeof *number}};

    transaction.data.data.ptr.buffer = (uintptr_t)number;
    return tell(binder, &transaction, sizeof transaction);
}

static int serve(struct binder *binder, pid_t client)
{
    struct binder_transaction_data data;
    uint32_t enter = BC_ENTER_LOOPER, number;

    if (!tell(binder, &enter, sizeof enter))
        return failed("entering the loop");
    for (unsigned i = 0; i < PINGS; i++) {
        if (!wait_for(binder, BR_TRANSACTION, &data) || !take_number(binder, &data, &number))
            return failed("waiting for a request");
        if (data.code != PING || data.sender_pid != client) {
            errno = EPERM;
            return failed("a request of somebody else");
        }
        number++;
        if (!send_number(binder, BC_REPLY, &number) || !wait_for(binder, BR_TRANSACTION_COMPLETE, NULL))
            return failed("answering");
    }
    return OK;
}

static int ask(const char *path)
{
    struct binder binder;
    struct binder_transaction_data data;
    uint32_t answer;

    if (!open_binder(&binder, path))
        return failed(path);
    for (uint32_t number = 0; number < PINGS; number++) {
        if (!send_number(&binder, BC_TRANSACTION, &number) || !wait_for(&binder, BR_REPLY, &data) ||
            !take_number(&binder, &data, &answer))
            return failed("asking");
        if (answer != number + 1) {
            fprintf(stderr, "binder_ping: asked %u, was answered %u\n", number, answer);
            return FAILED;
        }
    }
    printf("binder ping ok: process %d had %u answers of process %d\n", getpid(), PINGS, getppid());
    return OK;
}

int main(int count, char **words)
{
    struct binder binder;
    int status;
    pid_t client;

    if (count != 2) {
        fprintf(stderr, "usage: binder_ping DEVICE\n");
        return USAGE;
    }
    if (!open_binder(&binder, words[1]))
        return failed(words[1]);
    if (ioctl(binder.device, BINDER_SET_CONTEXT_MGR, 0))
        return failed("becoming the context manager");
    client = fork();
    if (client < 0)
        return failed("fork");
    if (client == 0) {
        status = ask(words[1]);
        fflush(stdout);
        _exit(status);
    }
    /* A client that is still waiting is told that nobody is there once this process has ended. */
    if (serve(&binder, client) != OK)
        return FAILED;
    if (waitpid(client, &status, 0) != client || !WIFEXITED(status))
        return FAILED;
    return WEXITSTATUS(status);
}
