/* arithmetic.cpp -- see arithmetic.h. Compiled with -frounding-math: some results are rounded down or up. */
#include "arithmetic.h"

#include "kernels/bf16.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

[[noreturn]] static void unknown(const ptx_instruction &i) {
    fprintf(stderr, "PTX line %d: no semantics for: %s\n", i.line, i.text.c_str());
    abort();
}

static float f32(uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    float    x;
    memcpy(&x, &low, sizeof x);
    return x;
}
static double f64(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static uint64_t bits(float x) {
    uint32_t result;
    memcpy(&result, &x, sizeof result);
    return result;
}
static uint64_t bits(double x) {
    uint64_t result;
    memcpy(&result, &x, sizeof result);
    return result;
}

static bool is_signed(ptx_type t) {
    return t >= S8 && t <= S64;
}
static bool is_float(ptx_type t) {
    return t == F32 || t == F64;
}
static unsigned width_of(ptx_type t) {
    return t == PRED ? 1 : (unsigned)ptx_size(t) * 8;
}

uint64_t ptx_narrow(uint64_t value, ptx_type type) {
    switch (type) {
    case S8:
        return (uint64_t)(int64_t)(int8_t)value;
    case S16:
        return (uint64_t)(int64_t)(int16_t)value;
    case S32:
        return (uint64_t)(int64_t)(int32_t)value;
    case PRED:
        return value & 1;
    default:
        return width_of(type) >= 64 ? value : value & (((uint64_t)1 << width_of(type)) - 1);
    }
}

/* ---- floats. A rounding mode other than to nearest lasts for one operation. */
struct rounding {
    bool other;
    rounding(ptx_rounding mode) : other(mode != NEAREST) {
        static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
        if (other) fesetround(modes[mode]);
    }
    ~rounding() {
        if (other) fesetround(FE_TONEAREST);
    }
};

template <class T> static T rounded_to_integer(T x, ptx_rounding mode) {
    return mode == NEAREST ? nearbyint(x) : mode == ZERO ? trunc(x) : mode == DOWN ? floor(x) : ceil(x);
}

/* .sat: into [0, 1], NaN to 0; .ftz: a denormal number is a zero */
template <class T> static T finish(T x, uint32_t flags) {
    if (flags & SATURATE) x = !(x > 0) ? 0 : x > 1 ? 1 : x;
    if (flags & FLUSH && fpclassify(x) == FP_SUBNORMAL) x = copysign((T)0, x);
    return x;
}

/* min and max give the number where one operand is none, and -0 is less than +0. */
template <class T> static T lesser(T a, T b) {
    if (isnan(a) || isnan(b)) return isnan(a) ? b : a;
    return a < b || (a == b && signbit(a)) ? a : b;
}
template <class T> static T greater(T a, T b) {
    if (isnan(a) || isnan(b)) return isnan(a) ? b : a;
    return a > b || (a == b && !signbit(a)) ? a : b;
}

template <class T> static T of_floats(const ptx_instruction &i, T a, T b, T c) {
    rounding mode(i.rounding);
    if (i.flags & FLUSH) a = finish(a, FLUSH), b = finish(b, FLUSH), c = finish(c, FLUSH);
    switch (i.opcode) {
    case ADD:
        return a + b;
    case SUB:
        return a - b;
    case MUL:
        return a * b;
    case FMA:
    case MAD:
        return fma(a, b, c);
    case DIV:
        return a / b;
    case MIN:
        return lesser(a, b);
    case MAX:
        return greater(a, b);
    case NEG:
        return -a;
    case ABS:
        return fabs(a);
    case COPYSIGN:
        return copysign(b, a);
    case RCP:
        return 1 / a;
    case SQRT:
        return sqrt(a);
    case RSQRT:
        return 1 / sqrt(a);
    case EX2:
        return exp2(a);
    case LG2:
        return log2(a);
    case SIN:
        return sin(a);
    case COS:
        return cos(a);
    case TANH:
        return tanh(a);
    default:
        unknown(i);
    }
}

template <class T> static bool compare(const ptx_instruction &i, T a, T b) {
    bool unordered = isnan(a) || isnan(b);
    switch (i.comparison) {
    case EQ:
        return a == b;
    case NE:
        return a != b && !unordered;
    case LT:
        return a < b;
    case LE:
        return a <= b;
    case GT:
        return a > b;
    case GE:
        return a >= b;
    case EQU:
        return unordered || a == b;
    case NEU:
        return unordered || a != b;
    case LTU:
        return unordered || a < b;
    case LEU:
        return unordered || a <= b;
    case GTU:
        return unordered || a > b;
    case GEU:
        return unordered || a >= b;
    case NUM:
        return !unordered;
    case NAN_:
        return unordered;
    }
    unknown(i);
}

/* ---- whole numbers */
__extension__ typedef __int128          signed_128;
__extension__ typedef unsigned __int128 unsigned_128;

static uint64_t high_half(const ptx_instruction &i, uint64_t a, uint64_t b) {
    unsigned width = width_of(i.type);
    if (is_signed(i.type)) return (uint64_t)(((signed_128)(int64_t)a * (int64_t)b) >> width);
    return (uint64_t)(((unsigned_128)a * b) >> width);
}
static uint64_t product(const ptx_instruction &i, uint64_t a, uint64_t b) {
    return i.flags & HIGH ? high_half(i, a, b) : a * b;
}

/* a + b + in, of the type's width; the carry out of it where .cc asks for it */
static uint64_t add_carry(const ptx_instruction &i, uint64_t a, uint64_t b, bool in, bool *carry) {
    unsigned     width = width_of(i.type);
    uint64_t     mask = width == 64 ? ~(uint64_t)0 : ((uint64_t)1 << width) - 1;
    unsigned_128 sum = (unsigned_128)(a & mask) + (b & mask) + in;
    if (i.flags & CARRY) *carry = sum >> width & 1;
    return (uint64_t)sum;
}
/* a - b - (1 - in) is a + ~b + in: PTX's carry of a subtraction is "no borrow" */
static uint64_t subtract_carry(const ptx_instruction &i, uint64_t a, uint64_t b, bool in, bool *carry) {
    return add_carry(i, a, ~b, in, carry);
}

static uint64_t shift_right(const ptx_instruction &i, uint64_t a, uint32_t by) {
    unsigned width = width_of(i.type);
    if (is_signed(i.type)) return (uint64_t)((int64_t)a >> (by >= width ? width - 1 : by));
    return by >= width ? 0 : a >> by;
}
static uint64_t funnel(const ptx_instruction &i, uint32_t low, uint32_t high, uint32_t by) {
    uint64_t both = (uint64_t)high << 32 | low;
    by = i.flags & CLAMP ? (by > 32 ? 32 : by) : by & 31;
    return i.flags & LEFT ? (by == 32 ? low : (uint32_t)(both << by >> 32)) : (uint32_t)(both >> by);
}
static uint64_t extract(const ptx_instruction &i, uint64_t a, uint32_t from, uint32_t length) {
    unsigned width = width_of(i.type);
    from &= 255, length &= 255;
    uint64_t bit_of_sign = 0, result = 0;
    if (is_signed(i.type) && length) {
        unsigned last = from + length - 1 < width - 1 ? from + length - 1 : width - 1;
        bit_of_sign = a >> last & 1;
    }
    for (unsigned k = 0; k < width; k++) {
        const bool taken = k < length && from + k < width;
        result |= (taken ? a >> (from + k) & 1 : bit_of_sign) << k;
    }
    return result;
}
static uint64_t insert(const ptx_instruction &i, uint64_t a, uint64_t b, uint32_t at, uint32_t length) {
    unsigned width = width_of(i.type);
    at &= 255, length &= 255;
    for (unsigned k = 0; k < length && at + k < width; k++) {
        uint64_t bit = (uint64_t)1 << (at + k);
        b = (b & ~bit) | (a >> k & 1 ? bit : 0);
    }
    return b;
}
static uint64_t highest_bit(const ptx_instruction &i, uint64_t a) {
    unsigned width = width_of(i.type);
    if (is_signed(i.type) && (int64_t)a < 0) a = ~a;
    a = width == 64 ? a : a & (((uint64_t)1 << width) - 1);
    if (!a) return 0xffffffff;
    unsigned at = 63 - (unsigned)__builtin_clzll(a);
    return i.flags & CLAMP ? width - 1 - at : at; /* .shiftamt */
}
static uint64_t permute(uint32_t a, uint32_t b, uint32_t selector) {
    uint64_t both = (uint64_t)b << 32 | a, result = 0;
    for (unsigned k = 0; k < 4; k++) {
        unsigned how = selector >> 4 * k & 15;
        uint8_t  byte = (uint8_t)(both >> 8 * (how & 7));
        if (how & 8) byte = byte & 0x80 ? 0xff : 0;
        result |= (uint64_t)byte << 8 * k;
    }
    return result;
}
static uint64_t reversed(uint64_t a, unsigned width) {
    uint64_t result = 0;
    for (unsigned k = 0; k < width; k++) result |= (a >> k & 1) << (width - 1 - k);
    return result;
}

static uint64_t of_whole(const ptx_instruction &i, const uint64_t *v, bool *carry) {
    const ptx_type t = i.type;
    const size_t   count = i.operands.size() - 1;
    uint64_t       a = ptx_narrow(v[0], t), b = count > 1 ? ptx_narrow(v[1], t) : 0;
    switch (i.opcode) {
    case ADD:
        return add_carry(i, a, b, false, carry);
    case ADDC:
        return add_carry(i, a, b, *carry, carry);
    case SUB:
        return subtract_carry(i, a, b, true, carry);
    case SUBC:
        return subtract_carry(i, a, b, *carry, carry);
    case MUL:
        return product(i, a, b);
    case MAD:
        return i.flags & WIDE ? a * b + v[2] : add_carry(i, product(i, a, b), v[2], false, carry);
    case MADC:
        return add_carry(i, product(i, a, b), v[2], *carry, carry);
    case DIV: /* by zero: the manual promises nothing; all bits are what GPUs give */
        if (b == 0) return ~(uint64_t)0;
        return is_signed(t) ? (uint64_t)((signed_128)(int64_t)a / (int64_t)b) : a / b;
    case REM:
        if (b == 0) return a;
        return is_signed(t) ? (uint64_t)((signed_128)(int64_t)a % (int64_t)b) : a % b;
    case MIN:
        return (is_signed(t) ? (int64_t)a < (int64_t)b : a < b) ? a : b;
    case MAX:
        return (is_signed(t) ? (int64_t)a > (int64_t)b : a > b) ? a : b;
    case NEG:
        return -a;
    case ABS:
        return (int64_t)a < 0 ? -a : a;
    case AND:
        return a & b;
    case OR:
        return a | b;
    case XOR:
        return a ^ b;
    case NOT:
        return ~a;
    case SHL:
        return (uint32_t)v[1] >= width_of(t) ? 0 : a << (uint32_t)v[1];
    case SHR:
        return shift_right(i, a, (uint32_t)v[1]);
    case SHF:
        return funnel(i, (uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2]);
    case BFE:
        return extract(i, a, (uint32_t)v[1], (uint32_t)v[2]);
    case BFI:
        return insert(i, a, b, (uint32_t)v[2], (uint32_t)v[3]);
    case BFIND:
        return highest_bit(i, a);
    case BREV:
        return reversed(a, width_of(t));
    case CLZ:
        return a ? (uint64_t)__builtin_clzll(a) - (64 - width_of(t)) : width_of(t);
    case POPC:
        return (uint64_t)__builtin_popcountll(a);
    case PRMT:
        return permute((uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2]);
    default:
        unknown(i);
    }
}

/* ---- conversions */
template <class T> static uint64_t to_whole(const ptx_instruction &i, T x) {
    unsigned width = width_of(i.type);
    if (isnan(x)) return i.from == F64 || width == 64 ? (uint64_t)1 << (width - 1) : 0;
    x = rounded_to_integer(x, i.rounding);
    bool   negative = is_signed(i.type);
    double least = negative ? -ldexp(1, (int)width - 1) : 0, past = ldexp(1, (int)width - (negative ? 1 : 0));
    if ((double)x < least) return negative ? (uint64_t)1 << (width - 1) : 0;
    if ((double)x >= past) return ((uint64_t)1 << (width - 1)) - 1 + (negative ? 0 : (uint64_t)1 << (width - 1));
    return negative ? (uint64_t)(int64_t)x : (uint64_t)x;
}

static uint64_t to_float(const ptx_instruction &i, uint64_t a) {
    rounding mode(i.flags & TO_INTEGER ? NEAREST : i.rounding);
    uint64_t n = is_float(i.from) || i.from == BF16 ? 0 : ptx_narrow(a, i.from);
    double   x = i.from == F64    ? f64(a)
                 : i.from == F32  ? (double)f32(a)
                 : i.from == BF16 ? (double)ct_bf16_float((uint16_t)a)
                                  : 0;
    if (is_float(i.from) && i.flags & TO_INTEGER) x = rounded_to_integer(x, i.rounding);
    bool whole = !is_float(i.from) && i.from != BF16;
    if (i.type == F64) return bits(finish(whole ? (is_signed(i.from) ? (double)(int64_t)n : (double)n) : x, i.flags));
    return bits(finish(whole ? (is_signed(i.from) ? (float)(int64_t)n : (float)n) : (float)x, i.flags));
}

static uint64_t convert(const ptx_instruction &i, const uint64_t *v) {
    if (is_float(i.type)) return to_float(i, v[0]);
    if (i.type == BF16 && i.from == F32 && i.rounding == NEAREST) return ct_bf16_round(f32(v[0]));
    if (i.type == BF16X2 && i.from == F32 && i.rounding == NEAREST)
        return (uint64_t)ct_bf16_round(f32(v[0])) << 16 | ct_bf16_round(f32(v[1]));
    if (i.type == BF16 || i.type == BF16X2 || i.from == BF16 || i.from == BF16X2) unknown(i);
    if (i.from == F32) return to_whole(i, finish(f32(v[0]), i.flags & FLUSH));
    if (i.from == F64) return to_whole(i, f64(v[0]));
    if (i.flags & SATURATE) unknown(i);
    return ptx_narrow(v[0], i.from);
}

static bool joined(ptx_how how, bool a, bool b) {
    return how == WITH_AND ? a && b : how == WITH_OR ? a || b : how == WITH_XOR ? a != b : a;
}
static uint64_t comparison(const ptx_instruction &i, const uint64_t *v) {
    bool result = i.type == F32       ? compare(i, f32(v[0]), f32(v[1]))
                  : i.type == F64     ? compare(i, f64(v[0]), f64(v[1]))
                  : is_signed(i.type) ? compare(i, (int64_t)ptx_narrow(v[0], i.type), (int64_t)ptx_narrow(v[1], i.type))
                                      : compare(i, ptx_narrow(v[0], i.type), ptx_narrow(v[1], i.type));
    return joined(i.how, result, i.how != PLAIN && v[2] & 1);
}

uint64_t ptx_compute(const ptx_instruction &i, const uint64_t *v, bool *carry) {
    const size_t count = i.operands.size() - 1;
    if (i.opcode == CVT) return ptx_narrow(convert(i, v), i.type);
    if (i.opcode == SETP) return comparison(i, v);
    if (i.opcode == SELP) return ptx_narrow(v[2] & 1 ? v[0] : v[1], i.type);
    if (i.opcode == MOV) return ptx_narrow(v[0], i.type);
    if (i.type == F32) {
        float x = of_floats(i, f32(v[0]), count > 1 ? f32(v[1]) : 0, count > 2 ? f32(v[2]) : 0);
        return bits(finish(x, i.flags));
    }
    if (i.type == F64) {
        double x = of_floats(i, f64(v[0]), count > 1 ? f64(v[1]) : 0, count > 2 ? f64(v[2]) : 0);
        if (i.opcode == RCP && i.flags & FLUSH) return bits(x) & 0xffffffff00000000u; /* rcp.approx.ftz.f64: 20 bits */
        return bits(finish(x, i.flags));
    }
    uint64_t result = of_whole(i, v, carry);
    bool     wide = (i.opcode == MUL || i.opcode == MAD) && i.flags & WIDE;
    bool     counts = i.opcode == POPC || i.opcode == CLZ || i.opcode == BFIND;
    return wide     ? (i.type == U32 || i.type == S32 ? result : ptx_narrow(result, i.type == U16 ? U32 : S32))
           : counts ? result & 0xffffffff
                    : ptx_narrow(result, i.type);
}
