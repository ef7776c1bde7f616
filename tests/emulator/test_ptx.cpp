/* test_ptx.cpp -- PTX instructions against the manual: a table of instructions and results, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>
}

#include "ptx/arithmetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

/* Results as bits; %d is the destination. Values are the manual's examples, or follow from its text; floats:
 * 3F800000 is 1, 40000000 2, 7F800000 infinity, 7FC00000 NaN. */
static const struct {
    const char *instruction;
    uint64_t    result;
} table[] = {
    {"add.s32 %d, 0x7fffffff, 1", 0xffffffff80000000}, /* wraps */
    {"add.u32 %d, 0xffffffff, 2", 1},
    {"sub.u64 %d, 1, 2", 0xffffffffffffffff},
    {"mul.lo.s32 %d, -3, 5", (uint64_t)-15},
    {"mul.hi.s32 %d, 0x40000000, 8", 2},
    {"mul.hi.u32 %d, 0xffffffff, 0xffffffff", 0xfffffffe},
    {"mul.hi.u64 %d, 0xffffffffffffffff, 0xffffffffffffffff", 0xfffffffffffffffe},
    {"mul.hi.s64 %d, -1, 1", 0xffffffffffffffff},
    {"mul.wide.s32 %d, -2, 3", (uint64_t)-6},
    {"mul.wide.u32 %d, 0xffffffff, 0xffffffff", 0xfffffffe00000001},
    {"mul.wide.u16 %d, 0xffff, 0xffff", 0xfffe0001},
    {"mad.lo.s32 %d, 3, 4, 5", 17},
    {"mad.wide.s32 %d, -3, 4, 5", (uint64_t)-7},
    {"div.s32 %d, -7, 2", (uint64_t)-3},
    {"rem.s32 %d, -7, 2", (uint64_t)-1},
    {"div.u32 %d, 0xffffffff, 16", 0x0fffffff},
    {"min.s32 %d, -1, 1", (uint64_t)-1},
    {"min.u32 %d, -1, 1", 1},
    {"max.s64 %d, -1, 1", 1},
    {"abs.s32 %d, -5", 5},
    {"neg.s64 %d, 5", (uint64_t)-5},
    {"not.b32 %d, 0", 0xffffffff},
    {"not.pred %d, 1", 0},
    {"and.b64 %d, 0xff00ff00ff, 0xf0f0f0f0f0", 0xf000f000f0},
    {"xor.b32 %d, 0xff, 0x0f", 0xf0},
    {"shl.b32 %d, 1, 31", 0x80000000},
    {"shl.b32 %d, 1, 32", 0}, /* shifts of the width or more give 0, */
    {"shr.u32 %d, 0x80000000, 40", 0},
    {"shr.s32 %d, 0x80000000, 40", (uint64_t)-1}, /* or the sign */
    {"shr.s64 %d, 0x8000000000000000, 4", 0xf800000000000000},
    {"shf.l.wrap.b32 %d, 0x80000001, 0x00000003, 4", 0x38},
    {"shf.r.wrap.b32 %d, 0x80000001, 0x00000003, 4", 0x38000000},
    {"shf.l.wrap.b32 %d, 0x80000001, 0x00000003, 36", 0x38},
    {"shf.l.clamp.b32 %d, 0x80000001, 0x00000003, 36", 0x80000001},
    {"shf.r.clamp.b32 %d, 0x80000001, 0x00000003, 36", 0x00000003},
    {"bfe.u32 %d, 0xabcd1234, 8, 8", 0x12},
    {"bfe.s32 %d, 0x0000f000, 12, 4", (uint64_t)-1},
    {"bfe.u32 %d, 0xabcd1234, 28, 8", 0xa},
    {"bfe.s32 %d, 0x80000000, 28, 8", 0xfffffffffffffff8},
    {"bfe.u32 %d, 0xabcd1234, 4, 0", 0},
    {"bfi.b32 %d, 0xff, 0x11111111, 4, 8", 0x11111ff1},
    {"bfi.b32 %d, 0xff, 0x11111111, 28, 8", 0xf1111111},
    {"bfi.b64 %d, 0x1, 0, 63, 1", 0x8000000000000000},
    {"bfind.u32 %d, 0x00010000", 16},
    {"bfind.s32 %d, -1", 0xffffffff},
    {"bfind.shiftamt.u32 %d, 0x00010000", 15},
    {"bfind.u64 %d, 0", 0xffffffff},
    {"brev.b32 %d, 0x00000001", 0x80000000},
    {"clz.b32 %d, 0x00010000", 15},
    {"clz.b64 %d, 0", 64},
    {"popc.b32 %d, 0xf0f0f0f0", 16},
    {"popc.b64 %d, 0xffffffffffffffff", 64},
    {"prmt.b32 %d, 0x33221100, 0x77665544, 0x5410", 0x55441100},
    {"prmt.b32 %d, 0x00000080, 0, 0x8888", 0xffffffff}, /* copies of the sign */
    {"selp.b32 %d, 7, 8, 1", 7},
    {"selp.f32 %d, 0f3F800000, 0f40000000, 0", 0x40000000},

    {"setp.lt.s32 %d, -1, 1", 1},
    {"setp.lt.u32 %d, -1, 1", 0},
    {"setp.ge.u64 %d, -1, 1", 1},
    {"setp.eq.b32 %d, 0x1ffffffff, 0xffffffff", 1}, /* of 32 bits */
    {"setp.lt.f32 %d, 0f7FC00000, 0f3F800000", 0},
    {"setp.ltu.f32 %d, 0f7FC00000, 0f3F800000", 1},
    {"setp.ne.f32 %d, 0f7FC00000, 0f3F800000", 0},
    {"setp.neu.f32 %d, 0f7FC00000, 0f7FC00000", 1},
    {"setp.num.f32 %d, 0f7FC00000, 0f3F800000", 0},
    {"setp.nan.f32 %d, 0f7FC00000, 0f3F800000", 1},
    {"setp.eq.and.s32 %d, 1, 1, 0", 0},
    {"setp.eq.or.s32 %d, 1, 2, 1", 1},
    {"setp.eq.xor.s32 %d, 1, 1, 1", 0},

    {"add.f32 %d, 0f3F800000, 0f33800000", 0x3f800000}, /* 1 + 2^-24: a tie, to even */
    {"add.rp.f32 %d, 0f3F800000, 0f33800000", 0x3f800001},
    {"add.rz.f32 %d, 0fBF800000, 0f33000000", 0xbf7fffff},
    {"fma.rn.f32 %d, 0f3F800001, 0f3F800001, 0fBF800002", 0x28800000}, /* one rounding: 2^-46 is left */
    {"fma.rm.f32 %d, 0f3F800000, 0f3F800000, 0f33800000", 0x3f800000},
    {"fma.rp.f32 %d, 0f3F800000, 0f3F800000, 0f33800000", 0x3f800001},
    {"mul.f32 %d, 0f00000001, 0f3F000000", 0}, /* 2^-150: a tie, to even */
    {"mul.ftz.f32 %d, 0f00000001, 0f40000000", 0},
    {"div.rn.f32 %d, 0f3F800000, 0f00000000", 0x7f800000},
    {"min.f32 %d, 0f7FC00000, 0f3F800000", 0x3f800000}, /* the number where one is none */
    {"max.f32 %d, 0f80000000, 0f00000000", 0},          /* -0 is less than +0 */
    {"min.f32 %d, 0f80000000, 0f00000000", 0x80000000},
    {"abs.f32 %d, 0fBF800000", 0x3f800000},
    {"neg.f32 %d, 0f00000000", 0x80000000},
    {"copysign.f32 %d, 0f80000000, 0f3F800000", 0xbf800000}, /* the sign of the first */
    {"ex2.approx.f32 %d, 0f40400000", 0x41000000},
    {"lg2.approx.f32 %d, 0f41000000", 0x40400000},
    {"rsqrt.approx.f32 %d, 0f40800000", 0x3f000000},
    {"rcp.rn.f32 %d, 0f40000000", 0x3f000000},
    {"sqrt.rn.f32 %d, 0f40800000", 0x40000000},
    {"add.rn.f64 %d, 0d3FF0000000000000, 0d3FF0000000000000", 0x4000000000000000},
    {"fma.rn.f64 %d, 0d4000000000000000, 0d4000000000000000, 0d3FF0000000000000", 0x4014000000000000},

    {"cvt.u32.u64 %d, 0x1234567890", 0x34567890},
    {"cvt.s64.s32 %d, 0x80000000", 0xffffffff80000000},
    {"cvt.u64.u32 %d, 0xffffffff80000000", 0x80000000},
    {"cvt.s32.s8 %d, 0x80", 0xffffffffffffff80},
    {"cvt.u32.u8 %d, 0x1ff", 0xff},
    {"cvt.rn.f32.s32 %d, -1", 0xbf800000},
    {"cvt.rn.f32.u32 %d, 16777217", 0x4b800000}, /* 2^24 + 1: a tie, to even */
    {"cvt.rp.f32.u32 %d, 16777217", 0x4b800001},
    {"cvt.rn.f64.s64 %d, -2", 0xc000000000000000},
    {"cvt.f64.f32 %d, 0f3F800000", 0x3ff0000000000000},
    {"cvt.rn.f32.f64 %d, 0d3FF0000000000000", 0x3f800000},
    {"cvt.rzi.s32.f32 %d, 0fBFC00000", (uint64_t)-1}, /* -1.5 */
    {"cvt.rmi.s32.f32 %d, 0fBFC00000", (uint64_t)-2},
    {"cvt.rni.s32.f32 %d, 0f40200000", 2}, /* 2.5: to even */
    {"cvt.rpi.s32.f32 %d, 0f40200000", 3},
    {"cvt.rzi.u32.f32 %d, 0fBF800000", 0}, /* bounded */
    {"cvt.rzi.s32.f32 %d, 0f4F800000", 0x7fffffff},
    {"cvt.rzi.u32.f32 %d, 0f4F800000", 0xffffffff},
    {"cvt.rzi.s32.f32 %d, 0f7FC00000", 0}, /* NaN */
    {"cvt.rzi.s64.f32 %d, 0f7FC00000", 0x8000000000000000},
    {"cvt.rni.f32.f32 %d, 0f40200000", 0x40000000},
    {"cvt.sat.f32.f32 %d, 0f40000000", 0x3f800000},
    {"cvt.sat.f32.f32 %d, 0f7FC00000", 0},
    {"cvt.rn.bf16.f32 %d, 0f3F808000", 0x3f80}, /* a tie, to even */
    {"cvt.rn.bf16.f32 %d, 0f3F818000", 0x3f82},
    {"cvt.rn.bf16.f32 %d, 0f7F800001", 0x7fff},
    {"cvt.rn.bf16x2.f32 %d, 0f3F800000, 0f40000000", 0x3f804000}, /* the first is the upper half */
    {"cvt.f32.bf16 %d, 0x3f80", 0x3f800000},
};

static ptx_program *program_of(const std::string &body) {
    char path[] = "/tmp/cantus-ptx-XXXXXX";
    int  file = mkstemp(path);
    assert_true(file >= 0);
    std::string text =
        ".version 9.0\n.target sm_90\n.address_size 64\n.entry k()\n{\n.reg .b64 %d, %e;\n.reg .pred %p;\n" + body +
        "ret;\n}\n";
    assert_int_equal(write(file, text.data(), text.size()), (ssize_t)text.size());
    close(file);
    ptx_program *program = ptx_read(path);
    unlink(path);
    return program;
}

static void instructions_do_what_the_manual_says(void **) {
    std::string body;
    for (const auto &line : table) body += std::string(line.instruction) + ";\n";
    const ptx_function *k = program_of(body)->functions["k"];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint64_t v[4] = {};
        bool     carry = false;
        for (size_t o = 1; o < k->code[i].operands.size(); o++) v[o - 1] = k->code[i].operands[o].number;
        uint64_t result = ptx_compute(k->code[i], v, &carry);
        if (result != table[i].result)
            fail_msg("%s: %#lx, not %#lx", table[i].instruction, (unsigned long)result, (unsigned long)table[i].result);
    }
}

/* 2^96 - 1 and 1 as three words each: their sum, and 0 - 1 */
static void carries_pass_from_word_to_word(void **) {
    const ptx_function *k =
        program_of("add.cc.u32 %d, 0xffffffff, 1; addc.cc.u32 %d, 0xffffffff, 0; addc.u32 %d, 0xffffffff, 0;"
                   "addc.u32 %d, 0, 0; sub.cc.u32 %d, 0, 1; subc.cc.u32 %d, 0, 0; subc.u32 %d, 5, 0;"
                   "mad.lo.cc.u32 %d, 0xffffffff, 1, 1; madc.hi.u32 %d, 0xffffffff, 1, 0;\n")
            ->functions["k"];
    static const uint64_t results[] = {0, 0, 0, 1, 0xffffffff, 0xffffffff, 4, 0, 1};
    bool                  carry = false;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        uint64_t v[4] = {};
        for (size_t o = 1; o < k->code[i].operands.size(); o++) v[o - 1] = k->code[i].operands[o].number;
        assert_int_equal(ptx_compute(k->code[i], v, &carry), results[i]);
    }
}

/* An instruction or form that is not known ends the program, naming it. */
static void what_is_not_understood_is_an_error(void **) {
    static const char *const lines[] = {"vadd.u32.u32.u32 %d, 1, 2, 3;",
                                        "add.s32.frobbed %d, 1, 2;",
                                        "mov.u32 %d, %nowhere;",
                                        "bra $nowhere;",
                                        "bar.sync 1;",
                                        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%d}, {%d}, {%d}, {%d};",
                                        "setp.lt.s32 %p|%d, 1, 2;",
                                        ".tex .u64 t;"};
    for (const char *line : lines) {
        int pipes[2], how;
        assert_int_equal(pipe(pipes), 0);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            dup2(pipes[1], 2);
            program_of(line);
            _exit(0);
        }
        close(pipes[1]);
        char    said[1000];
        ssize_t n = read(pipes[0], said, sizeof said - 1);
        said[n > 0 ? n : 0] = 0;
        close(pipes[0]);
        assert_int_equal(waitpid(child, &how, 0), child);
        if (!WIFEXITED(how) || WEXITSTATUS(how) != 1 || !strstr(said, "cantus-ptx-"))
            fail_msg("%s: \"%s\"", line, said);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_do_what_the_manual_says),
        cmocka_unit_test(carries_pass_from_word_to_word),
        cmocka_unit_test(what_is_not_understood_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
