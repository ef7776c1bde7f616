/* harmony.h -- reference: how a pair of harmonic segments picks its entries in the tables of H-RPE. */
#ifndef CT_REFERENCE_HARMONY_H
#define CT_REFERENCE_HARMONY_H

#include <stdbool.h>
#include <stdint.h>

/* a segment: root (>= 12: no chord), quality, key (tonic + 12 minor; >= 24: none) */
static inline bool has_chord(const int32_t *segment) {
    return segment[0] < 12;
}
static inline int64_t root_step(const int32_t *a, const int32_t *k) {
    return has_chord(a) && has_chord(k) ? (a[0] - k[0] + 12) % 12 : 0;
}
static inline int64_t function_of(const int32_t *segment) {
    if (!has_chord(segment) || segment[2] >= 24) return 24;
    int32_t tonic = segment[2] % 12, minor = segment[2] / 12;
    return 2 * ((segment[0] - tonic + 12) % 12) + minor;
}

/* index into one head's [12][qualities][qualities] and [25][25] */
static inline int64_t pair_index(const int32_t *a, const int32_t *k, int64_t qualities) {
    return (root_step(a, k) * qualities + a[1]) * qualities + k[1];
}
static inline int64_t function_index(const int32_t *a, const int32_t *k) {
    return function_of(a) * 25 + function_of(k);
}

#endif
