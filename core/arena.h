/* arena.h -- host memory that dies together.
 *
 * Owner:   the arena owns every block; callers never free single objects.
 * Threads: one arena per thread; no locking.
 * Fails:   CT_ENOMEM (message set, NULL returned); the arena stays usable.
 *          A cap, where given, bounds what hostile input can make us reserve.
 *
 *   ct_arena arena = {0};                        // zero is a valid empty arena
 *   ct_note *notes = CT_NEW(&arena, ct_note, n); // zeroed, aligned to 64
 *   if (!notes) return CT_ENOMEM;
 *   ct_arena_free(&arena);                       // notes is gone too
 *
 * A paper arena hands out addresses behind which there is no memory: plans of any
 * size can be drawn up and measured on a small machine. Touching them faults.
 * One with a base hands out places in memory of its caller's (of a GPU, say), up to its cap; they are not zeroed.
 */
#ifndef CT_CORE_ARENA_H
#define CT_CORE_ARENA_H

#include "core/status.h"

typedef struct ct_arena_block ct_arena_block;

typedef struct ct_arena {
    ct_arena_block *head; /* newest block first */
    size_t          used; /* bytes handed out, alignment included */
    size_t          cap;  /* most bytes handed out; 0: no cap */
    bool            paper;
    char           *base; /* NULL: memory of its own */
} ct_arena;

/* Reserve count * size zeroed bytes, aligned to 64; a product that overflows is CT_ENOMEM too. count 0 gives a valid
 * pointer to nothing. */
void *ct_arena_alloc(ct_arena *arena, size_t count, size_t size);
#define CT_NEW(arena, type, count) ((type *)ct_arena_alloc((arena), (count), sizeof(type)))

/* Copies of text. */
char *ct_arena_copy(ct_arena *arena, const char *text, size_t bytes);
char *ct_arena_printf(ct_arena *arena, const char *format, ...) CT_PRINTF(2, 3);

/* Make room for one more element of a growing array inside an arena (doubling; the old copy stays until the arena
 * dies). Returns NULL on failure. Usage:
 *   if (!CT_PUSH(&arena, list, n, capacity)) return CT_ENOMEM;  list[n++] = x; */
void *ct_arena_grow(ct_arena *arena, void *old, size_t count, size_t *capacity, size_t size);
#define CT_PUSH(arena, list, count, capacity)                                                                          \
    ((size_t)(count) < (capacity) ||                                                                                   \
     ((list) = ct_arena_grow((arena), (list), (size_t)(count), &(capacity), sizeof *(list))) != NULL)

/* Arrays one after the other in a block, each aligned to 64: points every field at its place from `base` on and returns
 * the bytes they take together. */
typedef struct ct_slice {
    void  *field; /* the pointer to set */
    size_t bytes;
} ct_slice;
size_t ct_slices(char *base, const ct_slice *slices, size_t count);

/* Give everything back; the arena is empty and usable again. */
void ct_arena_free(ct_arena *arena);

#endif
