/* shared.cpp -- shared memory of a block (block.h): arrays are cut from an arena, guards before and behind each. An
 * array has the alignment that was asked for and no more, so that nothing is right by luck. All of it is NaN at first.
 */
#include "block.h"

#include "checker.h"

#include <string.h>

enum { POISON = 0xff };

static char *cut(block *b, const void *key, size_t bytes, size_t alignment) {
    if (b->arrays.empty()) {
        memset(b->arena, POISON, SHARED_GUARD);
        b->arena_used = SHARED_GUARD;
    }
    size_t at = (b->arena_used + alignment - 1) / alignment * alignment;
    if (at % (2 * alignment) == 0) at += alignment;
    size_t total = bytes;
    for (const shared_array &array : b->arrays) total += array.bytes;
    if (total > SHARED_MOST || at + bytes + SHARED_GUARD > SHARED_ARENA) {
        report("launch", NO_SITE, "%zu bytes of shared memory; a block has at most %d", total, SHARED_MOST);
        return nullptr;
    }
    b->arrays.push_back({key, b->arena + at, bytes});
    memset(b->arena + b->arena_used, POISON, at + bytes + SHARED_GUARD - b->arena_used);
    b->arena_used = at + bytes + SHARED_GUARD;
    return b->arena + at;
}

void shared_begin(block *b) {
    b->arrays.clear();
    cut(b, nullptr, b->launch->shared, 16);
}

void *machine_dynamic_shared(void) {
    return this_block->arrays[0].data;
}

void *machine_shared(const void *key, size_t bytes, size_t alignment) {
    for (const shared_array &array : this_block->arrays)
        if (array.key == key) return array.data;
    char *data = cut(this_block, key, bytes, alignment);
    if (!data) block_give_up();
    return data;
}

void shared_end(block *b) {
    char *guard = b->arena;
    for (size_t i = 0; i <= b->arrays.size(); i++) {
        char *end = i < b->arrays.size() ? b->arrays[i].data : b->arena + b->arena_used;
        for (char *p = guard; p < end; p++)
            if ((unsigned char)*p != POISON) {
                report("out-of-bounds", NO_SITE,
                       "kernel %s has written to shared memory around its arrays, %ld bytes behind one of %zu",
                       b->launch->kernel, (long)(p - guard), i > 0 ? b->arrays[i - 1].bytes : 0);
                break;
            }
        if (i < b->arrays.size()) guard = b->arrays[i].data + b->arrays[i].bytes;
    }
}
