/* memory.cpp -- see memory.h. */
#include "memory.h"

#include "checker.h"
#include "emulator.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <map>

enum { POISON = 0xff };

/* Guards are NaN as bf16 and as float, and differ from one allocation to the next: what is copied from one guard to
 * another shows. */
static void fill_guard(char *guard, uint16_t pattern) {
    for (size_t i = 0; i < MEMORY_GUARD; i += sizeof pattern) memcpy(guard + i, &pattern, sizeof pattern);
}
static long first_change(const char *guard, uint16_t pattern) { /* -1: none */
    char intact[MEMORY_GUARD];
    fill_guard(intact, pattern);
    if (memcmp(guard, intact, MEMORY_GUARD) == 0) return -1;
    long i = 0;
    while (guard[i] == intact[i]) i++;
    return i;
}

static std::map<const char *, allocation> allocations; /* by address */
static allocation                        *last_found;  /* mostly the next one, too */
static bool                               closed;

static void protect(const allocation &a) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    mprotect(a.mapping + page, a.mapped - 2 * page, closed ? PROT_NONE : PROT_READ | PROT_WRITE);
}
void memory_close(bool close) {
    if (close == closed) return;
    closed = close;
    for (const auto &entry : allocations) protect(entry.second);
}

/* What is freed stays reserved for a while, and faults. */
static void retire(const allocation &a) {
    enum { RETIRED = 64 };
    static std::deque<std::pair<void *, size_t>> retired;
    void                                        *reserved =
        mmap(a.mapping, a.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (reserved == MAP_FAILED)
        munmap(a.mapping, a.mapped);
    else
        retired.emplace_back(a.mapping, a.mapped);
    if (retired.size() <= RETIRED) return;
    munmap(retired.front().first, retired.front().second);
    retired.pop_front();
}

void *emulator_alloc(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + 2 * MEMORY_GUARD + page - 1) / page * page;
    size_t mapped = inner + 2 * page;
    void  *mapping = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) {
        perror("emulator: no memory");
        abort();
    }
    madvise(mapping, mapped, MADV_HUGEPAGE); /* closed and opened with each copy: by 2 MiB, where the system has them */
    char *first = static_cast<char *>(mapping) + page;
    memset(first, POISON, inner);
    mprotect(mapping, page, PROT_NONE);
    mprotect(first + inner, page, PROT_NONE);
    char           *data = first + MEMORY_GUARD; /* page-aligned */
    static unsigned made;
    uint16_t        pattern = (uint16_t)(0x7f81 + made++ % 120);
    fill_guard(data - MEMORY_GUARD, pattern);
    fill_guard(data + bytes, pattern);
    const allocation &made_now =
        allocations[data] = {data, bytes, static_cast<char *>(mapping), mapped, pattern, nullptr};
    if (closed) protect(made_now);
    return data;
}

void emulator_free(void *device) {
    if (!device) return;
    auto found = allocations.find(static_cast<char *>(device));
    if (found == allocations.end()) {
        report("memory", NO_SITE, "emulator_free: %p is not the start of an allocation", device);
        return;
    }
    shadow_free(found->second.shadow);
    retire(found->second);
    allocations.erase(found);
    last_found = nullptr;
}

static bool reaches(const allocation *a, const char *p) {
    return a && p >= a->data - MEMORY_GUARD && p < a->data + a->bytes + MEMORY_GUARD;
}
allocation *memory_find(const void *address) {
    const char *p = static_cast<const char *>(address);
    if (reaches(last_found, p)) return last_found;
    auto next = allocations.upper_bound(p + MEMORY_GUARD);
    if (next == allocations.begin()) return nullptr;
    allocation *found = &(--next)->second;
    return reaches(found, p) ? last_found = found : nullptr;
}

static bool within(const allocation *a, const void *device, size_t bytes, const char *what) {
    const char *p = static_cast<const char *>(device);
    if (a && p >= a->data && p + bytes <= a->data + a->bytes) return true;
    report("out-of-bounds", NO_SITE, "%s of %zu bytes at %p, which is not within one allocation", what, bytes, device);
    return false;
}

void emulator_write(void *device, const void *host, size_t bytes) {
    allocation *a = memory_find(device);
    if (bytes == 0 || !within(a, device, bytes, "copy from the host")) return;
    memcpy(device, host, bytes);
    check_host_write(a, static_cast<char *>(device), bytes);
}
void emulator_read(void *host, const void *device, size_t bytes) {
    allocation *a = memory_find(device);
    if (bytes == 0 || !within(a, device, bytes, "copy to the host")) return;
    check_host_read(a, static_cast<const char *>(device), bytes);
    memcpy(host, device, bytes);
}

void memory_check_guards(const char *kernel) {
    for (auto &entry : allocations) {
        allocation &a = entry.second;
        for (long start : {-(long)MEMORY_GUARD, (long)a.bytes}) {
            long change = first_change(a.data + start, a.guard);
            if (change < 0) continue;
            report("out-of-bounds", NO_SITE, "kernel %s: byte %ld of an allocation of %zu bytes has been written",
                   kernel, start + change, a.bytes);
            fill_guard(a.data + start, a.guard);
        }
    }
}
