/* hall.cpp -- see hall.h. */
#include "hall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

enum { MESSAGES = 1024 /* of a rank, not read yet */ };

struct seat {
    std::atomic<uint32_t> taken, left;
    char                  place[32];
    std::atomic<uint64_t> published, read; /* so many messages; read: of each rank */
    struct {
        uint64_t at, bytes; /* at: counted on beyond the room's end */
    } message[MESSAGES];
};
struct board { /* at the beginning of the memory; each seat's room follows */
    uint64_t              nonce;
    std::atomic<uint32_t> size;
    seat                  seats[HALL_RANKS];
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");
static const size_t BOARD = (sizeof(board) + 4095) / 4096 * 4096, ALL = BOARD + (size_t)HALL_RANKS * HALL_ROOM;

struct hall {
    board   *shared;
    int      file, founded; /* founded: this process's own file, -1: another's */
    int      rank, size;
    uint64_t head; /* of this rank's messages */
};

bool hall_found(hall_key *key) {
    key->pid = getpid();
    key->file = memfd_create("stand-in for NCCL", MFD_CLOEXEC);
    if (key->file < 0) return false;
    if (getrandom(&key->nonce, sizeof key->nonce, 0) != sizeof key->nonce || ftruncate(key->file, (off_t)ALL) != 0 ||
        pwrite(key->file, &key->nonce, sizeof key->nonce, 0) != sizeof key->nonce) {
        close(key->file);
        return false;
    }
    return true;
}

/* ---- locks: a rank's byte, held as long as its process lives */
static struct flock lock_of(int rank) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = rank;
    lock.l_len = 1;
    return lock;
}
static bool held(const hall *h, int rank) {
    struct flock lock = lock_of(rank);
    return fcntl(h->file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* ---- coming and going */
static hall *refuse(hall *h, std::string *why, const std::string &text) {
    *why = text;
    if (h->shared) munmap(h->shared, ALL);
    if (h->file >= 0) close(h->file);
    delete h;
    return nullptr;
}
hall *hall_enter(const hall_key &key, int rank, int size, const char *place, std::string *why) {
    char  path[64];
    hall *h = new hall{nullptr, -1, key.pid == getpid() ? key.file : -1, rank, size, 0};
    if (size < 1 || size > HALL_RANKS || rank < 0 || rank >= size)
        return refuse(h, why, "rank " + std::to_string(rank) + " of " + std::to_string(size) + " is not doubled");
    snprintf(path, sizeof path, "/proc/%d/fd/%d", key.pid, key.file);
    h->file = open(path, O_RDWR | O_CLOEXEC);
    if (h->file < 0) return refuse(h, why, std::string("nobody is there: ") + strerror(errno));
    void *memory = mmap(nullptr, ALL, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, h->file, 0);
    if (memory == MAP_FAILED) return refuse(h, why, std::string("no memory: ") + strerror(errno));
    h->shared = static_cast<board *>(memory);
    if (h->shared->nonce != key.nonce) return refuse(h, why, "the id is of another job");
    uint32_t first = 0;
    if (!h->shared->size.compare_exchange_strong(first, (uint32_t)size) && first != (uint32_t)size)
        return refuse(h, why, "others say that they are " + std::to_string(first));
    struct flock lock = lock_of(rank);
    if (fcntl(h->file, F_OFD_SETLK, &lock) != 0)
        return refuse(h, why, "rank " + std::to_string(rank) + " is there already");
    seat &mine = h->shared->seats[rank];
    snprintf(mine.place, sizeof mine.place, "%s", place);
    mine.taken.store(1);
    return h;
}
void hall_leave(hall *h) {
    seat &mine = h->shared->seats[h->rank];
    mine.left.store(1);
    mine.read.store(UINT64_MAX); /* nobody waits for it */
    munmap(h->shared, ALL);
    close(h->file);
    if (h->founded >= 0) close(h->founded);
    delete h;
}
bool hall_all_there(const hall *h) {
    return std::all_of(h->shared->seats, h->shared->seats + h->size, [](const seat &s) { return s.taken.load() != 0; });
}
std::string hall_shared_place(const hall *h) {
    for (int b = 1; b < h->size; b++)
        for (int a = 0; a < b; a++)
            if (!strcmp(h->shared->seats[a].place, h->shared->seats[b].place))
                return "ranks " + std::to_string(a) + " and " + std::to_string(b) + " are both at " +
                       h->shared->seats[a].place;
    return "";
}
int hall_dead(const hall *h) {
    for (int rank = 0; rank < h->size; rank++) {
        const seat &s = h->shared->seats[rank];
        if (rank != h->rank && s.taken.load() && !s.left.load() && !held(h, rank) && !s.left.load()) return rank;
    }
    return -1;
}

/* ---- messages */
static char *room_of(const hall *h, int rank) {
    return reinterpret_cast<char *>(h->shared) + BOARD + (size_t)rank * HALL_ROOM;
}
bool hall_publish(hall *h, uint64_t number, const std::vector<char> &message) {
    seat    &mine = h->shared->seats[h->rank];
    uint64_t oldest = number;
    for (int rank = 0; rank < h->size; rank++) oldest = std::min(oldest, h->shared->seats[rank].read.load());
    const uint64_t tail = oldest < number ? mine.message[oldest % MESSAGES].at : h->head, over = h->head % HALL_ROOM;
    const uint64_t at = over + message.size() > HALL_ROOM ? h->head + HALL_ROOM - over : h->head;
    if (at + message.size() - tail > HALL_ROOM || number - oldest >= MESSAGES) return false;
    memcpy(room_of(h, h->rank) + at % HALL_ROOM, message.data(), message.size());
    mine.message[number % MESSAGES].at = at;
    mine.message[number % MESSAGES].bytes = message.size();
    h->head = at + message.size();
    mine.published.store(number + 1);
    return true;
}
const char *hall_message(const hall *h, int rank, uint64_t number, size_t *bytes) {
    const seat &s = h->shared->seats[rank];
    if (s.published.load() <= number) return nullptr;
    *bytes = s.message[number % MESSAGES].bytes;
    return room_of(h, rank) + s.message[number % MESSAGES].at % HALL_ROOM;
}
void hall_read(hall *h, uint64_t number) {
    h->shared->seats[h->rank].read.store(number + 1);
}
