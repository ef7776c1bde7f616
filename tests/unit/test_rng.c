/* test_rng.c -- Philox4x32-10: the known answers of Random123 (Salmon et al., SC 2011), and the derived draws. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rng.h"

static void check(uint64_t key, uint64_t high, uint64_t low, const uint32_t wanted[4]) {
    ct_philox x = ct_philox_at(key, high, low);
    for (int i = 0; i < 4; i++) assert_int_equal(x.word[i], wanted[i]);
}

static void known_answers(void **state) {
    (void)state;
    check(0, 0, 0, (const uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    check(UINT64_MAX, UINT64_MAX, UINT64_MAX, (const uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check(0x299f31d0a4093822u, 0x0370734413198a2eu, 0x85a308d3243f6a88u,
          (const uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

static void ranges(void **state) {
    (void)state;
    assert_true(ct_philox_float(0) == 0 && ct_philox_float(UINT32_MAX) == 1 - 0x1p-24f);
    assert_true(ct_philox_double(0, 0) == 0 && ct_philox_double(UINT32_MAX, UINT32_MAX) == 1 - 0x1p-53);
    assert_int_equal(ct_philox_below(0, 7), 0);
    assert_int_equal(ct_philox_below(UINT32_MAX, 7), 6);
    int seen[7] = {0};
    for (uint64_t i = 0; i < 7000; i++) seen[ct_philox_below(ct_philox_at(3, 0, i).word[0], 7)]++;
    for (int i = 0; i < 7; i++) assert_in_range(seen[i], 880, 1120); /* 1000, standard deviation 29: four of them */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers), cmocka_unit_test(ranges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
