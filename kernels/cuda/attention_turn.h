/* attention_turn.h -- cuda: queries and keys turned by their rotary rows, once for all tiles that read them, in the
 * workspace: [batch][heads][tokens][HEAD] and [batch][heads][memory + tokens][HEAD], a head's halves at 0 and HEAD / 2,
 * zeros after each. Rows begin at multiples of 16 bytes wherever the op's arrays do.
 *
 *   (x, y) -> (x cos - y sin, x sin + y cos) for the pair (i, i + head / 2), rounded to T
 *
 * A thread has a piece of both halves of a row. Bytes: queries and keys are read once and written once; of 1,024 tokens
 * the tiles read the turned keys eight times over. Owner: the workspace is the op's. Fails: with the launch.
 */
#ifndef CT_CUDA_ATTENTION_TURN_H
#define CT_CUDA_ATTENTION_TURN_H

#include "kernels/cuda/attention.h"
#include "kernels/cuda/four.h"

/* of a row's cosines or sines */
template <int SIZE>
__device__ __forceinline__ void read_rotary(const float *from, int left, bool whole, float x[SIZE]) {
    if (whole)
#pragma unroll
        for (int i = 0; i < SIZE; i += 4) read_piece(from + i, x + i);
    else
#pragma unroll
        for (int i = 0; i < SIZE; i++) x[i] = i < left ? from[i] : 0;
}

template <class T, int HEAD> struct turned_pieces {
    static constexpr int SIZE = piece<T>::SIZE, OF_ROW = HEAD / 2 / SIZE;
};

/* `pieces`: of [batch][memory + tokens][query, key][heads][OF_ROW] */
template <class T, int HEAD>
static __global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_turn_kernel(const attention_sizes<T> p, int64_t pieces, T *query, T *key) {
    constexpr int SIZE = turned_pieces<T, HEAD>::SIZE, OF_ROW = turned_pieces<T, HEAD>::OF_ROW;
    const int64_t i = (int64_t)blockIdx.x * ATTENTION_THREADS + threadIdx.x;
    const int     of_rows = 2 * p.heads * OF_ROW, rows = p.memory + p.tokens;
    if (i >= pieces) return;
    const int row = (int)(i / of_rows), in_row = (int)(i % of_rows);
    const int part = in_row / (p.heads * OF_ROW), h = in_row / OF_ROW % p.heads, column = in_row % OF_ROW * SIZE;
    const int b = row / rows, j = row % rows, left = p.half - column;
    if (part == PART_QUERY && j < p.memory) return;
    const slice   s = {b, h, b * p.memory, b * p.tokens - p.memory};
    const bool    in_memory = j < p.memory;
    const int64_t angle = (int64_t)((in_memory ? s.memory_row : s.token_row) + j) * p.half + column;
    float         x[SIZE] = {}, y[SIZE] = {};
    if (left > 0) {
        const T *from = part_of_row(p, s, j, part) + column;
        float    cosine[SIZE], sine[SIZE];
        read_rotary<SIZE>((in_memory ? p.cosine_memory : p.cosine) + angle, left, p.by_pieces, cosine);
        read_rotary<SIZE>((in_memory ? p.sine_memory : p.sine) + angle, left, p.by_pieces, sine);
        if (p.by_pieces) {
            read_piece(from, x);
            read_piece(from + p.half, y);
        } else {
#pragma unroll
            for (int k = 0; k < SIZE; k++)
                if (k < left) {
                    x[k] = load(from + k);
                    y[k] = load(from + p.half + k);
                }
        }
#pragma unroll
        for (int k = 0; k < SIZE; k++) {
            const float before = x[k];
            x[k] = fmaf(before, cosine[k], -y[k] * sine[k]);
            y[k] = fmaf(before, sine[k], y[k] * cosine[k]);
        }
    }
    const int64_t number = (int64_t)b * p.heads + h;
    T            *to =
        (part == PART_QUERY ? query + (number * p.tokens + j - p.memory) * HEAD : key + (number * rows + j) * HEAD) +
        column;
    write_piece(to, x);
    write_piece(to + HEAD / 2, y);
}

/* Turns what `sizes` names into the workspace from `work` on, and names that in `sizes` too. */
template <int HEAD, class T>
ct_status turn_rows(attention_sizes<T> *sizes, int64_t batch, float *work, struct CUstream_st *stream) {
    const int64_t slices = batch * sizes->heads, rows = sizes->memory + sizes->tokens;
    const int64_t pieces = batch * rows * 2 * sizes->heads * turned_pieces<T, HEAD>::OF_ROW;
    T            *query = reinterpret_cast<T *>((reinterpret_cast<uintptr_t>(work) + 15) / 16 * 16);
    T            *key = query + slices * sizes->tokens * HEAD;
    sizes->query = query;
    sizes->key = key;
    return launch("attention_turn_kernel", attention_turn_kernel<T, HEAD>, blocks_for(pieces, ATTENTION_THREADS),
                  ATTENTION_THREADS, 0, stream, *sizes, pieces, query, key);
}

#endif
