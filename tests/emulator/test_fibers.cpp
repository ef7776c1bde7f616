/* test_fibers.cpp -- a switch keeps what a call must keep, on the stack and in registers. Also built on ucontext. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>
}

#include "fiber.h"

static fiber    main_flow, flows[2];
static int      turns[2];
static double   sums[2];
static unsigned now;

/* Much is alive across the switch: more than there are registers. */
static void count(void) {
    const unsigned me = now;
    uint64_t       a = me + 1, b = 3 * a, c = 5 * b, d = 7 * c, e = 11 * d, f = 13 * e, g = 17 * f;
    double         x = 0.5 * (double)a, y = 0.25 * (double)b, z = x + y;
    for (int i = 0; i < 1000; i++) {
        a += 1, b += a, c ^= b, d += c, e ^= d, f += e, g ^= f;
        x += 0.5, y += x, z += 1e-3 * y;
        turns[me]++;
        now = 1 - me;
        fiber_switch(&flows[me], &flows[1 - me]);
    }
    sums[me] = (double)((a ^ b ^ c ^ d ^ e ^ f ^ g) % 1000003) + z;
    if (me == 0) fiber_switch(&flows[0], &flows[1]); /* which ends last */
    fiber_switch(&flows[me], &main_flow);
}

static double alone(unsigned me) {
    uint64_t a = me + 1, b = 3 * a, c = 5 * b, d = 7 * c, e = 11 * d, f = 13 * e, g = 17 * f;
    double   x = 0.5 * (double)a, y = 0.25 * (double)b, z = x + y;
    for (int i = 0; i < 1000; i++) {
        a += 1, b += a, c ^= b, d += c, e ^= d, f += e, g ^= f;
        x += 0.5, y += x, z += 1e-3 * y;
    }
    return (double)((a ^ b ^ c ^ d ^ e ^ f ^ g) % 1000003) + z;
}

static void two_take_turns(void **) {
    for (int again = 0; again < 2; again++) { /* a fiber is begun anew on the stack it had */
        for (fiber &f : flows) {
            if (!f.low) fiber_allocate(&f, 64 * 1024);
            fiber_begin(&f, f.high - 1000 * again, count);
        }
        turns[0] = turns[1] = 0;
        now = 0;
        fiber_switch(&main_flow, &flows[0]);
        for (unsigned me = 0; me < 2; me++) {
            assert_int_equal(turns[me], 1000);
            assert_true(sums[me] == alone(me));
        }
    }
}

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(two_take_turns)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
