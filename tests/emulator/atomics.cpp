/* atomics.cpp -- the machine's atomics, by the CPU's: blocks run on several cores. */
#include "checker.h"

#include <string.h>

static float as_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static uint32_t as_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint32_t combine(machine_atomic_kind kind, uint32_t old, uint32_t value, uint32_t compare) {
    switch (kind) {
    case ATOMIC_ADD_F32:
        return as_bits(as_float(old) + as_float(value));
    case ATOMIC_ADD_U32:
        return old + value;
    case ATOMIC_MIN_S32:
        return (int32_t)value < (int32_t)old ? value : old;
    case ATOMIC_MAX_S32:
        return (int32_t)value > (int32_t)old ? value : old;
    case ATOMIC_MIN_U32:
        return value < old ? value : old;
    case ATOMIC_MAX_U32:
        return value > old ? value : old;
    case ATOMIC_AND_U32:
        return old & value;
    case ATOMIC_OR_U32:
        return old | value;
    case ATOMIC_SWAP_U32:
        return value;
    case ATOMIC_COMPARE_SWAP_U32:
        return old == compare ? value : old;
    case ATOMIC_ADD_U64:
    case ATOMIC_COMPARE_SWAP_U64:
        break;
    }
    return old;
}

uint64_t machine_atomic(machine_atomic_kind kind, void *to, uint64_t value, uint64_t compare, machine_place at) {
    bool wide = kind == ATOMIC_ADD_U64 || kind == ATOMIC_COMPARE_SWAP_U64;
    check_atomic(to, wide ? 8 : 4, at);
    if (wide) {
        uint64_t *p = static_cast<uint64_t *>(to), old = __atomic_load_n(p, __ATOMIC_RELAXED), made;
        do {
            made = kind == ATOMIC_ADD_U64 ? old + value : old == compare ? value : old;
        } while (!__atomic_compare_exchange_n(p, &old, made, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
        return old;
    }
    uint32_t *p = static_cast<uint32_t *>(to), old = __atomic_load_n(p, __ATOMIC_RELAXED), made;
    do {
        made = combine(kind, old, (uint32_t)value, (uint32_t)compare);
    } while (!__atomic_compare_exchange_n(p, &old, made, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return old;
}
