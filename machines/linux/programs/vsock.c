/*
 * Streams between virtual machines by AF_VSOCK:
 *   vsock listen [-e] PORT     take one connection; print what it sends, or with -e send it back
 *   vsock connect CID PORT     send standard input, print what comes back
 * Exit codes: 0 both sides came to their end, 1 the connection or a transfer failed, 2 wrong usage.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

enum { OK, FAILED, USAGE };

/* One direction of a stream: bytes [start, end) of the buffer came from `from` and are still to go to `to`. */
struct pump {
    int from, to;
    bool to_socket;
    bool ended;
    size_t start, end;
    char buffer[32768];
};

static struct pump outgoing, incoming;

static int failed(const char *what)
{
    fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
    return FAILED;
}

static bool done(const struct pump *pump)
{
    return pump->ended && pump->start == pump->end;
}

static struct pollfd awaits(const struct pump *pump)
{
    if (done(pump))
        return (struct pollfd){ .fd = -1 };
    if (pump->start < pump->end)
        return (struct pollfd){ .fd = pump->to, .events = POLLOUT };
    return (struct pollfd){ .fd = pump->from, .events = POLLIN };
}

static bool fill(struct pump *pump)
{
    ssize_t count = read(pump->from, pump->buffer, sizeof pump->buffer);
    if (count < 0)
        return errno == EINTR || errno == EAGAIN;
    pump->start = 0;
    pump->end = (size_t)count;
    pump->ended = count == 0;
    if (pump->ended && pump->to_socket)
        shutdown(pump->to, SHUT_WR);
    return true;
}

static bool drain(struct pump *pump)
{
    const char *data = pump->buffer + pump->start;
    size_t size = pump->end - pump->start;
    /* A socket takes what fits: the other direction must not wait for this one. */
    ssize_t count = pump->to_socket ? send(pump->to, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) : write(pump->to, data, size);
    if (count < 0)
        return errno == EINTR || errno == EAGAIN;
    pump->start += (size_t)count;
    return true;
}

/* Move bytes until `last` has come to its end; `other` need not. */
static int carry(struct pump *last, struct pump *other)
{
    struct pump *pumps[] = { last, other };

    while (!done(last)) {
        struct pollfd fds[] = { awaits(last), awaits(other) };
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return failed("poll");
        for (int i = 0; i < 2; i++) {
            if (fds[i].revents == 0)
                continue;
            bool sending = pumps[i]->start < pumps[i]->end;
            if (!(sending ? drain(pumps[i]) : fill(pumps[i])))
                return failed(sending ? "send" : "receive");
        }
    }
    if (other->start < other->end) {
        fprintf(stderr, "vsock: the peer left before it had everything\n");
        return FAILED;
    }
    return OK;
}

static int listen_on(unsigned port, bool echo)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
    struct sockaddr_vm peer;
    socklen_t size = sizeof peer;
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0);

    if (listener < 0)
        return failed("socket");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0)
        return failed("listen");
    fprintf(stderr, "vsock: listening on port %u\n", port);
    int stream = accept(listener, (struct sockaddr *)&peer, &size);
    if (stream < 0)
        return failed("accept");
    fprintf(stderr, "vsock: CID %u connected\n", peer.svm_cid);
    close(listener);
    incoming = (struct pump){ .from = stream, .to = echo ? stream : STDOUT_FILENO, .to_socket = echo };
    outgoing.ended = true;
    return carry(&incoming, &outgoing);
}

static int connect_to(unsigned cid, unsigned port)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
    int stream = socket(AF_VSOCK, SOCK_STREAM, 0);

    if (stream < 0)
        return failed("socket");
    if (connect(stream, (struct sockaddr *)&address, sizeof address) < 0)
        return failed("connect");
    outgoing = (struct pump){ .from = STDIN_FILENO, .to = stream, .to_socket = true };
    incoming = (struct pump){ .from = stream, .to = STDOUT_FILENO };
    return carry(&incoming, &outgoing);
}

static bool number(const char *text, unsigned *value)
{
    char *end;

    errno = 0;
    unsigned long parsed = strtoul(text, &end, 0);
    *value = (unsigned)parsed;
    return errno == 0 && end != text && *end == '\0' && *text != '-' && parsed <= 0xffffffffUL;
}

int main(int argc, char **argv)
{
    unsigned cid, port;

    if (argc == 3 && strcmp(argv[1], "listen") == 0 && number(argv[2], &port))
        return listen_on(port, false);
    if (argc == 4 && strcmp(argv[1], "listen") == 0 && strcmp(argv[2], "-e") == 0 && number(argv[3], &port))
        return listen_on(port, true);
    if (argc == 4 && strcmp(argv[1], "connect") == 0 && number(argv[2], &cid) && number(argv[3], &port))
        return connect_to(cid, port);
    fprintf(stderr, "usage: vsock listen [-e] PORT | vsock connect CID PORT\n");
    return USAGE;
}
