/* sample.cu -- cuda: draw a token from each row of logits: grammar mask, temperature, top-k, top-p
 * (reference/sample.c).
 *
 * token[b] ~ softmax(logits[b] / temperature) over what is allowed, cut; [batch][vocabulary]. A block per row:
 *   a token's place in the order, by logit, then number, is the number of allowed tokens before it, eight compared at
 *   a time: work grows with the square of the vocabulary, a thousand or so
 *   weights in order, to the workspace; running sums of them, each thread a stretch of its own
 *   the first place where top-p is reached, and the first where the random number is: smallest over the block
 * in double, as the reference: same draws but where a sum's last bit decides. Philox(seed[b]; 0, position[b]).
 * Bytes: 5 a token read (bf16: 3), and 12 written and read again from the caches. Flops: some 20 a token, in double.
 * Sums have one order, which depends on the row alone: batch-invariant, the same bytes always. Up to 25,000 tokens
 * (shared memory: 4 bytes each).
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

enum { THREADS = 256 };

/* whole numbers in the order of logits, 0 for what is not allowed; -0 is 0 */
static __device__ unsigned order_key(float logit, bool allowed) {
    const unsigned bits = __float_as_uint(logit + 0.0f);
    return allowed ? max(bits & 0x80000000u ? ~bits : bits | 0x80000000u, 1u) : 0;
}

/* The first of the places that hold for some thread; none: `otherwise`. Threads give their own first. */
static __device__ int first_of_block(int place, int otherwise) {
    return min(otherwise, -largest_of_block(-place));
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    sample_kernel(int vocabulary, int top_k, double temperature, double top_p, const T *all_logits,
                  const uint8_t *all_allowed, const uint64_t *seed, const int64_t *position, int32_t *token,
                  double *logprob, double *all_weight, int32_t *all_order) {
    DYNAMIC_SHARED(memory);
    SHARED_ARRAY(double, at_place, [1]);
    const int64_t  b = blockIdx.x, row = b * vocabulary;
    const T       *logits = all_logits + row;
    const uint8_t *allowed = all_allowed + row;
    double        *weight = all_weight + row;
    int32_t       *order = all_order + row;
    unsigned      *key = reinterpret_cast<unsigned *>(memory);
    const int      me = (int)threadIdx.x, padded = (vocabulary + 7) / 8 * 8;

    int   found = 0;
    float most = -INFINITY, most_allowed = -INFINITY;
    for (int v = me; v < padded; v += THREADS) {
        key[v] = v < vocabulary ? order_key(load(logits + v), allowed[v] != 0) : 0;
        if (v >= vocabulary) continue;
        found += key[v] != 0;
        most = fmaxf(most, load(logits + v));
        if (key[v]) most_allowed = fmaxf(most_allowed, load(logits + v));
    }
    found = sum_of_block(found);
    if (found == 0 || position[b] < 0) { /* the whole block */
        if (me > 0) return;
        token[b] = -1;
        logprob[b] = 0;
        return;
    }
    most = largest_of_block(most);
    most_allowed = largest_of_block(most_allowed);
    if (temperature <= 0) found = 1;
    if (top_k > 0) found = min(found, top_k);

    for (int v = me; v < vocabulary; v += THREADS) {
        const unsigned own = key[v];
        int            place = 0;
        if (own == 0) continue;
        for (int i = 0; i < padded && place < found; i += 8) {
            const uint4 low = *reinterpret_cast<const uint4 *>(key + i),
                        high = *reinterpret_cast<const uint4 *>(key + i + 4);
            const unsigned other[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (int k = 0; k < 8; k++) place += other[k] > own || (other[k] == own && i + k < v);
        }
        if (place >= found) continue;
        order[place] = v;
        weight[place] = found == 1 ? 1 : exp(((double)load(logits + v) - (double)most_allowed) / temperature);
    }
    __syncthreads();

    const int each = (found + THREADS - 1) / THREADS, first = min(me * each, found), end = min(first + each, found);
    double    own = 0, total, sum;
    for (int i = first; i < end; i++) own += weight[i];
    const double before = sum_before_in_block(own, &total);

    int reached = found; /* how many stay: up to where top_p is reached */
    sum = before;
    for (int i = first; i < end && reached == found; i++) {
        sum += weight[i];
        if (top_p < 1 && !(sum < top_p * total)) reached = i + 1;
    }
    const int kept = first_of_block(reached, found);
    sum = before;
    for (int i = first; i < min(end, kept); i++) {
        sum += weight[i];
        if (i == kept - 1) at_place[0] = sum;
    }
    __syncthreads();

    const ct_philox random = ct_philox_at(seed[b], 0, (uint64_t)position[b]);
    const double    at = ct_philox_double(random.word[0], random.word[1]) * at_place[0];
    int             passed = kept, positive = 0; /* the first place whose sum passes `at`; the last with a weight */
    sum = before;
    for (int i = first; i < min(end, kept) && passed == kept; i++) {
        sum += weight[i];
        if (weight[i] > 0) positive = i;
        if (weight[i] > 0 && at < sum) passed = i;
    }
    positive = largest_of_block(positive);
    passed = first_of_block(passed, kept);
    const int chosen = order[passed < kept ? passed : positive];

    double mass = 0;
    for (int v = me; v < vocabulary; v += THREADS) mass += exp((double)load(logits + v) - (double)most);
    mass = sum_of_block(mass);
    if (me > 0) return;
    token[b] = chosen;
    logprob[b] = (double)load(logits + chosen) - (double)most - log(mass);
}

CT_CUDA_REAL(sample) {
    if (p->batch == 0) return CT_OK;
    return LAUNCH(sample_kernel<T>, (unsigned)p->batch, THREADS,
                  (size_t)((p->vocabulary + 7) / 8 * 8) * sizeof(unsigned), stream, (int)p->vocabulary,
                  (int)min(p->top_k, p->vocabulary), p->temperature, p->top_p, (const T *)p->logits, p->allowed,
                  p->seed, p->position, p->token, p->logprob, p->weight, p->order);
}
