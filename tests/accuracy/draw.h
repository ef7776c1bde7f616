/* draw.h -- random numbers for what is drawn in a measurement: splitmix64 (Steele, Lea and Flood 2014), the same on
 * every machine. Owner: the state is the caller's. Fails: never. */
#ifndef CT_ACCURACY_DRAW_H
#define CT_ACCURACY_DRAW_H

#include <stdint.h>

static inline uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif
