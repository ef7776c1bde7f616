/* run.cpp -- a thread of a kernel that runs PTX: values by arithmetic.h, everything else by the machine. */
#include "run.h"

#include "arithmetic.h"
#include "tests/emulator/block.h"
#include "tests/emulator/checker.h"
#include "traffic.h"

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    const ptx_program  *program;
    const ptx_function *function, *kernel;
    uint64_t           *registers;
    char               *memory; /* parameters, what is passed to callees, local memory */
    uint32_t           *times;  /* that it executes each instruction (traffic.h), or NULL */
    bool                carry;
};

static uint64_t special(uint64_t which) {
    const machine_thread *me = machine_me;
    switch (which) {
    case TID_X:
        return me->index.x;
    case TID_Y:
        return me->index.y;
    case TID_Z:
        return me->index.z;
    case NTID_X:
        return me->block_size.x;
    case NTID_Y:
        return me->block_size.y;
    case NTID_Z:
        return me->block_size.z;
    case CTAID_X:
        return me->block.x;
    case CTAID_Y:
        return me->block.y;
    case CTAID_Z:
        return me->block.z;
    case NCTAID_X:
        return me->grid_size.x;
    case NCTAID_Y:
        return me->grid_size.y;
    case NCTAID_Z:
        return me->grid_size.z;
    case LANEID:
        return me->lane;
    default:
        return me->warp;
    }
}

/* Addresses in shared memory are counted from the block's arena. */
static char *shared_pointer(uint64_t address) {
    return this_block->arena + (uint32_t)address;
}
static uint64_t symbol_address(const frame &f, uint64_t number) {
    const ptx_symbol &s = f.program->symbols[number];
    switch (s.kind) {
    case SYMBOL_SHARED:
        return (uint64_t)((char *)machine_shared(&s, s.bytes, s.alignment) - this_block->arena);
    case SYMBOL_DYNAMIC_SHARED:
        return (uint64_t)((char *)machine_dynamic_shared() - this_block->arena);
    case SYMBOL_FRAME:
        return (uint64_t)(uintptr_t)(f.memory + s.at);
    case SYMBOL_DATA:
        break;
    }
    return (uint64_t)(uintptr_t)s.data.data();
}

static uint64_t value_of(const frame &f, const ptx_operand &o) {
    switch (o.kind) {
    case REGISTER:
        return o.number == ~(uint64_t)0 ? 0 : f.registers[o.number] ^ (o.negated ? 1 : 0);
    case SPECIAL:
        return special(o.number);
    case SYMBOL:
        return symbol_address(f, o.number);
    default:
        return o.number;
    }
}
static void set(frame &f, const ptx_operand &o, uint64_t value) {
    if (o.kind == REGISTER && o.number != ~(uint64_t)0) f.registers[o.number] = value;
}

static machine_place place_of(const frame &f, const ptx_instruction &i) {
    if (i.file) return {i.file, i.source_line};
    return {f.function->file.c_str(), i.line};
}

static site site_of(const frame &f, const ptx_instruction &i) {
    if (!i.site) i.site = site_of_place(place_of(f, i));
    return i.site;
}

static char *pointer_of(const frame &f, const ptx_instruction &i, const ptx_operand &o) {
    uint64_t address = value_of(f, o) + (uint64_t)o.offset;
    return i.space == SHARED ? shared_pointer(address) : (char *)(uintptr_t)address;
}

static bool is_shared(const char *p) {
    return p >= this_block->arena && p < this_block->arena + this_block->arena_used;
}
/* Constants of the program are nobody's device memory; frames are the thread's own. */
static bool is_of_program(const frame &f, const char *p, size_t bytes) {
    for (size_t number : f.program->constants) {
        const std::vector<char> &data = f.program->symbols[number].data;
        if (p >= data.data() && p + bytes <= data.data() + data.size()) return true;
    }
    return false;
}
static void count(const frame &f, const ptx_instruction &i, bool shared, const void *p, size_t bytes) {
    if (f.times) traffic_add(&i, f.times[&i - f.function->code.data()], shared, p, bytes);
}
static void check(const frame &f, const ptx_instruction &i, bool write, const char *p, size_t bytes) {
    bool own = i.space == PARAMETER || i.space == LOCAL;
    if (own && (p < f.memory || p + bytes > f.memory + f.function->frame)) {
        report("out-of-bounds", site_of(f, i), "%zu bytes of local memory at %p", bytes, (const void *)p);
        block_give_up();
    }
    if (own || (!write && is_of_program(f, p, bytes))) return;
    count(f, i, is_shared(p), p, bytes);
    check_access(write, p, bytes, bytes, site_of(f, i));
}

static void load(frame &f, const ptx_instruction &i) {
    size_t size = ptx_size(i.type);
    char  *p = pointer_of(f, i, i.operands[i.count]);
    check(f, i, false, p, size * i.count);
    for (unsigned k = 0; k < i.count; k++) {
        uint64_t x = 0;
        memcpy(&x, p + k * size, size);
        set(f, i.operands[k], ptx_narrow(x, i.type));
    }
}
static void store(frame &f, const ptx_instruction &i) {
    size_t size = ptx_size(i.type);
    char  *p = pointer_of(f, i, i.operands[0]);
    check(f, i, true, p, size * i.count);
    for (unsigned k = 0; k < i.count; k++) {
        uint64_t x = value_of(f, i.operands[1 + k]);
        memcpy(p + k * size, &x, size);
    }
}

/* cvta.SPACE: from an address in the space to a pointer; cvta.to.SPACE back. Only shared memory is counted otherwise.
 */
static uint64_t converted_address(const frame &f, const ptx_instruction &i) {
    uint64_t x = value_of(f, i.operands[1]);
    if (i.space != SHARED) return x;
    return i.flags & TO_SPACE ? (uint64_t)((char *)(uintptr_t)x - this_block->arena)
                              : (uint64_t)(uintptr_t)shared_pointer(x);
}

static void move_parts(frame &f, const ptx_instruction &i) {
    const size_t   n = i.count;
    const unsigned width = (unsigned)ptx_size(i.type) * 8 / (unsigned)n;
    const uint64_t mask = ((uint64_t)1 << width) - 1;
    if (i.opcode == MOV_UNPACK) {
        uint64_t x = value_of(f, i.operands[n]);
        for (size_t k = 0; k < n; k++) set(f, i.operands[k], x >> k * width & mask);
    } else {
        uint64_t x = 0;
        for (size_t k = 0; k < n; k++) x |= (value_of(f, i.operands[1 + k]) & mask) << k * width;
        set(f, i.operands[0], x);
    }
}

[[noreturn]] static void no_meaning(const frame &f, const ptx_instruction &i) {
    fprintf(stderr, "%s:%d: no semantics for: %s\n", f.function->file.c_str(), i.line, i.text.c_str());
    abort();
}

/* ---- what the machine does */
static void shuffle(frame &f, const ptx_instruction &i) {
    const size_t         at = i.operands.size() - 4; /* after one or two results */
    machine_shuffle_kind kind = i.how == HOW_INDEX  ? SHUFFLE_INDEX
                                : i.how == HOW_UP   ? SHUFFLE_UP
                                : i.how == HOW_DOWN ? SHUFFLE_DOWN
                                                    : SHUFFLE_XOR;
    bool                 in_range;
    uint64_t x = machine_shuffle(kind, (uint32_t)value_of(f, i.operands[at + 3]), value_of(f, i.operands[at]),
                                 (uint32_t)value_of(f, i.operands[at + 1]), (uint32_t)value_of(f, i.operands[at + 2]),
                                 &in_range, place_of(f, i));
    set(f, i.operands[0], (uint32_t)x);
    if (at == 2) set(f, i.operands[1], in_range);
}
static void vote(frame &f, const ptx_instruction &i) {
    if (i.how == HOW_UNIFORM) no_meaning(f, i);
    machine_vote_kind kind = i.how == HOW_ANY ? VOTE_ANY : i.how == HOW_ALL ? VOTE_ALL : VOTE_BALLOT;
    set(f, i.operands[0],
        machine_vote(kind, (uint32_t)value_of(f, i.operands[2]), value_of(f, i.operands[1]) & 1, place_of(f, i)));
}
static void block_vote(frame &f, const ptx_instruction &i) { /* bar.red.or.pred d, 0, p */
    machine_barrier_kind kind = i.how == WITH_OR ? BARRIER_OR : i.how == WITH_AND ? BARRIER_AND : BARRIER_COUNT;
    set(f, i.operands[0], (uint64_t)machine_barrier(kind, value_of(f, i.operands[2]) & 1, place_of(f, i)));
}
static void matrices(frame &f, const ptx_instruction &i) {
    uint32_t    result[4];
    const char *row = pointer_of(f, i, i.operands[i.count]);
    if (machine_me->lane < 8 * i.count) count(f, i, true, row, 16);
    machine_ldmatrix(result, i.count, i.flags & TRANSPOSED, row, place_of(f, i));
    for (unsigned k = 0; k < i.count; k++) set(f, i.operands[k], result[k]);
}
static void multiply(frame &f, const ptx_instruction &i) { /* d0-3, a0-3, b0-1, c0-3 */
    uint32_t a[4], b[2];
    float    d[4], c[4];
    for (unsigned k = 0; k < 4; k++) {
        uint32_t bits = (uint32_t)value_of(f, i.operands[10 + k]);
        a[k] = (uint32_t)value_of(f, i.operands[4 + k]);
        memcpy(&c[k], &bits, 4);
    }
    for (unsigned k = 0; k < 2; k++) b[k] = (uint32_t)value_of(f, i.operands[8 + k]);
    machine_mma_bf16(d, a, b, c, place_of(f, i));
    for (unsigned k = 0; k < 4; k++) {
        uint32_t bits;
        memcpy(&bits, &d[k], 4);
        set(f, i.operands[k], bits);
    }
}
static void copy_async(frame &f, const ptx_instruction &i) {
    unsigned    bytes = (unsigned)value_of(f, i.operands[2]);
    unsigned    from_bytes = i.operands.size() > 3 ? (unsigned)value_of(f, i.operands[3]) : bytes;
    char       *to = shared_pointer(value_of(f, i.operands[0]) + (uint64_t)i.operands[0].offset);
    const char *from = (char *)(uintptr_t)(value_of(f, i.operands[1]) + (uint64_t)i.operands[1].offset);
    if (from_bytes) count(f, i, false, from, from_bytes);
    count(f, i, true, to, bytes);
    machine_copy_async(to, from, bytes, from_bytes, place_of(f, i));
}
static void atomic(frame &f, const ptx_instruction &i) { /* atom d, [a], b(, c); red [a], b */
    const size_t        at = i.opcode == RED ? 0 : 1;
    const bool          wide = ptx_size(i.type) == 8, sign = i.type == S32 || i.type == S64;
    machine_atomic_kind kind = ATOMIC_ADD_U32;
    uint64_t            value = value_of(f, i.operands[at + 1]), compare = 0;
    if (i.how == HOW_ADD && i.type == F32)
        kind = ATOMIC_ADD_F32;
    else if (i.how == HOW_ADD && i.type != F64 && i.type != BF16X2)
        kind = wide ? ATOMIC_ADD_U64 : ATOMIC_ADD_U32;
    else if (i.how == HOW_CAS)
        kind = wide ? ATOMIC_COMPARE_SWAP_U64 : ATOMIC_COMPARE_SWAP_U32;
    else if (!wide && i.how == HOW_SWAP)
        kind = ATOMIC_SWAP_U32;
    else if (!wide && i.how == HOW_MIN)
        kind = sign ? ATOMIC_MIN_S32 : ATOMIC_MIN_U32;
    else if (!wide && i.how == HOW_MAX)
        kind = sign ? ATOMIC_MAX_S32 : ATOMIC_MAX_U32;
    else if (!wide && i.how == WITH_AND)
        kind = ATOMIC_AND_U32;
    else if (!wide && i.how == WITH_OR)
        kind = ATOMIC_OR_U32;
    else
        no_meaning(f, i);
    if (i.how == HOW_CAS) { /* in PTX the value to compare with comes first */
        compare = value;
        value = value_of(f, i.operands[at + 2]);
    }
    uint64_t old = machine_atomic(kind, pointer_of(f, i, i.operands[at]), value, compare, place_of(f, i));
    if (at) set(f, i.operands[0], ptx_narrow(old, i.type));
}

/* ---- control */
static void run(const ptx_program *program, const ptx_function *kernel, const ptx_function *function,
                const char *inputs, char *results);

static void call(frame &f, const ptx_instruction &i) {
    const ptx_function *callee = i.callee;
    const size_t        results = i.count > 1 ? i.count - 1 : 0;
    /* cppcheck-suppress allocaCalled ; a stack that is left takes it along */
    char               *inputs = static_cast<char *>(alloca(callee->parameters + 1));
    char                result[256];
    size_t              result_bytes = 0;
    for (const ptx_variable &v : callee->results) result_bytes += v.bytes;
    if (results != callee->results.size() || i.operands.size() - results != callee->inputs.size() || results > 1 ||
        result_bytes > sizeof result)
        no_meaning(f, i);
    for (size_t k = 0; k < callee->inputs.size(); k++) {
        const ptx_symbol &s = f.program->symbols[i.operands[results + k].number];
        memcpy(inputs + callee->inputs[k].at, f.memory + s.at, callee->inputs[k].bytes);
    }
    run(f.program, f.kernel, callee, inputs, result);
    if (results) memcpy(f.memory + f.program->symbols[i.operands[0].number].at, result, callee->results[0].bytes);
}

/* One instruction that is no branch. */
static void step(frame &f, const ptx_instruction &i) {
    switch (i.opcode) {
    case LD:
        return load(f, i);
    case ST:
        return store(f, i);
    case CVTA:
        return set(f, i.operands[0], converted_address(f, i));
    case MOV_PACK:
    case MOV_UNPACK:
        return move_parts(f, i);
    case SHFL:
        return shuffle(f, i);
    case VOTE:
        return vote(f, i);
    case BAR:
        machine_barrier(BARRIER_SYNC, 0, place_of(f, i));
        return;
    case BAR_RED:
        return block_vote(f, i);
    case BAR_WARP:
        return machine_warp_sync((uint32_t)value_of(f, i.operands[0]), place_of(f, i));
    case LDMATRIX:
        return matrices(f, i);
    case MMA:
        return multiply(f, i);
    case CP_ASYNC:
        return copy_async(f, i);
    case CP_ASYNC_COMMIT:
        return machine_copy_commit();
    case CP_ASYNC_WAIT:
        return machine_copy_wait((unsigned)i.operands[0].number);
    case ATOM:
    case RED:
        return atomic(f, i);
    case CALL:
        return call(f, i);
    case FENCE: /* the machine's memory is in order */
        return;
    case TRAP:
        report("fault", site_of(f, i), "trap");
        block_give_up();
    case ACTIVEMASK:
        no_meaning(f, i);
    default:
        break;
    }
    uint64_t v[4] = {0, 0, 0, 0};
    for (size_t k = 1; k < i.operands.size(); k++) v[k - 1] = value_of(f, i.operands[k]);
    set(f, i.operands[0], ptx_compute(i, v, &f.carry));
}

static void run(const ptx_program *program, const ptx_function *kernel, const ptx_function *function,
                const char *inputs, char *results) {
    frame f = {program, function, kernel, nullptr, nullptr, traffic_enter(kernel, function), false};
    /* cppcheck-suppress allocaCalled ; a stack that is left takes it along */
    f.registers = static_cast<uint64_t *>(alloca((function->registers + 1) * sizeof(uint64_t)));
    /* cppcheck-suppress allocaCalled ; a stack that is left takes it along */
    f.memory = static_cast<char *>(alloca(function->frame + 16));
    f.memory += (16 - (uintptr_t)f.memory % 16) % 16;
    memset(f.registers, 0xff, function->registers * sizeof(uint64_t)); /* NaN, and addresses of nothing */
    memset(f.memory, 0xff, function->frame);
    memcpy(f.memory, inputs, function->parameters);
    for (size_t at = 0;;) {
        const ptx_instruction &i = function->code[at++];
        if (i.guard.kind == REGISTER && !(value_of(f, i.guard) & 1)) continue;
        i.executed = true;
        if (f.times) f.times[at - 1]++;
        if (i.opcode == BRA)
            at = i.target;
        else if (i.opcode == RET)
            break;
        else
            step(f, i);
    }
    size_t done = 0;
    for (const ptx_variable &v : function->results) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): NULL for a kernel, which has no results */
        memcpy(results + done, f.memory + v.at, v.bytes);
        done += v.bytes;
    }
}

void ptx_run_kernel(const ptx_program *program, const ptx_function *kernel, const machine_launch &launch) {
    /* cppcheck-suppress allocaCalled ; a stack that is left takes it along */
    char *inputs = static_cast<char *>(alloca(kernel->parameters + 1));
    for (size_t k = 0; k < launch.argument_count; k++)
        memcpy(inputs + kernel->inputs[k].at, launch.arguments[k].data, launch.arguments[k].bytes);
    run(program, kernel, kernel, inputs, nullptr);
}
