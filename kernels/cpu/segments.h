/* segments.h -- where pairs of harmonic segments stand in H-RPE's tables, for one query and a run of keys. */
#ifndef CT_CPU_SEGMENTS_H
#define CT_CPU_SEGMENTS_H

#include "kernels/cpu/cpu.h"

enum { SEGMENT_CHUNK = 256 };

/* 2 degree + minor, 24 where chord or key is missing */
static inline int32_t segment_function(const int32_t *segment) {
    int32_t root = segment[0], key = segment[2];
    if (root >= 12 || key >= 24) return 24;
    int32_t degree = root - key % 12;
    return 2 * (degree < 0 ? degree + 12 : degree) + key / 12;
}

/* index[k] into one head's [12][qualities][qualities], function[k] into its [25][25] */
static inline void segment_pairs(const int32_t *query, const int32_t *keys, int64_t count, int64_t qualities,
                                 int32_t *index, int32_t *function) {
    int32_t width = (int32_t)qualities, of_query = segment_function(query) * 25;
    for (int64_t k = 0; k < count; k++) {
        const int32_t *key = keys + 3 * k;
        int32_t        step = query[0] - key[0];
        if (step < 0) step += 12;
        if (query[0] >= 12 || key[0] >= 12) step = 0;
        index[k] = (step * width + query[1]) * width + key[1];
        function[k] = of_query + segment_function(key);
    }
}

#endif
