/* comm_tcp.c -- a link by TCP, for machines without MPI; see comm_link.h. A connection between every two ranks.
 *
 * Rank 0 listens where MASTER_ADDR and MASTER_PORT (or Slurm's list of hosts) say. The others go there with the job's
 * name, their rank and a port of their own; when all have come, each is told where the rest is and connects to those of
 * lower rank. A stranger, or a rank of another job, is sent away. Nothing is encrypted: it is for a cluster's own
 * network.
 *
 * A message is a head and bytes. Owner: the opener. Fails: CT_EFAIL, naming the rank or the address.
 */
#include "core/log.h"
#include "kernels/comm_link.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const uint64_t MAGIC = 0x31636e7573746e63u;

typedef struct hello {
    uint64_t magic, nonce;
    int32_t  size, rank;
    uint32_t port, zero; /* where others reach it */
} hello;

typedef struct head {
    uint64_t bytes;
    uint32_t mark, zero;
} head;

typedef struct peer {
    int    socket; /* -1: none, 0: not yet said so */
    head   sending, coming;
    size_t sent, came; /* bytes, heads included */
} peer;

typedef struct tcp_link {
    ct_link              link;
    const ct_world      *world;
    peer                *peers;
    struct pollfd       *waits;
    int                 *of; /* whose waits these are */
    bool                *missing;
    struct sockaddr_in6 *places; /* IPv4 mapped into it */
} tcp_link;

/* ---- one connection, while the ranks meet: until `end` */
static ct_status wait_for(int fd, short what, double end) {
    struct pollfd p = {fd, what, 0};
    const double  left = end - ct_seconds();
    const int     n = left > 0 ? poll(&p, 1, (int)(left * 1000) + 1) : 0;
    if (n < 0) return errno == EINTR ? CT_OK : ct_fail(CT_EFAIL, "poll: %s", strerror(errno));
    return n > 0 ? CT_OK : ct_fail(CT_EFAIL, "no answer");
}

static ct_status send_all(int fd, const void *data, size_t bytes, double end) {
    for (const char *at = data; bytes;) {
        const ssize_t n = send(fd, at, bytes, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return ct_fail(CT_EFAIL, "send: %s", strerror(errno));
        if (n < 0) CT_TRY(wait_for(fd, POLLOUT, end));
        if (n > 0) at += n, bytes -= (size_t)n;
    }
    return CT_OK;
}

static ct_status receive_all(int fd, void *data, size_t bytes, double end) {
    for (char *at = data; bytes;) {
        const ssize_t n = recv(fd, at, bytes, 0);
        if (n == 0) return ct_fail(CT_EFAIL, "it closed the connection");
        if (n < 0 && errno != EAGAIN && errno != EINTR) return ct_fail(CT_EFAIL, "receive: %s", strerror(errno));
        if (n < 0) CT_TRY(wait_for(fd, POLLIN, end));
        if (n > 0) at += n, bytes -= (size_t)n;
    }
    return CT_OK;
}

/* CT_EFAIL where nobody answers at present; the caller may try again. */
static ct_status connect_once(const struct sockaddr *address, socklen_t length, double end, int *out) {
    int       fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t n = sizeof error;
    ct_status status = fd < 0 ? ct_fail(CT_EFAIL, "socket: %s", strerror(errno)) : CT_OK;
    if (status == CT_OK && connect(fd, address, length) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            status = wait_for(fd, POLLOUT, end);
            if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0) error = errno;
        }
    }
    if (status == CT_OK && error) status = ct_fail(CT_EFAIL, "%s", strerror(error));
    if (status != CT_OK && fd >= 0) close(fd);
    *out = status == CT_OK ? fd : -1;
    return status;
}

/* Any address of this host, of IPv6 too where there is such a thing. port 0: any. */
static ct_status listen_at(int port, int backlog, int *out, uint32_t *found) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in  four = {.sin_family = AF_INET, .sin_port = six.sin6_port};
    const int           yes = 1, no = 0, how = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int                 fd = socket(AF_INET6, how, 0);
    const bool          is_six = fd >= 0;
    struct sockaddr    *at = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    socklen_t           length = is_six ? sizeof six : sizeof four;
    if (!is_six) fd = socket(AF_INET, how, 0);
    *out = fd;
    if (fd < 0) return ct_fail(CT_EFAIL, "socket: %s", strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        (is_six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) != 0) || bind(fd, at, length) != 0 ||
        listen(fd, backlog) != 0 || getsockname(fd, at, &length) != 0)
        return ct_fail(CT_EFAIL, "can't listen at port %d: %s (hint: another job's? MASTER_PORT)", port,
                       strerror(errno));
    *found = ntohs(is_six ? six.sin6_port : four.sin_port);
    return CT_OK;
}

/* Seconds between two tries to reach somebody, and for a stranger to say who he is. */
static const double RETRY = 0.1, POLITE = 5;

static ct_status connect_to(const struct sockaddr_in6 *place, double end, int *out) {
    struct sockaddr_in     four = {.sin_family = AF_INET, .sin_port = place->sin6_port};
    const bool             mapped = IN6_IS_ADDR_V4MAPPED(&place->sin6_addr);
    const struct sockaddr *address = mapped ? (const struct sockaddr *)&four : (const struct sockaddr *)place;
    const socklen_t        length = mapped ? sizeof four : sizeof *place;
    memcpy(&four.sin_addr, &place->sin6_addr.s6_addr[12], 4);
    for (;;) {
        const double          soon = ct_seconds() + POLITE;
        const ct_status       status = connect_once(address, length, soon < end ? soon : end, out);
        const struct timespec pause = {0, (long)(RETRY * 1e9)};
        if (status == CT_OK || ct_seconds() > end) return status;
        nanosleep(&pause, NULL);
    }
}

static ct_status find_rank_0(tcp_link *t, double end, int *out) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    ct_status       status = CT_EFAIL;
    *out = -1;
    for (bool first = true; status != CT_OK && (first || ct_seconds() < end); first = false) {
        const int error = getaddrinfo(t->world->address, t->world->port, &hints, &found);
        if (error) status = ct_fail(CT_EFAIL, "%s", gai_strerror(error));
        for (struct addrinfo *a = error ? NULL : found; a && status != CT_OK; a = a->ai_next) {
            const double soon = ct_seconds() + POLITE;
            status = connect_once(a->ai_addr, a->ai_addrlen, soon < end ? soon : end, out);
        }
        if (!error) freeaddrinfo(found);
        const struct timespec pause = {0, (long)(RETRY * 1e9)};
        if (status != CT_OK) nanosleep(&pause, NULL);
    }
    return status;
}

/* The next that belongs to this job and has not come yet. */
static ct_status accept_one(tcp_link *t, int listener, int lowest, double end, hello *who) {
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                return ct_fail(CT_EFAIL, "accept: %s", strerror(errno));
            CT_TRY(wait_for(listener, POLLIN, end));
            continue;
        }
        const double soon = ct_seconds() + POLITE;
        const bool   said = receive_all(fd, who, sizeof *who, soon < end ? soon : end) == CT_OK;
        if (said && who->magic == MAGIC && who->nonce == t->world->nonce && who->size == t->link.size &&
            who->rank >= lowest && who->rank < t->link.size && t->peers[who->rank].socket < 0) {
            t->peers[who->rank].socket = fd;
            return CT_OK;
        }
        close(fd);
    }
}

/* Ranks without a connection, for a message. */
static ct_status absent(const tcp_link *t, int from, ct_status status) {
    char text[256];
    for (int i = 0; i < t->link.size; i++) t->missing[i] = i >= from && i != t->link.rank && t->peers[i].socket < 0;
    return ct_context(status, "waiting for rank %s to connect (dist.timeout)",
                      ct_rank_list(t->missing, t->link.size, text, sizeof text));
}

/* The address of who is at the other end, as IPv6. */
static ct_status reached(int fd, struct sockaddr_in6 *out) {
    struct sockaddr_storage s = {0};
    socklen_t               length = sizeof s;
    if (getpeername(fd, (struct sockaddr *)&s, &length) != 0)
        return ct_fail(CT_EFAIL, "getpeername: %s", strerror(errno));
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6};
    if (s.ss_family == AF_INET6) {
        memcpy(out, &s, sizeof *out);
        return CT_OK;
    }
    struct sockaddr_in four;
    memcpy(&four, &s, sizeof four);
    out->sin6_addr.s6_addr[10] = out->sin6_addr.s6_addr[11] = 0xff;
    memcpy(&out->sin6_addr.s6_addr[12], &four.sin_addr, 4);
    return CT_OK;
}

static ct_status meet_as_0(tcp_link *t, int listener, double end) {
    for (int n = 1; n < t->link.size; n++) {
        hello     who = {0};
        ct_status status = accept_one(t, listener, 1, end, &who);
        if (status != CT_OK) return absent(t, 1, status);
        struct sockaddr_in6 *at = &t->places[who.rank];
        CT_TRY(reached(t->peers[who.rank].socket, at));
        at->sin6_port = htons((uint16_t)who.port);
    }
    for (int rank = 1; rank < t->link.size; rank++)
        CT_TRY(ct_context(send_all(t->peers[rank].socket, t->places, (size_t)t->link.size * sizeof *t->places, end),
                          "rank %d", rank));
    return CT_OK;
}

static bool is_loopback(const struct in6_addr *a) {
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

static ct_status meet_as_other(tcp_link *t, int listener, uint32_t port, double end) {
    const hello         mine = {MAGIC, t->world->nonce, t->link.size, t->link.rank, port, 0};
    struct sockaddr_in6 zero = {0};
    int                *to_0 = &t->peers[0].socket;
    CT_TRY(ct_context(find_rank_0(t, end, to_0), "rank 0 at %s port %s (hint: has it started, with this MASTER_ADDR?)",
                      t->world->address, t->world->port));
    CT_TRY(send_all(*to_0, &mine, sizeof mine, end));
    CT_TRY(ct_context(receive_all(*to_0, t->places, (size_t)t->link.size * sizeof *t->places, end),
                      "rank 0 at %s port %s (hint: all ranks there? of the same job?)", t->world->address,
                      t->world->port));
    CT_TRY(reached(*to_0, &zero));
    for (int rank = 1; rank < t->link.rank; rank++) {
        struct sockaddr_in6 at = t->places[rank];
        if (is_loopback(&at.sin6_addr)) at.sin6_addr = zero.sin6_addr; /* it is on the host of rank 0 */
        at.sin6_family = AF_INET6;
        CT_TRY(ct_context(connect_to(&at, end, &t->peers[rank].socket), "rank %d", rank));
        CT_TRY(ct_context(send_all(t->peers[rank].socket, &mine, sizeof mine, end), "rank %d", rank));
    }
    for (int n = t->link.rank + 1; n < t->link.size; n++) {
        hello     who = {0};
        ct_status status = accept_one(t, listener, t->link.rank + 1, end, &who);
        if (status != CT_OK) return absent(t, t->link.rank + 1, status);
    }
    return CT_OK;
}

/* ---- the exchange */
static bool is_out(const peer *p, const ct_parcel *parcel) {
    return parcel->out && p->sent < sizeof(head) + parcel->out_bytes;
}

static bool is_in(const peer *p, const ct_parcel *parcel) {
    return parcel->in && p->came < sizeof(head) + parcel->in_bytes;
}

/* As much as the system takes now. */
static ct_status send_some(tcp_link *t, int rank, const ct_parcel *parcel, bool *moved) {
    peer *p = &t->peers[rank];
    while (is_out(p, parcel)) {
        const bool  first = p->sent < sizeof(head);
        const char *from =
            first ? (const char *)&p->sending + p->sent : (const char *)parcel->out + (p->sent - sizeof(head));
        const size_t  left = (first ? sizeof(head) : sizeof(head) + parcel->out_bytes) - p->sent;
        const ssize_t n = send(p->socket, from, left, MSG_NOSIGNAL | (first && parcel->out_bytes ? MSG_MORE : 0));
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return CT_OK;
        if (n < 0) return ct_link_gone(&t->link, rank, strerror(errno));
        p->sent += (size_t)n;
        *moved = true;
    }
    return CT_OK;
}

static ct_status receive_some(tcp_link *t, int rank, const ct_parcel *parcel, uint32_t mark, bool *moved) {
    peer *p = &t->peers[rank];
    while (is_in(p, parcel)) {
        const bool    first = p->came < sizeof(head);
        char         *to = first ? (char *)&p->coming + p->came : (char *)parcel->in + (p->came - sizeof(head));
        const size_t  left = (first ? sizeof(head) : sizeof(head) + parcel->in_bytes) - p->came;
        const ssize_t n = recv(p->socket, to, left, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return CT_OK;
        if (n <= 0) return ct_link_gone(&t->link, rank, n ? strerror(errno) : "its connection is closed");
        p->came += (size_t)n;
        *moved = true;
        if (first && p->came == sizeof(head) && (p->coming.mark != mark || p->coming.bytes != parcel->in_bytes))
            return ct_link_strange(&t->link, rank, parcel->in_bytes, (size_t)p->coming.bytes);
    }
    return CT_OK;
}

static int collect_waits(tcp_link *t, const ct_parcel *parcels) {
    int n = 0;
    for (int rank = 0; rank < t->link.size; rank++) {
        const peer *p = &t->peers[rank];
        if (rank == t->link.rank) continue;
        const int what = (is_out(p, &parcels[rank]) ? POLLOUT : 0) | (is_in(p, &parcels[rank]) ? POLLIN : 0);
        if (!what) continue;
        t->waits[n] = (struct pollfd){p->socket, (short)what, 0};
        t->of[n++] = rank;
    }
    return n;
}

static ct_status exchange(ct_link *link, const ct_parcel *parcels, uint32_t mark) {
    enum { LOOK_UP = 50 }; /* milliseconds */
    tcp_link *t = (tcp_link *)link;
    double    since = ct_seconds();
    for (int rank = 0; rank < link->size; rank++) {
        t->peers[rank].sending = (head){parcels[rank].out_bytes, mark, 0};
        t->peers[rank].sent = t->peers[rank].came = 0;
    }
    for (int n; (n = collect_waits(t, parcels)) > 0;) {
        bool moved = false;
        CT_TRY(ct_link_alive(link));
        if (poll(t->waits, (nfds_t)n, LOOK_UP) < 0 && errno != EINTR)
            return ct_fail(CT_EFAIL, "poll: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            const int rank = t->of[i];
            if (!t->waits[i].revents) continue;
            CT_TRY(receive_some(t, rank, &parcels[rank], mark, &moved));
            CT_TRY(send_some(t, rank, &parcels[rank], &moved));
        }
        const double now = ct_seconds();
        if (moved) since = now;
        if (now - since <= link->timeout) continue;
        memset(t->missing, 0, (size_t)link->size * sizeof *t->missing);
        for (int i = 0; i < n; i++) t->missing[t->of[i]] = true;
        return ct_link_late(link, t->missing, now - since);
    }
    return CT_OK;
}

/* ---- opening and closing */
/* The others see that this end is gone. */
static void hang_up(ct_link *link) {
    const tcp_link *t = (const tcp_link *)link;
    for (int rank = 0; rank < link->size; rank++)
        if (t->peers[rank].socket >= 0) shutdown(t->peers[rank].socket, SHUT_RDWR);
}

static ct_status finish(ct_link *link, bool well) {
    tcp_link *t = (tcp_link *)link;
    (void)well;
    for (int rank = 0; t->peers && rank < link->size; rank++)
        if (t->peers[rank].socket > 0) close(t->peers[rank].socket);
    free(t->peers);
    free(t->waits);
    free(t->of);
    free(t->missing);
    free(t->places);
    free(t);
    return CT_OK;
}

static ct_status meet(tcp_link *t, double end) {
    int       listener = -1;
    uint32_t  port = 0;
    const int yes = 1, wanted = t->link.rank ? 0 : (int)strtol(t->world->port, NULL, 10);
    ct_status status = listen_at(wanted, t->link.size, &listener, &port);
    if (status == CT_OK) status = t->link.rank ? meet_as_other(t, listener, port, end) : meet_as_0(t, listener, end);
    if (listener >= 0) close(listener);
    for (int rank = 0; rank < t->link.size && status == CT_OK; rank++)
        if (rank != t->link.rank) setsockopt(t->peers[rank].socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return status;
}

static ct_status make(const ct_world *world, double timeout, tcp_link **out) {
    const size_t n = (size_t)world->size;
    tcp_link    *t = *out = calloc(1, sizeof *t);
    if (!t) return ct_fail(CT_ENOMEM, "out of memory: a link by TCP");
    t->link = (ct_link){.name = "tcp", .rank = world->rank, .size = world->size, .timeout = timeout};
    t->link.exchange = exchange;
    t->link.abort = hang_up;
    t->link.close = finish;
    t->world = world;
    t->peers = calloc(n, sizeof *t->peers);
    t->waits = calloc(n, sizeof *t->waits);
    t->of = calloc(n, sizeof *t->of);
    t->missing = calloc(n, sizeof *t->missing);
    t->places = calloc(n, sizeof *t->places);
    if (!t->peers || !t->waits || !t->of || !t->missing || !t->places)
        return ct_fail(CT_ENOMEM, "out of memory: a link by TCP between %zu ranks", n);
    for (size_t i = 0; i < n; i++) t->peers[i].socket = -1;
    return CT_OK;
}

ct_status ct_tcp_link_open(const ct_world *world, double timeout, ct_link **out) {
    tcp_link *t = NULL;
    ct_status status = make(world, timeout, &t);
    if (status == CT_OK) status = meet(t, ct_seconds() + timeout);
    *out = status == CT_OK ? &t->link : NULL;
    if (status != CT_OK && t) (void)!finish(&t->link, false);
    return status;
}
