/* Options of commands: where they may stand, what they leave behind, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config_fixture.h"
#include "core/command.h"

static const char *dry, *depth;
static char        seen[200]; /* the words that the command ran with, a bar, the options behind them */

static ct_status run(int count, char **words) {
    *seen = 0;
    for (int i = 0; words[i]; i++)
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s%s ", i == count ? "| " : "", words[i]);
    return CT_OK;
}

static const ct_option  options[] = {{"--dry-run", NULL, "do nothing", &dry}, {"--depth", "N", "how deep", &depth}};
static const ct_command plain = {
    .name = "plain", .usage = "FILE", .options = options, .option_count = CT_COUNT(options), .run = run};
static const ct_command bare = {.name = "bare", .usage = "", .run = run};
static const ct_command with_config = {.name = "make", .usage = "CONFIG", .schema = &schema, .out = "name", .run = run};

/* Split `line` at spaces and run the command with it. */
static ct_status run_line(const ct_command *command, const char *line) {
    static char text[400];
    char       *words[32];
    int         count = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *at = text; *at;) {
        words[count++] = at;
        at += strcspn(at, " ");
        if (*at) *at++ = 0;
    }
    words[count] = NULL;
    dry = depth = NULL;
    snprintf(seen, sizeof seen, "did not run");
    return ct_command_run(command, count, words);
}

static void options_may_stand_anywhere(void **state) {
    (void)state;
    static const struct {
        const char *line, *dry, *depth, *seen;
    } cases[] = {
        {"", NULL, NULL, ""},
        {"a b=c", NULL, NULL, "a b=c "},
        {"--dry-run a b", "", NULL, "a b | --dry-run "},
        {"a --dry-run b --depth 3 c", "", "3", "a b c | --dry-run --depth 3 "},
        {"a --depth=x=y b", NULL, "x=y", "a b | --depth=x=y "},
        {"--depth --dry-run a", NULL, "--dry-run", "a | --depth --dry-run "},
        {"--depth= a", NULL, "", "a | --depth= "},
        {"--depth 1 --depth 2", NULL, "2", "| --depth 1 --depth 2 "},
        {"a -- --dry-run -- b", NULL, NULL, "a --dry-run -- b | -- "},
        {"- a", NULL, NULL, "- a "},
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        assert_int_equal(run_line(&plain, cases[i].line), CT_OK);
        assert_string_equal(seen, cases[i].seen);
        assert_true(!dry == !cases[i].dry && !depth == !cases[i].depth);
        if (depth) assert_string_equal(depth, cases[i].depth);
    }
}

static void bad_options_are_refused(void **state) {
    (void)state;
    static const struct {
        const ct_command *command;
        const char       *line, *message;
    } cases[] = {
        {&plain, "a --foo", "plain: unknown option --foo (hint: cantus plain --help lists them)"},
        {&plain, "--dry-runs", "unknown option --dry-runs"},
        {&plain, "--dry", "unknown option --dry"},
        {&plain, "-x", "unknown option -x"},
        {&plain, "--=", "unknown option --="},
        {&plain, "--dry-run=yes", "plain: --dry-run takes no value, found \"yes\""},
        {&plain, "a --depth", "plain: --depth needs a value: --depth N"},
        {&plain, "--index 3", "unknown option --index"}, /* no schema, no output: neither of these */
        {&plain, "--explain x", "unknown option --explain"},
        {&bare, "--dry-run", "unknown option --dry-run"},
        {&with_config, "--list", "make: no config file given"},
        {&with_config, "--list name=x", "make: no config file given"},
        {&with_config, "--list /nowhere/c.yaml", "/nowhere/c.yaml: can't open"},
        {&with_config, "--index", "make: --index needs a value: --index N"},
        {&with_config, "--explain", "make: --explain needs a value: --explain KEY"},
        {&with_config, "--explain cuont", "unknown key cuont (did you mean count?)"},
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        assert_int_equal(run_line(cases[i].command, cases[i].line), CT_EUSAGE);
        assert_message_has(cases[i].message);
        assert_string_equal(seen, "did not run");
    }
}

static void index_chooses_the_run_that_is_read(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v;
    char          *path = (char *)temp_path(&f.arena, f.folder, "f.yaml"), *words[] = {path, NULL};
    fixture_write(&f, "f.yaml", "name: o\nmatrix: {count: [5, 6]}\n");
    assert_int_equal(run_line(&with_config, fixture_text(&f, "@/f.yaml --index 2")), CT_OK);
    assert_string_equal(seen, fixture_text(&f, "@/f.yaml | --index 2 "));
    assert_int_equal(ct_command_config(&with_config, 1, words, &f.arena, &v), CT_OK);
    assert_int_equal(v.count, 6);
    assert_string_equal(v.name, "o/002");
    static const char *const bad[] = {"x", "0", "-1", "2x", "1.0", "99999999999999999999", ""};
    for (size_t i = 0; i < CT_COUNT(bad); i++) {
        assert_int_equal(run_line(&with_config, ct_arena_printf(&f.arena, "%s --index=%s", path, bad[i])), CT_OK);
        assert_int_equal(ct_command_config(&with_config, 1, words, &f.arena, &v), CT_EUSAGE);
        assert_message_has(
            ct_arena_printf(&f.arena, "make: --index: expected a whole number from 1 on, found \"%s\"", bad[i]));
    }
    assert_int_equal(run_line(&with_config, path), CT_OK); /* nothing is left of the last command line */
    assert_int_equal(ct_command_config(&with_config, 1, words, &f.arena, &v), CT_EUSAGE);
    assert_message_has("2 runs, and none was chosen");
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(index_chooses_the_run_that_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
