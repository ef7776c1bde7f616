/* program.h -- PTX as nvcc writes it, read into instructions whose operands are numbers, labels resolved.
 *
 * A register is a slot of 64 bits in the frame of its function; what is narrower lies in the lower bits, a predicate is
 * 0 or 1. Symbols of parameters and local memory are offsets into the frame; shared arrays and constants keep a symbol,
 * which becomes an address in the running block.
 *
 * Owner: a program lives to the end. Fails: what is not understood ends the program, with file, line and text: a test
 * must not pass because an instruction was left out.
 */
#ifndef CT_PTX_PROGRAM_H
#define CT_PTX_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include <map>
#include <string>
#include <vector>

enum ptx_type : uint8_t { U8, U16, U32, U64, S8, S16, S32, S64, B8, B16, B32, B64, F32, F64, BF16, BF16X2, PRED, NONE };
size_t ptx_size(ptx_type type); /* bytes in memory */

enum ptx_opcode : uint8_t {
    /* of values alone (arithmetic.h) */
    ABS,
    ADD,
    ADDC,
    AND,
    BFE,
    BFI,
    BFIND,
    BREV,
    CLZ,
    COPYSIGN,
    COS,
    CVT,
    DIV,
    EX2,
    FMA,
    LG2,
    MAD,
    MADC,
    MAX,
    MIN,
    MOV,
    MUL,
    NEG,
    NOT,
    OR,
    POPC,
    PRMT,
    RCP,
    REM,
    RSQRT,
    SELP,
    SETP,
    SHF,
    SHL,
    SHR,
    SIN,
    SQRT,
    SUB,
    SUBC,
    TANH,
    XOR,
    /* the others (run.cpp) */
    ACTIVEMASK,
    ATOM,
    BAR,
    BAR_RED,
    BAR_WARP,
    BRA,
    CALL,
    CP_ASYNC,
    CP_ASYNC_COMMIT,
    CP_ASYNC_WAIT,
    CVTA,
    FENCE,
    LD,
    LDMATRIX,
    MMA,
    MOV_PACK,
    MOV_UNPACK,
    RED,
    RET,
    SHFL,
    ST,
    TRAP,
    VOTE,
    OPCODES /* how many */
};

enum ptx_space : uint8_t { GENERIC, GLOBAL, SHARED, PARAMETER, LOCAL, CONSTANT };
/* Suffixes that say more of an instruction. */
enum ptx_flag : uint32_t {
    WIDE = 1 << 0,
    HIGH = 1 << 1,
    CARRY = 1 << 2, /* .cc: leaves one */
    SATURATE = 1 << 3,
    TO_INTEGER = 1 << 4, /* .rni, .rzi, .rmi, .rpi: which, in `rounding` */
    FLUSH = 1 << 5,      /* .ftz */
    TO_SPACE = 1 << 6,   /* cvta.to */
    TRANSPOSED = 1 << 7,
    CLAMP = 1 << 8, /* shf.clamp */
    LEFT = 1 << 9,  /* shf.l */
};
enum ptx_rounding : uint8_t { NEAREST, ZERO, DOWN, UP };
enum ptx_comparison : uint8_t {
    EQ,
    NE,
    LT,
    LE,
    GT,
    GE, /* false where a number is not one; */
    EQU,
    NEU,
    LTU,
    LEU,
    GTU,
    GEU, /* true */
    NUM,
    NAN_
};
/* How setp joins its result with a predicate; which vote, shuffle, atomic. */
enum ptx_how : uint8_t {
    PLAIN,
    WITH_AND,
    WITH_OR,
    WITH_XOR,
    HOW_ANY,
    HOW_ALL,
    HOW_BALLOT,
    HOW_UNIFORM,
    HOW_INDEX,
    HOW_UP,
    HOW_DOWN,
    HOW_XOR,
    HOW_ADD,
    HOW_MIN,
    HOW_MAX,
    HOW_SWAP,
    HOW_CAS,
    HOW_COUNT
};

enum ptx_operand_kind : uint8_t {
    NOTHING,
    REGISTER,  /* number: its slot; ~0: "_", written by nobody reads */
    IMMEDIATE, /* number */
    SPECIAL,   /* number: a ptx_special */
    SYMBOL,    /* number: in program.symbols */
};
enum ptx_special : uint8_t {
    TID_X,
    TID_Y,
    TID_Z,
    NTID_X,
    NTID_Y,
    NTID_Z,
    CTAID_X,
    CTAID_Y,
    CTAID_Z,
    NCTAID_X,
    NCTAID_Y,
    NCTAID_Z,
    LANEID,
    WARPID
};
struct ptx_operand {
    ptx_operand_kind kind = NOTHING;
    bool             negated = false; /* a predicate's */
    uint64_t         number = 0;
    int64_t          offset = 0; /* of an address: [number + offset] */
};

struct ptx_function;
struct ptx_instruction {
    ptx_opcode               opcode = TRAP;
    ptx_type                 type = NONE, from = NONE; /* the first and second type named */
    ptx_space                space = GENERIC;
    ptx_rounding             rounding = NEAREST;
    ptx_comparison           comparison = EQ;
    ptx_how                  how = PLAIN;
    uint32_t                 flags = 0;
    unsigned                 count = 1; /* of a vector; of matrices */
    ptx_operand              guard;     /* @p, @!p */
    std::vector<ptx_operand> operands;
    size_t                   target = 0; /* of a branch */
    ptx_function            *callee = nullptr;
    std::string              text;
    int                      line = 0;       /* in the PTX */
    const char              *file = nullptr; /* in the source, by .loc; nullptr: unknown */
    int                      source_line = 0;
    mutable bool             executed = false; /* by any thread, ever */
    mutable uint32_t         site = 0;         /* report.h; 0: not yet asked for */
};

struct ptx_variable { /* of parameters and local memory */
    size_t at = 0, bytes = 0;
};
struct ptx_function {
    std::string                  name;
    bool                         kernel = false;
    std::vector<ptx_instruction> code;
    size_t                       registers = 0;
    size_t                       parameters = 0; /* bytes */
    std::vector<ptx_variable>    inputs, results;
    size_t                       frame = 0; /* bytes: parameters, what is passed to callees, local memory */
    std::string                  file;      /* of the PTX */
};

enum ptx_symbol_kind : uint8_t { SYMBOL_SHARED, SYMBOL_DYNAMIC_SHARED, SYMBOL_FRAME, SYMBOL_DATA };
struct ptx_symbol {
    ptx_symbol_kind   kind = SYMBOL_DATA;
    size_t            bytes = 0, alignment = 1;
    size_t            at = 0; /* in the frame */
    std::vector<char> data;   /* .global and .const: what they hold */
};

struct ptx_program {
    std::string                           file, target; /* "sm_90" */
    std::vector<ptx_symbol>               symbols;
    std::vector<size_t>                   constants; /* the symbols that have data */
    std::map<std::string, ptx_function *> functions;
};

/* Reads a PTX file. */
ptx_program *ptx_read(const char *path);

#endif
