/* test_flight.c -- the flight record: rings that keep the last of what they are told, a file that is whole, and a
 * message that stays. Where it is used: tests/e2e/rank_kills.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/log.h"
#include "kernels/flight.h"
#include "temp_folder.h"

#include <signal.h>
#include <unistd.h>

static ct_arena arena;
static char     folder[TEMP_PATH];

static int begin(void **state) {
    (void)state;
    temp_folder(folder);
    return 0;
}
static int end(void **state) {
    (void)state;
    temp_remove(folder);
    ct_arena_free(&arena);
    return 0;
}

static ct_json *record_of(int rank) {
    const char    *path = temp_path(&arena, folder, ct_arena_printf(&arena, "flight-%d.json", rank));
    const ct_bytes bytes = temp_read(path, &arena);
    ct_json       *json;
    assert_int_equal(ct_json_parse((const char *)bytes.at, bytes.count, path, &json), CT_OK);
    return json;
}

static bool is_there(const char *name) {
    return ct_file_exists(temp_path(&arena, folder, name));
}

static void the_last_of_each(void **state) {
    const int64_t calls = 3 * CT_FLIGHT_CALLS + 5;
    (void)state;
    ct_flight_open(folder, 2, 4, "here");
    ct_flight_at("training", 7, 14);
    for (int i = 0; i < 2 * CT_FLIGHT_OPS + 1; i++) ct_flight_op("linear", i - 1, "attention.qkv");
    for (int64_t i = 0; i < calls; i++) {
        ct_flight_call(i, i % 2 ? "all_reduce" : "barrier", 10 * i);
        if (i < calls - 1) ct_flight_call_begun(i);
        if (i < calls - 2) ct_flight_call_ended(i, i % 3 > 0);
    }
    ct_flight_call_ended(0, true); /* long forgotten */
    assert_int_equal(ct_flight_close(ct_fail(CT_EFAIL, "all is \"lost\"")), CT_EFAIL);
    assert_string_equal(ct_message(),
                        ct_arena_printf(&arena, "all is \"lost\"; flight record: %s/flight-2.json", folder));
    ct_json *json = record_of(2), *list = ct_json_get(json, "collectives"), *ops = ct_json_get(json, "ops");
    assert_string_equal(ct_json_text(ct_json_get(json, "message"), ""), "all is \"lost\"");
    assert_string_equal(ct_json_text(ct_json_get(json, "doing"), ""), "training");
    assert_int_equal(ct_json_integer(ct_json_get(json, "step"), 0), 7);
    assert_int_equal(ct_json_integer(ct_json_get(json, "micro_step"), 0), 14);
    assert_int_equal(ct_json_count(list), CT_FLIGHT_CALLS);
    for (size_t i = 0; i < CT_FLIGHT_CALLS; i++) {
        const ct_json *call = ct_json_at(list, i);
        const int64_t  number = calls - CT_FLIGHT_CALLS + (int64_t)i;
        const char    *expected = number == calls - 1   ? "queued"
                                  : number == calls - 2 ? "waiting"
                                  : number % 3 > 0      ? "done"
                                                        : "failed";
        assert_int_equal(ct_json_integer(ct_json_get(call, "number"), -1), number);
        assert_int_equal(ct_json_integer(ct_json_get(call, "bytes"), -1), 10 * number);
        assert_string_equal(ct_json_text(ct_json_get(call, "call"), ""), number % 2 ? "all_reduce" : "barrier");
        assert_string_equal(ct_json_text(ct_json_get(call, "state"), ""), expected);
        assert_true(ct_json_real(ct_json_get(call, "asked"), 1) <= 0);
    }
    assert_int_equal(ct_json_count(ops), CT_FLIGHT_OPS);
    assert_int_equal(ct_json_integer(ct_json_get(ct_json_at(ops, CT_FLIGHT_OPS - 1), "layer"), 0),
                     2 * CT_FLIGHT_OPS - 1);
    assert_string_equal(ct_json_text(ct_json_get(ct_json_at(ops, 0), "op"), ""), "linear");
    ct_json_free(json);
}

static void a_start_removes_them(void **state) {
    static const char *const names[] = {"flight-2.json", "flight-11.json", "flight-3.json.77.tmp"};
    (void)state;
    for (size_t i = 0; i < CT_COUNT(names); i++) temp_write(temp_path(&arena, folder, names[i]), "x", 1);
    temp_write(temp_path(&arena, folder, "flight-plan.json"), "x", 1);
    ct_flight_clear(folder);
    for (size_t i = 0; i < CT_COUNT(names); i++) assert_false(is_there(names[i]));
    assert_true(is_there("flight-plan.json"));
    ct_flight_clear("/none/at/all");
}

/* Told to end while it waits: recorded a moment later; if all goes well after that, nothing is left. */
static void told_to_end(void **state) {
    (void)state;
    ct_flight_open(folder, 0, 2, "here");
    ct_flight_waits();
    kill(getpid(), SIGTERM);
    for (int i = 0; i < 40 && !is_there("flight-0.json"); i++) {
        usleep(50000);
        ct_flight_waits();
        if (i < 3) assert_false(is_there("flight-0.json"));
    }
    ct_json *json = record_of(0);
    assert_non_null(strstr(ct_json_text(ct_json_get(json, "message"), ""), "told to end"));
    ct_json_free(json);
    assert_int_equal(ct_flight_close(CT_OK), CT_OK);
    assert_false(is_there("flight-0.json"));
}

static void a_message_stays(void **state) {
    (void)state;
    ct_flight_open("/none/at/all", 1, 2, "here");
    assert_int_equal(ct_flight_close(ct_fail(CT_ENOMEM, "the first message")), CT_ENOMEM);
    assert_string_equal(ct_message(), "the first message");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_of_each), cmocka_unit_test(a_start_removes_them),
                                       cmocka_unit_test(told_to_end), cmocka_unit_test(a_message_stays)};
    ct_stop_install();
    return cmocka_run_group_tests(tests, begin, end);
}
