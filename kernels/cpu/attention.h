/* attention.h -- what the passes of attention share: one (batch row, head) as a list of query tiles and key tiles.
 *
 * Keys stand in one row: memory, then tokens, then padding up to whole tiles (song -1: never seen). Both passes first
 * pack what they need (turned keys, values, transposed where a product wants it) into the workspace of this (b, h),
 * then go tile by tile: TILE queries x TILE keys at a time. A pair (b, h) is done by one thread, tiles in order.
 */
#ifndef CT_CPU_ATTENTION_H
#define CT_CPU_ATTENTION_H

#include "kernels/cpu/cpu.h"

/* names of this instruction set */
#define attention_slice CT_NAME(attention_slice)
#define attention_pack CT_NAME(attention_pack)
#define attention_transpose CT_NAME(attention_transpose)
#define attention_turn CT_NAME(attention_turn)
#define attention_queries CT_NAME(attention_queries)
#define attention_kind CT_NAME(attention_kind)
#define attention_bias CT_NAME(attention_bias)
#define attention_mask CT_NAME(attention_mask)
#define attention_dropout CT_NAME(attention_dropout)

enum { TILE = CT_ATTENTION_TILE };

typedef struct slice {
    const ct_attention *p;
    int64_t             b, h;
    int64_t             keys, padded;   /* memory + tokens; the same in whole tiles */
    int64_t             width;          /* head, padded to whole vectors */
    int32_t            *song, *segment; /* of each key [padded] */
    float              *work;           /* the rest of this slice's workspace, 64-byte aligned */
} slice;

/* one tile of queries, packed on the stack of the pass */
typedef struct query_tile {
    int64_t first, count;
    int32_t song[TILE], segment[TILE];
    int32_t only_song; /* the song of all TILE queries, or -1 */
} query_tile;

typedef enum tile_kind { TILE_HIDDEN, TILE_PARTLY, TILE_WHOLE } tile_kind;

slice attention_slice(const ct_attention *p, float *work, int64_t b, int64_t h);

/* rows of `count` keys or values from `first` on, turned (part 0) or plain (part 1), zero-padded to width */
void attention_pack(const slice *s, int part, float *rows);
/* rows[padded][width] -> one [width][TILE] block for each tile */
void attention_transpose(const slice *s, const float *rows, float *blocks);
/* (x, y) -> (x cos - y sin, x sin + y cos), times scale; direction -1 turns back */
void attention_turn(const float *in, const float *cosine, const float *sine, int64_t half, float direction, float scale,
                    float *out);

/* queries first.. : songs and segments; q turned and scaled, [TILE][width], zero-padded */
void attention_queries(const slice *s, int64_t first, query_tile *q, float *turned);

tile_kind attention_kind(const slice *s, const query_tile *q, int64_t key);
/* logits[TILE][TILE] = G; later -inf where a query may not see a key (only needed where kind is TILE_PARTLY) */
void      attention_bias(const slice *s, const query_tile *q, int64_t key, float *logits);
void      attention_mask(const slice *s, const query_tile *q, int64_t key, float *logits);
/* dropout of row i of the tile: factor[TILE] */
void      attention_dropout(const slice *s, int64_t query, int64_t key, float *factor);

#endif
