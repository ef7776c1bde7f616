/* checker.cpp -- see checker.h. */
#include "checker.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cell.flags */
enum {
    WRITTEN = 1,      /* by the host or a kernel */
    ATOMIC = 2,       /* the last write was one */
    PENDING = 4,      /* an asynchronous copy will write, or has written, and was not waited for */
    MANY_WARPS = 8,   /* more warps than one have read in this epoch */
    MANY_BLOCKS = 16, /* more blocks than one have read in this launch */
    SPLIT = 32,       /* this word's bytes have cells of their own */
};

static bool            enabled;
static uint32_t        first_run;
static const unsigned *block_order;
static uint32_t        copy_run; /* 0: the host's */
static site            copy_site;
const checker_streams *the_checker_streams;

void checker_enable(bool enable) {
    enabled = enable;
}
bool checker_enabled(void) {
    return enabled;
}
bool emulator_checks_accesses(void) {
    return enabled;
}
void checker_begin_launch(uint32_t first, const unsigned *order) {
    first_run = first;
    block_order = order;
}

void checker_begin_copy(uint32_t run, site where) {
    copy_run = run;
    copy_site = where;
}
/* Earlier launches and copies, and nobody's */
static bool came_before(uint32_t run) {
    return run == 0 || !the_checker_streams || the_checker_streams->before(run);
}

/* Another run reads it now; one that nothing orders before that is remembered, the first of several. */
static void part_reads(cell *c) {
    if (!came_before(c->read_run) && came_before(c->read_apart)) c->read_apart = c->read_run;
}

/* ---- who, and when in his warp: 10 bits of the thread's number, 22 of its time, which begins at 1; never 0 */
static uint32_t who(const kernel_thread *t) {
    return t->number | t->seen[t->lane] << 10;
}
static unsigned thread_of(uint32_t w) {
    return w & 1023;
}
static uint32_t time_of(uint32_t w) {
    return w >> 10;
}

/* Did what `w` did in that run and epoch happen before what this thread does now? */
static bool happened_before(const block *b, const kernel_thread *me, uint32_t run, uint32_t epoch, uint32_t w) {
    if (run < first_run) return came_before(run);
    if (run != b->run) return false;
    if (epoch < b->epoch || thread_of(w) == me->number) return true;
    return thread_of(w) / LANES == me->warp && time_of(w) <= me->seen[thread_of(w) % LANES];
}

/* ---- an access, and one cell */
enum access_kind { READ, WRITE, ATOMIC_WRITE, COPY_WRITE };
struct access {
    access_kind kind;
    const char *address;
    size_t      bytes;
    site        where;
    bool        shared;
};
enum finding { FINE, UNINITIALISED, RACE_WITH_WRITE, RACE_WITH_READ, COPY_UNDER_WAY };

static void note_read(const block *b, const kernel_thread *me, cell *c, site where) {
    bool none = c->read_run < first_run;
    if (none) part_reads(c);
    if (!none && c->read_run != b->run) c->flags |= MANY_BLOCKS;
    bool past = none || c->read_run != b->run || c->read_epoch < b->epoch; /* of this block, this epoch: nothing yet */
    if (none) c->flags &= ~(uint32_t)MANY_BLOCKS;
    if (past) c->flags &= ~(uint32_t)MANY_WARPS;
    if (!past && thread_of(c->read_who) / LANES != me->warp) c->flags |= MANY_WARPS;
    const bool one_is_enough = past || c->flags & MANY_WARPS;
    if (!one_is_enough && thread_of(c->read_who) != me->number &&
        !happened_before(b, me, c->read_run, c->read_epoch, c->read_who))
        c->read_other = c->read_who;
    else if (one_is_enough || (c->read_other && happened_before(b, me, c->read_run, c->read_epoch, c->read_other)))
        c->read_other = 0;
    c->read_run = b->run;
    c->read_epoch = b->epoch;
    c->read_who = who(me);
    c->read_site = where;
}

static bool reads_happened_before(const block *b, const kernel_thread *me, const cell *c) {
    if (!came_before(c->read_apart)) return false;
    if (c->read_run < first_run) return came_before(c->read_run);
    if (c->flags & MANY_BLOCKS) return false;
    if (c->flags & MANY_WARPS && c->read_run == b->run && c->read_epoch == b->epoch) return false;
    return happened_before(b, me, c->read_run, c->read_epoch, c->read_who) &&
           (!c->read_other || happened_before(b, me, c->read_run, c->read_epoch, c->read_other));
}

static finding judge(const block *b, const kernel_thread *me, const access &a, cell *c) {
    if (c->flags & PENDING) return COPY_UNDER_WAY;
    bool written = c->flags & WRITTEN;
    bool both_atomic = a.kind == ATOMIC_WRITE && c->flags & ATOMIC;
    if ((a.kind == READ || a.kind == ATOMIC_WRITE) && !written) return UNINITIALISED;
    if (written && !both_atomic && !happened_before(b, me, c->write_run, c->write_epoch, c->write_who))
        return RACE_WITH_WRITE;
    if (a.kind != READ && !reads_happened_before(b, me, c)) return RACE_WITH_READ;
    return FINE;
}

static void note_write(const block *b, const kernel_thread *me, const access &a, cell *c) {
    c->write_run = b->run;
    c->write_epoch = b->epoch;
    c->write_who = who(me);
    c->write_site = a.where;
    c->read_run = c->read_apart = 0;
    c->flags = WRITTEN;
    if (a.kind == ATOMIC_WRITE) c->flags |= ATOMIC;
    if (a.kind == COPY_WRITE) c->flags |= PENDING;
}

/* ---- shadows */
static cell *new_cells(size_t count) { /* calloc: pages that nobody touches cost nothing */
    cell *cells = static_cast<cell *>(calloc(count, sizeof(cell)));
    if (!cells) {
        perror("emulator: no memory for the checker");
        abort();
    }
    return cells;
}
static shadow *shadow_new(size_t bytes) {
    return new shadow{new_cells(bytes / 4 + 1), nullptr, bytes / 4 + 1};
}
void shadow_free(shadow *s) {
    if (!s) return;
    free(s->words);
    free(s->bytes);
    delete s;
}

/* The cells of a word's bytes, when its own no longer does for all four; and back, when it does again. */
static cell *split_word(shadow *s, size_t word) {
    if (!s->bytes) s->bytes = new_cells(4 * s->count);
    cell *of_bytes = &s->bytes[4 * word];
    if (s->words[word].flags & SPLIT) return of_bytes;
    for (int k = 0; k < 4; k++) of_bytes[k] = s->words[word];
    s->words[word].flags |= SPLIT;
    return of_bytes;
}
static void join_word(shadow *s, size_t word) {
    const cell *of_bytes = &s->bytes[4 * word];
    for (int k = 1; k < 4; k++)
        if (memcmp(&of_bytes[0], &of_bytes[k], sizeof(cell)) != 0) return;
    s->words[word] = of_bytes[0];
}

/* Calls step(cell, number of its first byte) for the cells of bytes at..at + bytes - 1. */
template <class Step> static void each_cell(shadow *s, size_t at, size_t bytes, Step step) {
    for (size_t i = at, end = at + bytes; i < end;) {
        size_t word = i / 4, end_here = 4 * word + 4 < end ? 4 * word + 4 : end;
        if (end_here - i == 4 && !(s->words[word].flags & SPLIT)) {
            step(&s->words[word], i - at);
        } else {
            cell *of_bytes = split_word(s, word);
            for (size_t k = i; k < end_here; k++) step(&of_bytes[k % 4], k - at);
            join_word(s, word);
        }
        i = end_here;
    }
}

/* ---- words */
static const char *name_of(access_kind kind) {
    switch (kind) {
    case READ:
        return "read";
    case WRITE:
        return "write";
    case ATOMIC_WRITE:
        return "atomic";
    case COPY_WRITE:
        break;
    }
    return "asynchronous write";
}

static std::string who_text(const block *b, uint32_t run, uint32_t w, site where) {
    bool        earlier = run < first_run;
    std::string text = earlier ? the_checker_streams->name(run) : "thread " + std::to_string(thread_of(w));
    if (!earlier && run != b->run) text += " of block " + std::to_string(block_order[run - first_run]);
    std::string place = site_text(where);
    return place.empty() ? text : text + " at " + place;
}

static const char *const kinds[] = {"", "uninitialised", "race", "race", "async-copy"}; /* by finding */

static void tell(const block *b, const access &a, size_t offset, const cell &c, finding found) {
    if (report_known(kinds[found], a.where)) return;
    const char *what = name_of(a.kind), *memory = a.shared ? "shared" : "device";
    auto        writer = [&] { return who_text(b, c.write_run, c.write_who, c.write_site); };
    switch (found) {
    case FINE:
        break;
    case UNINITIALISED:
        report(kinds[found], a.where, "%s of %zu bytes of %s memory, of which byte %zu was never written", what,
               a.bytes, memory, offset);
        break;
    case COPY_UNDER_WAY:
        report(kinds[found], a.where, "%s of %zu bytes of %s memory that %s copies to, before its wait", what, a.bytes,
               memory, writer().c_str());
        break;
    case RACE_WITH_WRITE:
        report(kinds[found], a.where, "%s of %zu bytes of %s memory, which %s has written; nothing orders the two",
               what, a.bytes, memory, writer().c_str());
        break;
    case RACE_WITH_READ:
        report(kinds[found], a.where, "%s of %zu bytes of %s memory, which %s%s has read; nothing orders the two", what,
               a.bytes, memory,
               came_before(c.read_apart) ? who_text(b, c.read_run, c.read_who, c.read_site).c_str()
                                         : the_checker_streams->name(c.read_apart).c_str(),
               c.flags & (MANY_WARPS | MANY_BLOCKS) ? ", with others," : "");
        break;
    }
}

/* All cells of an access. One finding an access. */
static void check_cells(const block *b, const kernel_thread *me, const access &a, shadow *s, size_t at) {
    bool told = false;
    each_cell(s, at, a.bytes, [&](cell *c, size_t byte) {
        if (a.shared && c->write_run != b->run) *c = {}; /* an earlier block's */
        finding found = judge(b, me, a, c);
        if (found != FINE && !told) {
            tell(b, a, byte, *c, found);
            told = true;
        }
        if (a.kind != READ || found != FINE) note_write(b, me, a, c); /* what was told once is not told again */
        if (a.kind == READ) note_read(b, me, c, a.where);
    });
}

/* ---- where an address lies */
static bool in_constants(const char *p) { /* tables and texts of the program */
    struct search {
        uintptr_t address;
        bool      found;
    } s = {reinterpret_cast<uintptr_t>(p), false};
    dl_iterate_phdr(
        [](dl_phdr_info *info, size_t, void *data) {
            search *wanted = static_cast<search *>(data);
            for (int i = 0; i < info->dlpi_phnum; i++) {
                const auto &part = info->dlpi_phdr[i];
                uintptr_t   start = info->dlpi_addr + part.p_vaddr;
                if (part.p_type == PT_LOAD && !(part.p_flags & PF_W) && wanted->address - start < part.p_memsz)
                    wanted->found = true;
            }
            return (int)wanted->found;
        },
        &s);
    return s.found;
}

static bool within(const access &a, const char *start, size_t bytes) {
    return a.address >= start && a.address + a.bytes <= start + bytes;
}
static bool in_shared(const block *b, const void *address) {
    const char *p = static_cast<const char *>(address);
    return p >= b->arena && p < b->arena + SHARED_ARENA;
}

struct target { /* what an access is to: the shadow of some memory, from a byte on; none for a constant */
    shadow *of;
    size_t  at;
};

/* False: to nothing that a kernel may touch; it has been reported. */
static bool find_in_shared(block *b, const access &a, target *t) {
    const shared_array *nearest = &b->arrays[0];
    for (const shared_array &array : b->arrays)
        if (a.address >= array.data) nearest = &array;
    if (!within(a, nearest->data, nearest->bytes)) {
        report("out-of-bounds", a.where, "%s of %zu bytes at byte %ld of %zu bytes of %s shared memory",
               name_of(a.kind), a.bytes, (long)(a.address - nearest->data), nearest->bytes,
               nearest->key ? "static" : "dynamic");
        return false;
    }
    if (!b->shadow) b->shadow = shadow_new(SHARED_ARENA);
    *t = {b->shadow, (size_t)(a.address - b->arena)};
    return true;
}
static bool find_in_device(const access &a, target *t) {
    allocation *found = memory_find(a.address);
    *t = {nullptr, 0};
    if (!found && a.kind == READ && in_constants(a.address)) return true;
    if (!found) {
        report("out-of-bounds", a.where, "%s of %zu bytes at %p, far from all memory of the device", name_of(a.kind),
               a.bytes, static_cast<const void *>(a.address));
        return false;
    }
    if (!within(a, found->data, found->bytes)) {
        report("out-of-bounds", a.where, "%s of %zu bytes at byte %ld of an allocation of %zu", name_of(a.kind),
               a.bytes, (long)(a.address - found->data), found->bytes);
        return false;
    }
    if (!found->shadow) found->shadow = shadow_new(found->bytes);
    *t = {found->shadow, (size_t)(a.address - found->data)};
    return true;
}

static bool check(access_kind kind, const void *address, size_t bytes, site where) {
    block       *b = this_block;
    const access a = {kind, static_cast<const char *>(address), bytes, where, in_shared(b, address)};
    target       t;
    if (!(a.shared ? find_in_shared(b, a, &t) : find_in_device(a, &t))) return false;
    if (t.of) check_cells(b, block_me(), a, t.of, t.at);
    return true;
}

static bool aligned(const void *address, size_t alignment, const char *what, size_t bytes, site where) {
    if ((reinterpret_cast<uintptr_t>(address) & (alignment - 1)) == 0) return true; /* a power of two */
    report("misaligned", where, "%s of %zu bytes at %p", what, bytes, address);
    return false;
}

void check_access(bool write, const void *address, size_t bytes, size_t alignment, site where) {
    if (!enabled || !machine_me) return;
    const kernel_thread *me = block_me();
    const char          *p = static_cast<const char *>(address);
    if (p >= me->flow.low && p < me->flow.high) return;     /* its own variables */
    if (p == reinterpret_cast<char *>(&machine_me)) return; /* threadIdx and the like */
    if (!aligned(address, alignment, write ? "write" : "read", bytes, where)) return;
    check(write ? WRITE : READ, p, bytes, where);
}

void machine_access(machine_access_kind kind, const void *address, size_t bytes, machine_place at) {
    if (enabled) check_access(kind == ACCESS_WRITE, address, bytes, bytes, site_of_place(at));
}

/* ---- what the machine does for threads */
static bool to_shared(const void *address, const char *what, site where) {
    if (in_shared(this_block, address)) return true;
    report("out-of-bounds", where, "%s %p, which is not in shared memory", what, address);
    return false;
}

bool check_row(const void *row, machine_place at) {
    site where = site_of_place(at);
    if (!to_shared(row, "ldmatrix from", where) || !aligned(row, 16, "ldmatrix", 16, where)) return false;
    return !enabled || check(READ, row, 16, where);
}

bool check_copy(async_copy *copy, machine_place at) {
    site where = copy->where = site_of_place(at);
    if (!to_shared(copy->to, "cp.async to", where)) return false;
    if (!aligned(copy->to, copy->bytes, "cp.async to", copy->bytes, where)) return false;
    if (!aligned(copy->from, copy->bytes, "cp.async from", copy->bytes, where)) return false;
    if (!enabled) return true;
    if (copy->from_bytes > 0 && !check(READ, copy->from, copy->from_bytes, where)) return false;
    return check(COPY_WRITE, copy->to, copy->bytes, where);
}

void check_copy_made(const async_copy &copy) {
    if (!enabled) return;
    const block *b = this_block;
    const access a = {WRITE, copy.to, copy.bytes, copy.where, true};
    each_cell(b->shadow, (size_t)(copy.to - b->arena), copy.bytes,
              [&](cell *c, size_t) { note_write(b, block_me(), a, c); });
}

void check_atomic(const void *address, size_t bytes, machine_place at) {
    if (!enabled) return;
    site where = site_of_place(at);
    if (aligned(address, bytes, "atomic", bytes, where)) check(ATOMIC_WRITE, address, bytes, where);
}

/* ---- the host's copies */
static bool apart(uint32_t run) { /* from the copy that runs */
    return copy_run && !came_before(run);
}
static void tell_host(const char *what, uint32_t run, const char *did) {
    report("race", copy_site, "%s, which %s has %s; nothing orders the two", what,
           the_checker_streams->name(run).c_str(), did);
}
void check_host_write(allocation *a, const char *device, size_t bytes) {
    if (!enabled) return;
    if (!a->shadow) a->shadow = shadow_new(a->bytes);
    uint32_t written = 0, read = 0; /* by those that nothing orders before this */
    each_cell(a->shadow, (size_t)(device - a->data), bytes, [&](cell *c, size_t) {
        if (!written && apart(c->write_run)) written = c->write_run;
        for (uint32_t reader : {c->read_run, c->read_apart})
            if (!read && apart(reader)) read = reader;
        *c = {};
        c->flags = WRITTEN;
        c->write_run = copy_run;
        c->write_site = copy_site;
    });
    if (written) tell_host("write of device memory", written, "written");
    if (read) tell_host("write of device memory", read, "read");
}
void check_host_read(const allocation *a, const char *device, size_t bytes) {
    if (!enabled) return;
    bool     all = a->shadow != nullptr;
    size_t   start = (size_t)(device - a->data), first = 0;
    uint32_t written = 0;
    if (all)
        each_cell(a->shadow, start, bytes, [&](cell *c, size_t byte) {
            if (all && !(c->flags & WRITTEN)) first = byte;
            all = all && c->flags & WRITTEN;
            if (!copy_run) return;
            if (!written && apart(c->write_run)) written = c->write_run;
            part_reads(c);
            c->read_run = copy_run;
            c->read_site = copy_site;
            c->read_other = 0;
            c->flags &= ~(uint32_t)(MANY_WARPS | MANY_BLOCKS);
        });
    if (written) tell_host("read of device memory", written, "written");
    if (!all)
        report("uninitialised", copy_site, "copy to the host of byte %zu of an allocation of %zu, never written",
               start + first, a->bytes);
}
