/* sha256.c -- see sha256.h; names of functions and variables are the standard's. */
#include "core/sha256.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 64, LENGTH_AT = 56 }; /* the last block ends in the number of bits */

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotated(uint32_t x, int by) {
    return x >> by | x << (32 - by);
}

static void add_block(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6],
                    h = state[7];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
               block[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        const uint32_t s0 = rotated(w[t - 15], 7) ^ rotated(w[t - 15], 18) ^ w[t - 15] >> 3;
        const uint32_t s1 = rotated(w[t - 2], 17) ^ rotated(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
#pragma GCC unroll 8 /* the letters come back to their places: no moves */
    for (int t = 0; t < 64; t++) {
        const uint32_t S1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25), ch = (e & f) ^ (~e & g);
        const uint32_t S0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22), maj = (a & b) ^ (a & c) ^ (b & c);
        const uint32_t T1 = h + S1 + ch + K[t] + w[t];
        h = g, g = f, f = e, e = d + T1, d = c, c = b, b = a, a = T1 + S0 + maj;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void ct_sha256_begin(ct_sha256_sum *sum) {
    *sum = (ct_sha256_sum){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void ct_sha256_add(ct_sha256_sum *sum, const void *bytes, size_t count) {
    const uint8_t *from = bytes;
    while (count) {
        const size_t waiting = (size_t)(sum->bytes % BLOCK);
        size_t       taken = BLOCK;
        if (waiting || count < BLOCK) {
            taken = count < BLOCK - waiting ? count : BLOCK - waiting;
            memcpy(sum->block + waiting, from, taken);
            if (waiting + taken == BLOCK) add_block(sum->state, sum->block);
        } else
            add_block(sum->state, from);
        sum->bytes += taken;
        from += taken;
        count -= taken;
    }
}

void ct_sha256_end(ct_sha256_sum *sum, char hex[65]) {
    static const uint8_t padding[BLOCK] = {0x80};
    const uint64_t       bits = sum->bytes * 8;
    const size_t         waiting = (size_t)(sum->bytes % BLOCK);
    uint8_t              length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    ct_sha256_add(sum, padding, (waiting < LENGTH_AT ? LENGTH_AT : LENGTH_AT + BLOCK) - waiting);
    ct_sha256_add(sum, length, sizeof length);
    for (int i = 0; i < 8; i++) snprintf(hex + (size_t)(8 * i), 9, "%08x", sum->state[i]);
}

void ct_sha256(const void *bytes, size_t count, char hex[65]) {
    ct_sha256_sum sum;
    ct_sha256_begin(&sum);
    if (count) ct_sha256_add(&sum, bytes, count);
    ct_sha256_end(&sum, hex);
}
