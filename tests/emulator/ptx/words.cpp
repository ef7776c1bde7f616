/* words.cpp -- see words.h. */
#include "words.h"

size_t ptx_size(ptx_type type) {
    static const size_t sizes[] = {1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 2, 4, 1, 0};
    return sizes[type];
}

/* in the order of ptx_type */
static const char *const type_names[] = {"u8",  "u16", "u32", "u64", "s8",  "s16",  "s32",    "s64", "b8",
                                         "b16", "b32", "b64", "f32", "f64", "bf16", "bf16x2", "pred"};

/* What a suffix that is no type means to the instructions that may have it. */
struct suffix {
    const char *word;
    void (*take)(ptx_instruction &i);
};
#define SETS(word, statement)                                                                                          \
    {                                                                                                                  \
        word, [](ptx_instruction &i) { statement; }                                                                    \
    }
static const suffix suffixes[] = {
    SETS("wide", i.flags |= WIDE),
    SETS("hi", i.flags |= HIGH),
    SETS("lo", (void)i),
    SETS("cc", i.flags |= CARRY),
    SETS("sat", i.flags |= SATURATE),
    SETS("ftz", i.flags |= FLUSH),
    SETS("to", i.flags |= TO_SPACE),
    SETS("trans", i.flags |= TRANSPOSED),
    SETS("clamp", i.flags |= CLAMP),
    SETS("wrap", (void)i),
    SETS("shiftamt", i.flags |= CLAMP),
    SETS("l", i.flags |= LEFT),
    SETS("r", (void)i),
    SETS("rn", i.rounding = NEAREST),
    SETS("rz", i.rounding = ZERO),
    SETS("rm", i.rounding = DOWN),
    SETS("rp", i.rounding = UP),
    SETS("rni", (i.rounding = NEAREST, i.flags |= TO_INTEGER)),
    SETS("rzi", (i.rounding = ZERO, i.flags |= TO_INTEGER)),
    SETS("rmi", (i.rounding = DOWN, i.flags |= TO_INTEGER)),
    SETS("rpi", (i.rounding = UP, i.flags |= TO_INTEGER)),
    SETS("approx", (void)i),
    SETS("full", (void)i),
    SETS("uni", (void)i),
    SETS("sync", (void)i),
    SETS("aligned", (void)i),
    SETS("volatile", (void)i),
    SETS("relaxed", (void)i),
    SETS("acquire", (void)i),
    SETS("release", (void)i),
    SETS("acq_rel", (void)i),
    SETS("sc", (void)i),
    SETS("gpu", (void)i),
    SETS("gl", (void)i),
    SETS("sys", (void)i),
    SETS("nc", (void)i),
    SETS("ca", (void)i),
    SETS("cg", (void)i),
    SETS("async", (void)i),
    SETS("cta", (void)i),
    SETS("noftz", (void)i),
    SETS("v2", i.count = 2),
    SETS("v4", i.count = 4),
    SETS("x1", i.count = 1),
    SETS("x2", i.count = 2),
    SETS("x4", i.count = 4),
    SETS("global", i.space = GLOBAL),
    SETS("shared", i.space = SHARED),
    SETS("param", i.space = PARAMETER),
    SETS("local", i.space = LOCAL),
    SETS("const", i.space = CONSTANT),
    SETS("and", i.how = WITH_AND),
    SETS("or", i.how = WITH_OR),
    SETS("xor", i.how = WITH_XOR),
    SETS("any", i.how = HOW_ANY),
    SETS("all", i.how = HOW_ALL),
    SETS("ballot", i.how = HOW_BALLOT),
    SETS("idx", i.how = HOW_INDEX),
    SETS("up", i.how = HOW_UP),
    SETS("down", i.how = HOW_DOWN),
    SETS("bfly", i.how = HOW_XOR),
    SETS("add", i.how = HOW_ADD),
    SETS("min", i.how = HOW_MIN),
    SETS("max", i.how = HOW_MAX),
    SETS("exch", i.how = HOW_SWAP),
    SETS("cas", i.how = HOW_CAS),
    SETS("popc", i.how = HOW_COUNT),
    SETS("m8n8", (void)i),
    SETS("m16n8k16", (void)i),
    SETS("row", (void)i),
    SETS("col", (void)i),
    SETS("eq", i.comparison = EQ),
    SETS("ne", i.comparison = NE),
    SETS("lt", i.comparison = LT),
    SETS("le", i.comparison = LE),
    SETS("gt", i.comparison = GT),
    SETS("ge", i.comparison = GE),
    SETS("equ", i.comparison = EQU),
    SETS("neu", i.comparison = NEU),
    SETS("ltu", i.comparison = LTU),
    SETS("leu", i.comparison = LEU),
    SETS("gtu", i.comparison = GTU),
    SETS("geu", i.comparison = GEU),
    SETS("num", i.comparison = NUM),
    SETS("nan", i.comparison = NAN_),
};
#undef SETS

static const struct {
    const char *word;
    ptx_opcode  opcode;
} opcodes[] = {
    {"abs", ABS},
    {"activemask", ACTIVEMASK},
    {"add", ADD},
    {"addc", ADDC},
    {"and", AND},
    {"atom", ATOM},
    {"bar", BAR},
    {"barrier", BAR},
    {"bfe", BFE},
    {"bfi", BFI},
    {"bfind", BFIND},
    {"bra", BRA},
    {"brev", BREV},
    {"call", CALL},
    {"clz", CLZ},
    {"copysign", COPYSIGN},
    {"cos", COS},
    {"cp", CP_ASYNC},
    {"cvt", CVT},
    {"cvta", CVTA},
    {"div", DIV},
    {"ex2", EX2},
    {"exit", RET},
    {"fence", FENCE},
    {"fma", FMA},
    {"ld", LD},
    {"ldmatrix", LDMATRIX},
    {"lg2", LG2},
    {"mad", MAD},
    {"madc", MADC},
    {"max", MAX},
    {"membar", FENCE},
    {"min", MIN},
    {"mma", MMA},
    {"mov", MOV},
    {"mul", MUL},
    {"neg", NEG},
    {"not", NOT},
    {"or", OR},
    {"popc", POPC},
    {"prmt", PRMT},
    {"rcp", RCP},
    {"red", RED},
    {"rem", REM},
    {"ret", RET},
    {"rsqrt", RSQRT},
    {"selp", SELP},
    {"setp", SETP},
    {"shf", SHF},
    {"shfl", SHFL},
    {"shl", SHL},
    {"shr", SHR},
    {"sin", SIN},
    {"sqrt", SQRT},
    {"st", ST},
    {"sub", SUB},
    {"subc", SUBC},
    {"tanh", TANH},
    {"trap", TRAP},
    {"vote", VOTE},
    {"xor", XOR},
};

static const char *const specials[] = {"%tid.x",    "%tid.y",    "%tid.z",   "%ntid.x",  "%ntid.y",
                                       "%ntid.z",   "%ctaid.x",  "%ctaid.y", "%ctaid.z", "%nctaid.x",
                                       "%nctaid.y", "%nctaid.z", "%laneid",  "%warpid"};

ptx_type ptx_type_of(const std::string &word) {
    for (size_t t = 0; t < NONE; t++)
        if (word == type_names[t]) return (ptx_type)t;
    return NONE;
}

bool ptx_special_of(const std::string &word, uint64_t *number) {
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (word == specials[i]) {
            *number = i;
            return true;
        }
    return false;
}

bool ptx_opcode_of(const std::string &word, ptx_opcode *opcode) {
    for (const auto &known : opcodes)
        if (word == known.word) {
            *opcode = known.opcode;
            return true;
        }
    return false;
}

bool ptx_take_suffix(ptx_instruction &i, const std::string &word) {
    ptx_type type = ptx_type_of(word);
    if (type != NONE) {
        if (i.type == NONE)
            i.type = type;
        else if (i.from == NONE)
            i.from = type;
        return true;
    }
    if (word == "warp" && i.opcode == BAR)
        i.opcode = BAR_WARP;
    else if (word == "red" && i.opcode == BAR)
        i.opcode = BAR_RED;
    else if (word == "commit_group" && i.opcode == CP_ASYNC)
        i.opcode = CP_ASYNC_COMMIT;
    else if (word == "wait_group" && i.opcode == CP_ASYNC)
        i.opcode = CP_ASYNC_WAIT;
    else {
        for (const suffix &known : suffixes)
            if (word == known.word) {
                known.take(i);
                return true;
            }
        return false;
    }
    return true;
}
