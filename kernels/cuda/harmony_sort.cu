/* harmony_sort.cu -- cuda: the harmonic segments of each batch row, sorted (harmony.h).
 *
 * By counting: a segment's place is the number of those before it. A block reads all of a batch row's segments into
 * shared memory and places THREADS of them; work grows with the square of their number, which is a few hundred. Bytes:
 * 12 a segment read, 4 written for each order. Whole numbers, each written by one thread: the same bytes always.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/harmony.h"

enum { THREADS = 128 };

static __global__ void __launch_bounds__(THREADS) sort_kernel(segment_sizes s, int32_t *work) {
    DYNAMIC_SHARED(memory);
    const int64_t       b = blockIdx.y, me = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    const int           queries = s.query_count[b], keys = s.key_count[b];
    const segment_order order = order_of(s, b, work);
    int                *query = reinterpret_cast<int *>(memory), *key = query + s.queries;
    for (int i = (int)threadIdx.x; i < queries; i += THREADS)
        query[i] = pack_segment(segment_at(s.query + (b * s.queries + i) * 3));
    for (int i = (int)threadIdx.x; i < keys; i += THREADS)
        key[i] = pack_segment(segment_at(s.key + (b * s.keys + i) * 3));
    __syncthreads();
    if (me < queries) {
        int before = 0, equal = 0;
        for (int i = 0; i < queries; i++) {
            const int32_t other = query[i];
            before += other < query[me] || (other == query[me] && i < me);
            equal += other == query[me];
        }
        order.query[before] = (int32_t)me;
        order.run[before] = equal;
    }
    if (me < keys) {
        const int place = key[me] / FUNCTIONS, function = key[me] % FUNCTIONS;
        int       by_place = 0, by_function = 0;
        for (int i = 0; i < keys; i++) {
            const int of_place = key[i] / FUNCTIONS, of_function = key[i] % FUNCTIONS;
            by_place += of_place < place || (of_place == place && i < me);
            by_function += of_function < function || (of_function == function && i < me);
        }
        order.by_place[by_place] = (int32_t)me;
        order.by_function[by_function] = (int32_t)me;
    }
    const bool is_place = me <= (ROOTS + 1) * s.qualities, is_function = me <= FUNCTIONS;
    int        places = 0, functions = 0;
    if (!is_place && !is_function) return;
    for (int i = 0; i < keys; i++) {
        places += key[i] / FUNCTIONS < me;
        functions += key[i] % FUNCTIONS < me;
    }
    if (is_place) order.place_begin[me] = places;
    if (is_function) order.function_begin[me] = functions;
}

ct_status sort_segments(segment_sizes s, int64_t batch, int32_t *work, CUstream_st *stream) {
    const int64_t most = max(max(s.queries, s.keys), max((ROOTS + 1) * s.qualities, (int64_t)FUNCTIONS) + 1);
    return LAUNCH(sort_kernel, dim3(blocks_for(most, THREADS), (unsigned)batch), THREADS,
                  (size_t)(s.queries + s.keys) * sizeof(int), stream, s, work);
}
