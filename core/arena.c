/* arena.c -- a list of blocks, bumped from the front one; see arena.h. */
#include "core/arena.h"

#include "core/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 4 << 20 };

struct ct_arena_block {
    ct_arena_block *next;
    size_t          size; /* payload bytes */
    size_t          used;
    char           *data; /* the first aligned place behind this; of a paper arena: elsewhere */
};

/* calloc, for large blocks come zeroed from the system, and pages of them that nobody touches cost nothing. */
static ct_arena_block *block_new(size_t payload, ct_arena_block *next) {
    if (payload > SIZE_MAX - sizeof(ct_arena_block) - ALIGNMENT) return NULL;
    ct_arena_block *block = calloc(1, sizeof(ct_arena_block) + ALIGNMENT + payload);
    if (!block) return NULL;
    uintptr_t behind = (uintptr_t)(block + 1);
    *block = (ct_arena_block){next, payload, 0, (char *)(block + 1) + (ALIGNMENT - behind % ALIGNMENT) % ALIGNMENT};
    return block;
}

/* Addresses of their own without memory: no program limit and no accounting of the system counts them. */
static ct_arena_block *block_on_paper(size_t payload, ct_arena_block *next) {
    ct_arena_block *block = calloc(1, sizeof *block);
    void           *data = mmap(NULL, payload, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!block || data == MAP_FAILED) {
        if (data != MAP_FAILED) munmap(data, payload);
        free(block);
        return NULL;
    }
    *block = (ct_arena_block){next, payload, 0, data};
    return block;
}

void *ct_arena_alloc(ct_arena *arena, size_t count, size_t size) {
    if (size && count > (SIZE_MAX - ALIGNMENT) / size) {
        ct_fail(CT_ENOMEM, "out of memory: %zu elements of %zu bytes", count, size);
        return NULL;
    }
    size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (arena->cap && (bytes > arena->cap || arena->used > arena->cap - bytes)) {
        ct_fail(CT_ENOMEM, "needs more memory than allowed: %zu MiB", arena->cap >> 20);
        return NULL;
    }
    if (arena->base) {
        arena->used += bytes;
        return arena->base + (arena->used - bytes);
    }
    ct_arena_block *block = arena->head;
    if (!block || block->size - block->used < bytes) {
        size_t payload = block ? block->size * 2 : FIRST_BLOCK;
        if (payload > LARGEST_BLOCK) payload = LARGEST_BLOCK;
        if (payload < bytes) payload = bytes;
        block = ct_fault(CT_FAULT_ALLOC) ? NULL : (arena->paper ? block_on_paper : block_new)(payload, arena->head);
        if (!block) {
            ct_fail(CT_ENOMEM, "out of memory: %zu bytes", bytes);
            return NULL;
        }
        arena->head = block;
    }
    char *memory = block->data + block->used;
    block->used += bytes;
    arena->used += bytes;
    return memory;
}

char *ct_arena_copy(ct_arena *arena, const char *text, size_t bytes) {
    char *copy = ct_arena_alloc(arena, bytes + 1, 1);
    if (copy && bytes) memcpy(copy, text, bytes);
    return copy;
}

char *ct_arena_printf(ct_arena *arena, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = n < 0 ? NULL : ct_arena_alloc(arena, (size_t)n + 1, 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

void *ct_arena_grow(ct_arena *arena, void *old, size_t count, size_t *capacity, size_t size) {
    size_t larger = *capacity ? *capacity * 2 : 16;
    void  *list = ct_arena_alloc(arena, larger, size);
    if (!list) return NULL;
    if (count) memcpy(list, old, count * size);
    *capacity = larger;
    return list;
}

size_t ct_slices(char *base, const ct_slice *slices, size_t count) {
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        char *here = base + used;
        memcpy(slices[i].field, &here, sizeof here);
        used += (slices[i].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return used;
}

void ct_arena_free(ct_arena *arena) {
    while (arena->head) {
        ct_arena_block *next = arena->head->next;
        if (arena->paper) munmap(arena->head->data, arena->head->size);
        free(arena->head);
        arena->head = next;
    }
    arena->used = 0;
}
