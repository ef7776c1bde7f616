/* operands.c -- see instructions.h. What a thread is given depends on the seed, the instruction, the thread and the
 * word alone; a quarter of the floats are odd ones, a quarter any 32 bits. */
#include "core/rng.h"
#include "instructions.h"
#include "kernels/bf16.h"

#include <math.h>

#define INSTRUCTION_ABOUT(name, in, out) {#name, in, out},
const instruction_about instruction_table[INSTRUCTION_COUNT] = {INSTRUCTIONS(INSTRUCTION_ABOUT)};

typedef struct draw {
    uint64_t key, high;
} draw;
static uint32_t word_of(const draw *d, uint64_t thread, uint64_t word, int number) {
    return ct_philox_at(d->key, d->high, thread << 8 | word).word[number];
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* zeros, ones, halves, infinities, NaN quiet and not, the largest, the least normal, subnormal ones; halfway between
 * two bf16, by the even and by the odd one, and beside that; where 2^x overflows and becomes subnormal and zero */
static const uint32_t odd_floats[] = {
    0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x3f000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
    0x7f800001, 0xff812345, 0x7fffffff, 0x7f7fffff, 0xff7fffff, 0x00800000, 0x80800000, 0x007fffff, 0x807fffff,
    0x00000001, 0x80000001, 0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x7f7f8000, 0x7f7f7fff, 0x00008000,
    0x00018000, 0x43000000, 0x42ffffff, 0xc2fc0000, 0xc2fc0001, 0xc2fbffff, 0xc3150000, 0xc3160000, 0x33000000,
};
static uint32_t any_float(const draw *d, uint64_t thread, uint64_t word) {
    const uint32_t kind = word_of(d, thread, word, 0) % 4, bits = word_of(d, thread, word, 1);
    if (kind == 0) return odd_floats[ct_philox_below(bits, sizeof odd_floats / sizeof *odd_floats)];
    if (kind == 1) return bits;
    return bits_of((kind == 2 ? 8 : 300) * (ct_philox_float(bits) - 0.5f));
}

/* ---- of mma, a warp has numbers of one kind */
enum { FRACTIONS, WHOLE, WIDE, LARGE_SUM, ODD, TINY, KINDS };

static uint16_t factor(const draw *d, int kind, uint64_t thread, uint64_t word, int half) {
    static const uint16_t odd[] = {0x0000, 0x8000, 0x7f80, 0xff80, 0x7fc0, 0x7f7f,
                                   0xff7f, 0x0080, 0x0001, 0x807f, 0x3f80, 0x7f81};
    const uint32_t        bits = word_of(d, thread, word, half), more = word_of(d, thread, word, 2 + half);
    const float           fraction = 2 * ct_philox_float(bits) - 1;
    switch (kind) {
    case WHOLE:
        return ct_bf16_round((float)(bits % 17) - 8);
    case WIDE:
        return ct_bf16_round(ldexpf(fraction, (int)(more % 41) - 20));
    case ODD:
        return more % 32 == 0 ? odd[ct_philox_below(bits, sizeof odd / sizeof *odd)] : ct_bf16_round(fraction);
    case TINY:
        return ct_bf16_round(ldexpf(fraction, -(int)(60 + more % 12)));
    default:
        return ct_bf16_round(fraction);
    }
}
static uint32_t of_mma(const draw *d, uint64_t thread, uint64_t word) {
    const int   kind = (int)(word_of(d, thread / INSTRUCTION_LANES, 255, 0) % KINDS);
    const float fraction = 2 * ct_philox_float(word_of(d, thread, word, 0)) - 1;
    if (word < 6) return factor(d, kind, thread, word, 0) | (uint32_t)factor(d, kind, thread, word, 1) << 16;
    switch (kind) {
    case WHOLE:
        return bits_of((float)(word_of(d, thread, word, 0) % 4001) - 2000);
    case WIDE:
        return bits_of(ldexpf(fraction, (int)(word_of(d, thread, word, 1) % 61) - 30));
    case LARGE_SUM:
        return bits_of(fraction * 4096);
    case ODD:
        return word_of(d, thread, word, 1) % 16 == 0 ? any_float(d, thread, word) : bits_of(fraction);
    case TINY:
        return bits_of(ldexpf(fraction, -120 - (int)(word_of(d, thread, word, 1) % 29)));
    default:
        return bits_of(fraction);
    }
}

static uint32_t operand(instruction which, const draw *d, uint64_t thread, uint64_t word) {
    const uint32_t bits = word_of(d, thread, word, 0), of_warp = word_of(d, thread / INSTRUCTION_LANES, 255, 0);
    switch (which) {
    case INSTRUCTION_mma_bf16:
        return of_mma(d, thread, word);
    case INSTRUCTION_ldmatrix_x4:
    case INSTRUCTION_ldmatrix_x4_trans:
    case INSTRUCTION_ldmatrix_x2:
    case INSTRUCTION_ldmatrix_x2_trans: /* lanes in order, swizzled, any */
        if (word < 4) return bits;
        return of_warp % 3 == 0   ? (uint32_t)thread % INSTRUCTION_LANES
               : of_warp % 3 == 1 ? ((uint32_t)thread ^ of_warp >> 8) % INSTRUCTION_LANES
                                  : bits % INSTRUCTION_LANES;
    case INSTRUCTION_shuffle: /* any lane, also beyond the warp; segments of 2 to 32 */
        return word < 2 ? bits : 2u << of_warp % 5;
    case INSTRUCTION_vote: /* now and then all, or none */
        if (word == 1) return of_warp % 4 == 0 ? 0xffffffffu : of_warp;
        return of_warp / 4 % 3 == 0 ? bits % 2 : of_warp / 4 % 3 == 1;
    case INSTRUCTION_barrier: {
        const uint32_t of_block = word_of(d, thread / INSTRUCTION_THREADS, 254, 0);
        return of_block % 3 == 0 ? bits % 2 : of_block % 3 == 1;
    }
    case INSTRUCTION_atomics: /* small ones too, so that some compare equal */
        return word_of(d, thread, 3, 0) % 2 ? bits : bits % 2;
    case INSTRUCTION_exp2_approx: /* the range of results, and all else */
        return word % 2 ? any_float(d, thread, word) : bits_of(284 * ct_philox_float(bits) - 152);
    case INSTRUCTION_pack_bf16:
    case INSTRUCTION_floats:
        return any_float(d, thread, word);
    case INSTRUCTION_bits: /* of every length */
        return bits >> word_of(d, thread, word, 1) % 33 % 32;
    default:
        return bits;
    }
}

void instruction_operands(instruction which, uint64_t seed, uint32_t *in) {
    const size_t words = instruction_table[which].in;
    const draw   d = {seed, (uint64_t)which};
    for (uint64_t thread = 0; thread < INSTRUCTION_ALL; thread++)
        for (uint64_t word = 0; word < words; word++) in[thread * words + word] = operand(which, &d, thread, word);
}
