/* Many runs from one config: their order, their folders, what is refused; and keys explained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config_fixture.h"

/* Run `index` of f.yaml, its folder named by `name`. */
static ct_status read_run(config_fixture *f, int64_t index, const char *word, values *out) {
    const ct_config_source source = {.path = temp_path(&f->arena, f->folder, "f.yaml"),
                                     .overrides = &word,
                                     .override_count = word != NULL,
                                     .out = "name",
                                     .index = index};
    memset(out, 0, sizeof *out);
    return ct_config_read_source(&schema, &source, &f->arena, out);
}

static void run_ok(config_fixture *f, int64_t index, const char *word, values *out) {
    if (read_run(f, index, word, out) != CT_OK) fail_msg("%s", ct_message());
}

static void run_refused(config_fixture *f, const char *text, int64_t index, const char *word, const char *message) {
    values v;
    fixture_write(f, "f.yaml", text);
    assert_int_equal(read_run(f, index, word, &v), CT_EUSAGE);
    assert_message_has(fixture_text(f, message));
}

/* The table of --list, or the message when there is none. */
static const char *list(config_fixture *f, const char *word) {
    const ct_config_source source = {.path = temp_path(&f->arena, f->folder, "f.yaml"),
                                     .overrides = &word,
                                     .override_count = word != NULL,
                                     .out = "name"};
    char                  *text;
    size_t                 size;
    FILE                  *to = open_memstream(&text, &size);
    assert_non_null(to);
    ct_status status = ct_config_list(&schema, &source, to);
    fclose(to);
    const char *copy = ct_arena_copy(&f->arena, text, size);
    free(text);
    return status == CT_OK ? copy : ct_message();
}

static void all_combinations_last_fastest(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v;
    fixture_write(&f, "f.yaml",
                  "name: out/\nflag: true\na: {rate: 5, b: {depth: 1}}\n"
                  "matrix:\n"
                  "  count: [4, 2]\n"
                  "  kind:\n"
                  "    plain: {}\n"
                  "    both: {a.rate: 0.5, a: {b.form: mlp}, items: [{by: time}]}\n"
                  "  a.b.depth: [7, 8, 9]\n");
    assert_string_equal(list(&f, NULL), "index  count  kind   a.b.depth  name\n"
                                        "    1  4      plain  7          out/001\n"
                                        "    2  4      plain  8          out/002\n"
                                        "    3  4      plain  9          out/003\n"
                                        "    4  4      both   7          out/004\n"
                                        "    5  4      both   8          out/005\n"
                                        "    6  4      both   9          out/006\n"
                                        "    7  2      plain  7          out/007\n"
                                        "    8  2      plain  8          out/008\n"
                                        "    9  2      plain  9          out/009\n"
                                        "   10  2      both   7          out/010\n"
                                        "   11  2      both   8          out/011\n"
                                        "   12  2      both   9          out/012\n");
    for (int64_t i = 1; i <= 12; i++) {
        char name[16];
        bool both = (i - 1) / 3 % 2;
        run_ok(&f, i, "title=t", &v); /* words hold for every run */
        snprintf(name, sizeof name, "out/%03d", (int)i);
        assert_string_equal(v.name, name);
        assert_string_equal(v.title, "t");
        assert_true(v.count == (i <= 6 ? 4 : 2) && v.depth == 7 + (i - 1) % 3 && v.flag);
        assert_true(v.rate == (both ? 0.5 : 5) && v.form == both && v.item_count == both); /* rows: key by key */
    }
    assert_string_equal(ct_config_where("a.rate"), fixture_text(&f, "@/f.yaml:8:20: a.rate"));
    run_ok(&f, 12, "name=elsewhere", &v);
    assert_string_equal(v.name, "elsewhere/012");
    fixture_end(&f);
}

static void values_may_be_lists_and_maps(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v;
    fixture_write(&f, "f.yaml",
                  "name: out\na.b.depth: 5\nmatrix:\n  items: [[], [{by: index}, {by: time}, {by: index}]]\n"
                  "  a.b: [{form: off}, {form: mlp, depth: 6}]\n");
    assert_string_equal(list(&f, NULL),
                        "index  items                                   a.b                    name\n"
                        "    1  []                                      {form: off}            out/001\n"
                        "    2  []                                      {form: mlp, depth: 6}  out/002\n"
                        "    3  [{by: index}, {by: time}, {by: index}]  {form: off}            out/003\n"
                        "    4  [{by: index}, {by: time}, {by: index}]  {form: mlp, depth: 6}  out/004\n");
    run_ok(&f, 3, NULL, &v);
    assert_true(v.item_count == 3 && v.items[1].by == 1 && v.form == 2 && v.depth == 5);
    run_ok(&f, 2, NULL, &v);
    assert_true(v.item_count == 0 && v.form == 1 && v.depth == 6);
    fixture_write(&f, "f.yaml", /* a long value is cut between letters */
                  "name: out\nmatrix: {title: [xéééééééééééééééééééééééééééééééé, éé]}\n");
    assert_string_equal(list(&f, NULL), "index  title                    name\n"
                                        "    1  xééééééééééééééééééé...  out/001\n"
                                        "    2  éé                       out/002\n");
    fixture_end(&f);
}

static void folders_are_named(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v;
    fixture_write(&f, "f.yaml",
                  "name: o/{kind}-{title}/r{index}\nmatrix: {kind: {a b: {}, \"c/d\": {count: 1}}, title: [\"..\", "
                  "\xc3\xa9x]}\n");
    static const char *const names[] = {"o/a-b-../r001", "o/a-b-\xc3\xa9x/r002", "o/c-d-../r003",
                                        "o/c-d-\xc3\xa9x/r004"};
    for (int64_t i = 1; i <= 4; i++) {
        run_ok(&f, i, NULL, &v);
        assert_string_equal(v.name, names[i - 1]);
    }
    assert_non_null(strstr(list(&f, NULL), "    2  a b   \xc3\xa9x     o/a-b-\xc3\xa9x/r002\n"));
    run_ok(&f, 2, "name='{index}'", &v);
    assert_string_equal(v.name, "002");
    run_ok(&f, 2, "name=a{b", &v); /* no placeholder */
    assert_string_equal(v.name, "a{b/002");
    static const struct {
        const char *word, *message;
    } bad[] = {
        {"name=x/{form}", "name: {form} is neither {index} nor a line of the matrix"},
        {"name=x/{}", "name: {} is neither"},
        {"name=x/{kind}", "name: runs 1 and 2 would both have the folder x/a-b (hint: {index}, or no {} at all)"}};
    for (size_t i = 0; i < CT_COUNT(bad); i++) {
        assert_int_equal(read_run(&f, 1, bad[i].word, &v), CT_EUSAGE);
        assert_message_has(bad[i].message);
        assert_non_null(strstr(list(&f, bad[i].word), bad[i].message));
    }
    run_refused(&f, "name: x/{items}\nmatrix: {items: [[], [{by: time}]]}\n", 1, NULL,
                "@/f.yaml:1:7: name: {items} is no single value and makes no name (hint: {index}, or named rows)");
    run_refused(&f, "name: x/{count}\nmatrix: {count: [1, 2, 1]}\n", 1, NULL,
                "@/f.yaml:1:7: name: runs 1 and 3 would both have the folder x/1");
    run_refused(&f, "matrix: {count: [1, 2]}\n", 1, NULL, "name is missing");
    run_refused(&f, "name: [x]\nmatrix: {count: [1, 2]}\n", 1, NULL, "@/f.yaml:1:7: name: expected a single value");
    fixture_end(&f);
}

static void bases_hand_on_their_matrix(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v;
    fixture_write(&f, "low.yaml", "name: low\nmatrix: {count: [1, 2], flag: [true]}\n");
    fixture_write(&f, "f.yaml", "base: low.yaml\nname: top\n");
    run_ok(&f, 2, NULL, &v);
    assert_true(v.count == 2 && v.flag);
    assert_string_equal(v.name, "top/002");
    fixture_write(&f, "f.yaml", "base: low.yaml\nmatrix: {a.rate: [3, 4, 5]}\n"); /* replaced whole */
    run_ok(&f, 3, NULL, &v);
    assert_true(v.count == 3 && !v.flag && v.rate == 5);
    fixture_write(&f, "f.yaml", "base: low.yaml\nmatrix: {}\n"); /* taken away */
    fixture_ok(&f, "f.yaml", NULL, &v);
    assert_string_equal(v.name, "low");
    fixture_write(&f, "low.yaml", "name: low\nmatrix: {cuont: [1, 2]}\n");
    run_refused(&f, "base: low.yaml\n", 1, NULL, "@/low.yaml:2:10: unknown key cuont (did you mean count?)");
    fixture_end(&f);
}

static void a_run_must_be_chosen(void **state) {
    (void)state;
    config_fixture    f = fixture_begin();
    values            v;
    static const char six[] = "name: x\nmatrix:\n  count: [1, 2, 3]\n  flag: [true, false]\n";
    run_refused(
        &f, six, 0, NULL,
        "@/f.yaml:3:3: matrix: 6 runs, and none was chosen (hint: --list shows them, --index N runs one, --index "
        "$SLURM_ARRAY_TASK_ID in a Slurm array of 1-6)");
    run_refused(&f, six, 7, NULL, "@/f.yaml:3:3: matrix: there is no run 7; expected 1 to 6 (hint: --list shows them)");
    run_refused(&f, six, -1, NULL, "there is no run -1");
    run_refused(&f, six, INT64_MAX, NULL, "there is no run 9223372036854775807");
    run_refused(&f, "name: x\n", 1, NULL, "@/f.yaml: there is no matrix for --index to choose from");
    assert_non_null(strstr(list(&f, NULL), "there is no matrix to list the runs of"));
    fixture_write(&f, "f.yaml", six);
    assert_int_equal(fixture_read(&f, "f.yaml", NULL, &v), CT_EUSAGE);
    assert_message_has("only a command with --index takes one");
    run_refused(&f, six, 2, "count=3",
                "command line: count=3: the matrix sets count (@/f.yaml:3:3); choose a run with --index");
    run_refused(&f, "name: x\nmatrix: {r: {s: {a.b.form: off}}}\n", 1, "a.b.form=mlp",
                "the matrix sets a.b.form (@/f.yaml:2:18)");
    run_refused(&f, "name: x\nmatrix: {r: {s: {a.b.form: off}}}\n", 1, "a={rate: 1, b: {form: mlp}}",
                "the matrix sets a.b.form");
    run_refused(&f, "name: x\nmatrix: {a.b: [{form: off}]}\n", 1, "a=1", "the matrix sets a (@/f.yaml:2:10)");
    run_refused(&f, "name: x\n", 0, "matrix={count: [1]}", "matrix stands in a config file only");
    fixture_end(&f);
}

/* The first run to start tells what is wrong with any. */
static void what_is_wrong_with_a_matrix(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"matrix: 3\n", "@/f.yaml:2:9: matrix: expected {key: [value, ...], ...}"},
        {"matrix:\n", "@/f.yaml:2:8: matrix: expected {key: [value, ...], ...}"},
        {"matrix: [count]\n", "@/f.yaml:2:9: matrix: expected"},
        {"matrix: {count: [1]}\nmatrix: {count: [1]}\n", "@/f.yaml:3:1: matrix is given twice; first at line 2"},
        {"matrix: {count: []}\n",
         "@/f.yaml:2:17: matrix: count: expected [value, ...] or {name: {key: value, ...}, ...}"},
        {"matrix: {count: 1}\n", "@/f.yaml:2:17: matrix: count: expected [value, ...]"},
        {"matrix: {rows: {}}\n", "@/f.yaml:2:16: matrix: rows: expected [value, ...]"},
        {"matrix: {count: [1, 2], a.b.from: [mlp]}\n", "@/f.yaml:2:25: unknown key a.b.from (did you mean a.b.form?)"},
        {"matrix: {rows: [1]}\n", "@/f.yaml:2:10: unknown key rows"},
        {"matrix:\n  count: [1, 2, 10, x]\n  flag: [true, yes]\n", "@/f.yaml:3:17: count: 10 is outside 1 to 9"},
        {"matrix:\n  count: [1, 2, 10, x]\n  flag: [true, yes]\n",
         "@/f.yaml:3:21: count: expected a whole number, found \"x\""},
        {"matrix:\n  count: [1, 2, 10, x]\n  flag: [true, yes]\n",
         "@/f.yaml:4:16: flag: expected true or false, found \"yes\""},
        {"matrix: {a.b: [{form: tab}]}\n", "@/f.yaml:2:23: a.b.form: expected one of table|mlp|off, found \"tab\""},
        {"matrix: {r: {x: {a.rate: fast, sahre: 2}}}\n", "@/f.yaml:2:26: a.rate: expected a number, found \"fast\""},
        {"matrix: {r: {x: {a.rate: fast, sahre: 2}}}\n", "@/f.yaml:2:32: unknown key sahre"},
        {"matrix: {r: {x: 3}}\n", "@/f.yaml:2:17: matrix: r.x: expected {key: value, ...}; {} for none"},
        {"matrix: {r: {x: }}\n", "matrix: r.x: expected {key: value, ...}"},
        {"matrix: {a: {b: {form: [mlp, off]}}}\n", "@/f.yaml:2:13: matrix: a is a key: expected a list of values"},
        {"matrix: {count: {x: {}}}\n", "@/f.yaml:2:17: matrix: count is a key"},
        {"matrix: {count: [1], count: [2]}\n", "@/f.yaml:2:22: matrix: count is given twice; first at line 2"},
        {"matrix: {r: {x: {count: 1}}, r: {y: {flag: true}}}\n", "@/f.yaml:2:30: matrix: r is given twice"},
        {"matrix: {r: {x: {count: 1}, x: {}}}\n", "@/f.yaml:2:29: matrix: r.x is given twice; first at line 2"},
        {"matrix: {r: {x: {count: 1, count: 2}}}\n", "@/f.yaml:2:28: count is given twice"},
        {"matrix:\n  count: [1, 2]\n  r: {x: {count: 3}}\n",
         "@/f.yaml:4:11: matrix: count is set at line 3 too; only one line of the matrix can set it"},
        {"matrix:\n  a.b.form: [off]\n  a.b: [{depth: 2}, {form: mlp}]\n",
         "@/f.yaml:4:22: matrix: a.b.form is set at line 3 too"},
        {"matrix:\n  a.b: [3]\n  a.b.form: [mlp]\n", "matrix: a.b is set at line 3 too"},
        {"matrix: {base: [x]}\n", "unknown key base"},
        {"matrix: {flag: [*a]}\n", "not valid YAML"},
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++)
        run_refused(&f, ct_arena_printf(&f.arena, "name: x\n%s", cases[i].yaml), 1, NULL, cases[i].message);
    char many[3000] = "name: x\nmatrix:\n";
    for (int line = 0; line < 3; line++) {
        static const char *const names[] = {"  count: [", "  a.b.depth: [", "  a.rate: ["};
        snprintf(many + strlen(many), sizeof many - strlen(many), "%s", names[line]);
        for (int i = 0; i < 101; i++) snprintf(many + strlen(many), sizeof many - strlen(many), "%d, ", i % 9 + 1);
        snprintf(many + strlen(many), sizeof many - strlen(many), "]\n");
    }
    run_refused(&f, many, 1, NULL, "@/f.yaml:3:3: matrix: more than 10000 runs");
    fixture_end(&f);
}

/* What one run of a matrix is asked to be is what a config written by hand says. */
static void a_run_prints_as_a_plain_config(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v, again;
    fixture_write(&f, "low.yaml", "a: {rate: 0.25}\nmatrix: {count: [1], flag: [true]}\n");
    fixture_write(&f, "f.yaml",
                  "base: low.yaml\nname: o/{r}\nmatrix: {r: {x: {}, y: {a.b.form: off, items: [{by: time}]}}}\n");
    run_ok(&f, 2, "count=7", &v);
    const char *text = ct_config_print(&schema, &v, &f.arena);
    assert_null(strstr(text, "matrix"));
    assert_null(strstr(text, "base"));
    memset(&again, 0, sizeof again);
    assert_int_equal(ct_config_read_text(&schema, text, "printed", &f.arena, &again), CT_OK);
    assert_string_equal(again.name, "o/y");
    assert_string_equal(again.title, v.title);
    again.name = v.name, again.title = v.title;
    assert_memory_equal(&v, &again, sizeof v);
    fixture_end(&f);
}

static const char *explain(config_fixture *f, const char *name, int64_t index, const char *word, const char *key) {
    const ct_config_source source = {.path = name ? temp_path(&f->arena, f->folder, name) : NULL,
                                     .overrides = &word,
                                     .override_count = word != NULL,
                                     .out = "name",
                                     .index = index};
    char                  *text;
    size_t                 size;
    FILE                  *to = open_memstream(&text, &size);
    assert_non_null(to);
    ct_status status = ct_config_explain(&schema, &source, key, to);
    fclose(to);
    const char *copy = ct_arena_copy(&f->arena, text, size);
    free(text);
    return status == CT_OK ? copy : ct_message();
}

static void keys_are_explained(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    fixture_write(&f, "low.yaml", "a: {rate: 0.25, b: {depth: x}}\ncount: 4\n");
    fixture_write(&f, "f.yaml", "base: low.yaml\na.b.form: off\n");
    assert_string_equal(explain(&f, NULL, 0, NULL, "count"),
                        "count\n  about count\n  takes     whole number, 1 to 9\n  default   3\n");
    assert_string_equal(explain(&f, NULL, 0, NULL, "name"),
                        "name\n  about name\n  takes     text\n  default   none, must be given\n");
    assert_string_equal(explain(&f, "f.yaml", 0, "count=7", "count"),
                        "count\n  about count\n  takes     whole number, 1 to 9\n  default   3\n"
                        "  set to    7, on the command line\n");
    assert_string_equal(
        explain(&f, "f.yaml", 0, NULL, "a"), /* a folder; values are shown as they stand, right or not */
        fixture_text(&f, "a.rate\n  about a.rate\n  takes     number, 0 to 10\n  default   1e-3\n"
                         "  set to    0.25, at @/low.yaml:1:11\n\n"
                         "a.b.form\n  about a.b.form\n  takes     table, mlp, off\n  default   table\n"
                         "  set to    off, at @/f.yaml:2:11\n\n"
                         "a.b.depth\n  about a.b.depth\n  takes     whole number\n  default   -7\n"
                         "  set to    x, at @/low.yaml:1:28\n"));
    assert_string_equal(explain(&f, "f.yaml", 0, NULL, "items"),
                        "items\n  about items\n  takes     list of at most 3 maps\n"
                        "    by      about by: index, time (must be given)\n  default   []\n"
                        "  set to    nothing: the default holds\n");
    assert_string_equal(explain(&f, "f.yaml", 0, NULL, "a.b.fomr"), "unknown key a.b.fomr (did you mean a.b.form?)");
    assert_string_equal(explain(&f, NULL, 0, NULL, "form"), "unknown key form (did you mean a.b.form?)");
    assert_non_null(strstr(explain(&f, NULL, 0, NULL, ""), "unknown key "));
    assert_non_null(strstr(explain(&f, "none.yaml", 0, NULL, "a"), "none.yaml: can't open"));
    fixture_write(&f, "f.yaml", "base: low.yaml\nname: o\nmatrix: {count: [1, 2], r: {x: {}, y: {flag: true}}}\n");
    assert_non_null(strstr(explain(&f, "f.yaml", 0, NULL, "count"),
                           fixture_text(&f, "  matrix    1, at @/f.yaml:3:18\n            2, at @/f.yaml:3:21\n"
                                            "  else      4, at @/low.yaml:2:8\n")));
    assert_non_null(
        strstr(explain(&f, "f.yaml", 3, NULL, "count"), fixture_text(&f, "  set to    2, at @/f.yaml:3:21\n")));
    assert_non_null(
        strstr(explain(&f, "f.yaml", 3, NULL, "name"), fixture_text(&f, "  set to    o/003, at @/f.yaml:2:7\n")));
    assert_non_null(strstr(explain(&f, "f.yaml", 5, NULL, "name"), "there is no run 5; expected 1 to 4"));
    fixture_end(&f);
}

static void keys_in_markdown(void **state) {
    (void)state;
    char  *text;
    size_t size;
    FILE  *to = open_memstream(&text, &size);
    assert_non_null(to);
    ct_config_markdown(&schema, to);
    fclose(to);
    assert_non_null(strstr(text, "| key | default | values | meaning |\n|---|---|---|---|\n"));
    assert_non_null(strstr(text, "| `count` | `3` | whole number, 1 to 9 | about count |\n"));
    assert_non_null(strstr(text, "| `name` | must be given | text | about name |\n"));
    assert_non_null(strstr(text, "| `title` | none | text | about title |\n"));
    assert_non_null(strstr(text, "| `a.b.form` | `table` | `table`, `mlp`, `off` | about a.b.form |\n"));
    assert_non_null(strstr(text, "| `items[].by` | must be given | `index`, `time` | about by |\n"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_combinations_last_fastest),
        cmocka_unit_test(values_may_be_lists_and_maps),
        cmocka_unit_test(folders_are_named),
        cmocka_unit_test(bases_hand_on_their_matrix),
        cmocka_unit_test(a_run_must_be_chosen),
        cmocka_unit_test(what_is_wrong_with_a_matrix),
        cmocka_unit_test(a_run_prints_as_a_plain_config),
        cmocka_unit_test(keys_are_explained),
        cmocka_unit_test(keys_in_markdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
