/* test_machine.c -- the emulated machine: what it computes, what it refuses, what it reports and of which line
 * (probes.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "emulator.h"
#include "probes.h"

#include <stdio.h>
#include <string.h>

enum { WORDS = 256, ZEROS = 128 };

static unsigned *device_in, *device_out, out[WORDS];

static void begin(void) {
    unsigned in[WORDS], zeros[ZEROS] = {0};
    for (unsigned i = 0; i < WORDS; i++) in[i] = i;
    device_in = emulator_alloc(sizeof in);
    device_out = emulator_alloc(sizeof out);
    emulator_write(device_in, in, sizeof in);
    emulator_write(device_out, zeros, sizeof zeros);
    emulator_forget_reports();
}
static void end(void) {
    emulator_free(device_in);
    emulator_free(device_out);
}

/* ---- probes */
typedef struct probe_about {
    probe       which;
    const char *name, *kind;
    bool        checked;
} probe_about;
#define ABOUT(name, kind, checked, blocks, threads) {PROBE_##name, #name, kind, checked},
static const probe_about probes[] = {PROBES(ABOUT)};

/* Does the text name a line of probes.cu that is planted for this probe? */
static bool names_planted_line(const char *text, const char *name) {
    FILE *source = fopen("tests/emulator/probes.cu", "r");
    char  line[300], planted[100], place[50];
    bool  found = false;
    assert_non_null(source);
    snprintf(planted, sizeof planted, "PLANTED %s ", name);
    for (int number = 1; fgets(line, sizeof line, source); number++) {
        snprintf(place, sizeof place, "tests/emulator/probes.cu:%d]", number);
        found = found || (strstr(line, planted) && strstr(text, place));
    }
    fclose(source);
    return found;
}

/* What would fault, PTX is kept from. */
static bool is_ptx(void) {
    return strstr(emulator_front_end(0), "PTX");
}

static const char *report_of(const char *kind) { /* "": none */
    char begin_of_text[100];
    snprintf(begin_of_text, sizeof begin_of_text, "%s: ", kind);
    for (int i = 0; emulator_report(i); i++)
        if (!strncmp(emulator_report(i), begin_of_text, strlen(begin_of_text))) return emulator_report(i);
    return "";
}

static void check_report(const probe_about *p, int order) {
    char        kernel[100];
    const char *kind = is_ptx() && !strcmp(p->kind, "fault") ? "out-of-bounds" : p->kind, *text = report_of(kind);
    snprintf(kernel, sizeof kernel, "kernel %s", p->name);
    if (!*text)
        fail_msg("%s, order %d: no %s; first report: %s", p->name, order, kind,
                 emulator_report_count() ? emulator_report(0) : "none");
    if (!strstr(text, kernel)) fail_msg("%s, order %d: does not name the kernel: %s", p->name, order, text);
    if (!emulator_checks_accesses() && !strncmp(p->name, "write_", 6) && strcmp(p->kind, "fault") != 0)
        return; /* found after the launch, at the guards */
    if (!strstr(text, "block (") || !strstr(text, "thread ("))
        fail_msg("%s, order %d: does not name block and thread: %s", p->name, order, text);
    if (!names_planted_line(text, p->name)) fail_msg("%s, order %d: does not name the line: %s", p->name, order, text);
}

/* After these there is no going on: the launch fails. (PTX goes on after what would have faulted.) */
static bool gives_up(const char *kind) {
    return strstr(is_ptx() ? "divergent-barrier divergent-warp deadlock"
                           : "divergent-barrier divergent-warp deadlock fault",
                  kind);
}

static void probe_in_order(const probe_about *p, int order) {
    emulator_set_schedule((emulator_schedule){.order = (emulator_order)order, .seed = 3, .workers = 1});
    begin();
    ct_status status = probe_run(p->which, device_out, device_in);
    if (p->kind) {
        check_report(p, order);
        if (gives_up(p->kind)) assert_int_equal(status, CT_EFAIL);
    } else { /* and once more: launches are ordered */
        assert_int_equal(status, CT_OK);
        assert_int_equal(probe_run(p->which, device_out, device_in), CT_OK);
        if (emulator_report_count() > 0) fail_msg("%s, order %d: %s", p->name, order, emulator_report(0));
    }
    end();
    emulator_forget_reports();
}

static void probed(void **state) {
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        for (int order = 0; order < EMULATOR_ORDERS; order++) probe_in_order(*state, order);
    }
}

/* ---- lessons */
static void run(lesson which, int words) {
    begin();
    assert_int_equal(lesson_run(which, device_out, device_in), CT_OK);
    if (which == LESSON_SHARED_IS_NAN) emulator_forget_reports(); /* it reads what was never written */
    emulator_read(out, device_out, (size_t)words * sizeof *out);
    if (emulator_report_count() > 0) fail_msg("%s", emulator_report(0));
    end();
}

static void every_thread_knows_itself(void) {
    run(LESSON_INDICES, 192);
    for (unsigned i = 0; i < 192; i++) assert_int_equal(out[i], i % 16 + 1000 * (i / 16));
}
static void shuffles_in_segments(void) {
    run(LESSON_SHUFFLES, 96);
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(out[i], 28 + 64 * (i / 8));
        assert_int_equal(out[64 + i], i % 16 == 0 ? i : i - 1);
    }
}
static void votes(void) {
    run(LESSON_VOTES, 64);
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(out[i], 0x1f);
        assert_int_equal(out[32 + i], 2);
    }
}
static void barriers_with_predicates(void) {
    run(LESSON_BARRIERS, 64);
    for (unsigned i = 0; i < 64; i++) assert_int_equal(out[i], 40 * 4 + 2);
}
static void asynchronous_copies(void) {
    run(LESSON_COPIES, 3);
    assert_int_equal(out[0], 7);
    assert_int_equal(out[1], 0);
    assert_int_equal(out[2], 13);
}
static void shared_memory_is_nan_and_aligned_as_asked(void) {
    run(LESSON_SHARED_IS_NAN, 3);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 1);
    assert_int_equal(out[2], 16);
}
static void launches_follow_each_other(void) {
    run(LESSON_LAUNCHES, 68);
    assert_int_equal(out[0], 1);
    for (int i = 0; i < 4; i++) assert_int_equal(out[64 + i], 0);
}
static void atomics(void) {
    run(LESSON_ATOMICS, 6);
    float sum;
    memcpy(&sum, &out[1], sizeof sum);
    assert_int_equal(out[0], 4224); /* 8 times 1 + ... + 32 */
    assert_true(sum == 4224.0f);
    assert_int_equal(out[2], 32);
    assert_int_equal((int)out[3], -32);
    assert_int_equal(out[4], 7);
    assert_int_equal(out[5], 3);
}

static void taught(void **state) {
    void (*lesson_of)(void) = *(void (**)(void)) * state;
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        for (int order = 0; order < EMULATOR_ORDERS; order++)
            for (int workers = 1; workers <= 4; workers += 3) {
                emulator_set_schedule(
                    (emulator_schedule){.order = (emulator_order)order, .seed = 3, .workers = workers});
                lesson_of();
            }
    }
}

/* ---- what is refused */
static void launches_are_refused(void **state) {
    (void)state;
    assert_int_equal(probe_launch(1, 1024, 227 * 1024), CT_OK);
    assert_int_equal(probe_launch(0, 32, 0), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "kernel nothing: invalid configuration"));
    assert_int_equal(probe_launch(1, 0, 0), CT_EFAIL);
    assert_int_equal(probe_launch(1, 1025, 0), CT_EFAIL);
    assert_int_equal(probe_launch(1, 32, 227 * 1024 + 1), CT_EFAIL);
}

static void host_copies_are_checked(void **state) {
    (void)state;
    begin();
    emulator_read(out, device_out, ZEROS * sizeof *out);
    assert_int_equal(emulator_report_count(), 0);
    emulator_read(out, device_out, (ZEROS + 1) * sizeof *out);
    assert_true(emulator_reported("uninitialised") == emulator_checks_accesses());
    assert_true(out[ZEROS] == 0xffffffffu); /* NaN */
    emulator_forget_reports();
    emulator_write(device_out, out, sizeof out + 1);
    assert_true(emulator_reported("out-of-bounds"));
    emulator_forget_reports();
    emulator_read(out, device_out + 1, sizeof out);
    assert_true(emulator_reported("out-of-bounds"));
    emulator_forget_reports();
    emulator_free(device_out + 1);
    assert_true(emulator_reported("memory"));
    emulator_forget_reports();
    emulator_free(NULL);
    assert_int_equal(emulator_report_count(), 0);
    end();
}

/* A mistake in a loop is one report and many findings. */
static void reports_are_kept_once(void **state) {
    (void)state;
    emulator_set_schedule((emulator_schedule){.order = EMULATOR_FORWARD});
    begin();
    assert_int_equal(probe_run(PROBE_shuffle_orders_nothing, device_out, device_in), CT_OK);
    assert_true(emulator_report_count() > 1);
    assert_non_null(emulator_report(0));
    assert_null(emulator_report(1));
    end();
    emulator_forget_reports();
}

int main(void) {
    emulator_use_front_end(0); /* which says whether accesses are checked */
#define LESSON(name)                                                                                                   \
    { #name, name }
    static const struct {
        const char *name;
        void (*lesson)(void);
    } lessons[] = {LESSON(every_thread_knows_itself),
                   LESSON(shuffles_in_segments),
                   LESSON(votes),
                   LESSON(barriers_with_predicates),
                   LESSON(asynchronous_copies),
                   LESSON(shared_memory_is_nan_and_aligned_as_asked),
                   LESSON(launches_follow_each_other),
                   LESSON(atomics)};
    static const struct CMUnitTest others[] = {cmocka_unit_test(launches_are_refused),
                                               cmocka_unit_test(host_copies_are_checked)};
    struct CMUnitTest              tests[PROBE_COUNT + CT_COUNT(lessons) + CT_COUNT(others) + 1] = {0};
    size_t                         count = 0;
    for (size_t i = 0; i < CT_COUNT(lessons); i++)
        tests[count++] =
            (struct CMUnitTest){lessons[i].name, taught, NULL, NULL, (void *)(uintptr_t)&lessons[i].lesson};
    for (size_t i = 0; i < CT_COUNT(others); i++) tests[count++] = others[i];
    for (int i = 0; i < PROBE_COUNT; i++) /* without those that this flavour can't see */
        if (emulator_checks_accesses() || !probes[i].checked)
            tests[count++] = (struct CMUnitTest){probes[i].name, probed, NULL, NULL, (void *)(uintptr_t)&probes[i]};
    if (emulator_checks_accesses()) tests[count++] = (struct CMUnitTest)cmocka_unit_test(reports_are_kept_once);
    printf("%s%s\n", emulator_front_end(0), emulator_checks_accesses() ? ", every load and store checked" : "");
    return _cmocka_run_group_tests("machine", tests, count, NULL, NULL); /* what its macro calls, with their number */
}
