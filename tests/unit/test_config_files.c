/* Configs that rest on others: what wins, where errors are placed, cycles, files that are not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config_fixture.h"
#include "core/config_file.h"
#include "core/rng.h"

static void later_wins_key_by_key(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v;
    fixture_write(&f, "sub/low.yaml",
                  "name: low\ncount: 1\na: {rate: 1, b: {form: mlp, depth: 1}}\nitems: [{by: time}, {by: time}]\n");
    fixture_write(&f, "sub/middle.yaml", "base: low.yaml\ncount: 2\na: {b: {depth: 2}}\n");
    fixture_write(&f, "top.yaml", "count: 3\nbase: sub/middle.yaml\nitems: [{by: index}]\na.b.depth: 3\n");
    fixture_ok(&f, "top.yaml", NULL, &v);
    assert_string_equal(v.name, "low");
    assert_true(v.count == 3 && v.rate == 1 && v.form == 1 && v.depth == 3 && v.item_count == 1); /* lists as a whole */
    fixture_ok(&f, "top.yaml", "a.rate=0.5", &v); /* words win over all */
    assert_true(v.rate == 0.5 && v.form == 1);
    fixture_write(&f, "sub/other.yaml", "flag: true\ncount: 9\n"); /* several bases, in order */
    fixture_write(&f, "two.yaml", "base: [sub/low.yaml, sub/other.yaml]\n");
    fixture_ok(&f, "two.yaml", NULL, &v);
    assert_true(v.count == 9 && v.flag && v.form == 1);
    fixture_write(&f, "two.yaml", "base: [sub/other.yaml, sub/low.yaml]\n");
    fixture_ok(&f, "two.yaml", NULL, &v);
    assert_true(v.count == 1 && v.flag);
    fixture_write(&f, "twice.yaml", "base: [sub/low.yaml, sub/low.yaml, two.yaml]\n"); /* no cycle */
    fixture_ok(&f, "twice.yaml", NULL, &v);
    fixture_write(&f, "far/deep/abs.yaml", ct_arena_printf(&f.arena, "base: %s/two.yaml\n", f.folder));
    fixture_ok(&f, "far/deep/abs.yaml", NULL, &v);
    fixture_write(&f, "far/up.yaml", "base: ../two.yaml\ncount: 4");
    fixture_ok(&f, "far/up.yaml", NULL, &v);
    assert_int_equal(v.count, 4);
    fixture_write(&f, "none.yaml", "name: x\nbase: []\n");
    fixture_ok(&f, "none.yaml", NULL, &v);
    fixture_write(&f, "empty.yaml", "# nothing\n");
    fixture_write(&f, "onempty.yaml", "name: x\nbase: empty.yaml\n");
    fixture_ok(&f, "onempty.yaml", NULL, &v);
    fixture_end(&f);
}

static void dotted_keys_are_short_for_maps(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v;
    fixture_write(&f, "a.yaml", "a.rate: 2\nname: x\na.b.form: off\na: {b.depth: 5}\n");
    fixture_ok(&f, "a.yaml", NULL, &v);
    assert_true(v.rate == 2 && v.form == 2 && v.depth == 5);
    assert_string_equal(ct_config_where("a.rate"), fixture_text(&f, "@/a.yaml:1:9: a.rate"));
    fixture_refuses(&f, "name: x\na.rate: 2\na: {rate: 3}\n", NULL,
                    "@/f.yaml:2:1: a.rate is given twice; first at line 3");
    fixture_refuses(&f, "a.b: {form: off}\nname: x\na: {b.depth: 5}\n", NULL, "@/f.yaml:1:1: a.b is given twice");
    fixture_refuses(&f, "name: x\na.rate: 2\na.rate: 3\n", NULL,
                    "@/f.yaml:3:1: a.rate is given twice; first at line 2");
    fixture_refuses(&f, "name: x\nname.y: 2\n", NULL, "@/f.yaml:2:1: name is given twice; first at line 1");
    fixture_refuses(&f, "name: x\na..rate: 2\n", NULL, "unknown key a..rate (did you mean a.rate?)");
    fixture_refuses(&f, "name: x\n.a: 2\na.: 2\n.: 1\n", NULL, "@/f.yaml:3:1: unknown key a.");
    fixture_refuses(&f, "name: x\na.rate.deep: 2\n", NULL,
                    "@/f.yaml:2:1: a.rate: expected a single value, found a map");
    fixture_end(&f);
}

/* Each value keeps the place where it stands. */
static void errors_name_the_file_they_are_in(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    fixture_write(&f, "low.yaml", "cuont: 1\ncount: 10\na:\n  rate: x\n  b: {from: mlp}\n");
    fixture_refuses(&f, "base: low.yaml\nname: x\nflag: 7\n", NULL,
                    "@/low.yaml:1:1: unknown key cuont (did you mean count?)\n"
                    "@/low.yaml:5:7: unknown key a.b.from (did you mean a.b.form?)\n"
                    "@/low.yaml:2:8: count: 10 is outside 1 to 9\n"
                    "@/f.yaml:3:7: flag: expected true or false, found \"7\"\n"
                    "@/low.yaml:4:9: a.rate: expected a number, found \"x\"");
    values v;
    fixture_write(&f, "low.yaml", "name: x\ncount: 10\na: {rate: x}\n"); /* what is replaced is no error any more */
    fixture_write(&f, "f.yaml", "base: low.yaml\ncount: 9\na.rate: 1\n");
    fixture_ok(&f, "f.yaml", NULL, &v);
    assert_string_equal(ct_config_where("name"), fixture_text(&f, "@/low.yaml:1:7: name"));
    assert_string_equal(ct_config_where("count"), fixture_text(&f, "@/f.yaml:2:8: count"));
    fixture_write(&f, "low.yaml", "count: 1\ncount: 2\n"); /* twice in one file is an error, replaced or not */
    fixture_refuses(&f, "base: low.yaml\ncount: 9\nname: x\n", NULL,
                    "@/low.yaml:2:1: count is given twice; first at line 1");
    fixture_refuses(&f, "base: low.yaml\n", NULL, "@/f.yaml:1:1: name is missing"); /* the file that was asked for */
    fixture_write(&f, "low.yaml", "a: 3\n");
    fixture_refuses(&f, "base: low.yaml\nname: x\n", NULL, "@/low.yaml:1:4: a: expected a map of keys");
    fixture_write(&f, "low.yaml", "name: [x\n");
    fixture_refuses(&f, "base: low.yaml\nname: x\n", NULL, "@/low.yaml:2:1: not valid YAML");
    fixture_write(&f, "low.yaml", "- name\n");
    fixture_refuses(&f, "base: low.yaml\nname: x\n", NULL, "@/low.yaml:1:1: expected `key: value` lines, found a list");
    fixture_end(&f);
}

static void bases_that_can_not_be_read(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    fixture_write(&f, "sub/x.yaml", "name: x\n");
    fixture_refuses(&f, "\nbase: none.yaml\n", NULL,
                    "@/f.yaml:2:7: base: can't open @/none.yaml: No such file or directory");
    fixture_refuses(&f, "base: [sub/x.yaml, sub/y.yaml]\n", NULL,
                    "@/f.yaml:1:20: base: can't open @/sub/y.yaml: No such");
    fixture_refuses(&f, "base: sub\n", NULL, "@/f.yaml:1:7: base: @/sub is a folder, no file");
    fixture_refuses(&f, "base: /dev/zero\n", NULL, "@/f.yaml:1:7: base: /dev/zero is a device, no file");
    fixture_refuses(&f, "base:\n", NULL, "@/f.yaml:1:6: base: expected a file name, or a list of them");
    fixture_refuses(&f, "base: {a: b}\n", NULL, "@/f.yaml:1:7: base: expected a file name");
    fixture_refuses(&f, "base: [[sub/x.yaml]]\n", NULL, "@/f.yaml:1:8: base: expected a file name");
    fixture_refuses(&f, "base: sub/x.yaml\nbase: sub/x.yaml\n", NULL,
                    "@/f.yaml:2:1: base is given twice; first at line 1");
    fixture_refuses(&f, "a: {base: sub/x.yaml}\nname: x\n", NULL, "unknown key a.base"); /* at the top level only */
    fixture_refuses(&f, "name: x\n", "base=sub/x.yaml", "base=sub/x.yaml: base stands in a config file only");
    values v;
    assert_int_equal(ct_config_read_text(&schema, "base: sub/x.yaml\nname: x\n", "model", &f.arena, &v), CT_EUSAGE);
    assert_message_has("model:1:1: unknown key base"); /* a model's own config names no files */
    fixture_end(&f);
}

static void cycles_are_refused(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    fixture_refuses(&f, "name: x\nbase: f.yaml\n", NULL,
                    "@/f.yaml:2:7: base: @/f.yaml rests on itself: @/f.yaml:2 -> @/f.yaml");
    fixture_write(&f, "sub/b.yaml", "base: ../f.yaml\n");
    fixture_refuses(&f, "base: sub/b.yaml\n", NULL, "rests on itself: @/f.yaml:1 -> @/sub/b.yaml:1 -> @/sub/../f.yaml");
    fixture_write(&f, "c.yaml", "name: x\n\nbase: [e.yaml, f.yaml]\n");
    fixture_write(&f, "e.yaml", "count: 2\n");
    fixture_write(&f, "sub/b.yaml", "base: ../c.yaml\n");
    fixture_refuses(&f, "base: sub/b.yaml\n", NULL,
                    "@/sub/../c.yaml:3:16: base: @/sub/../f.yaml rests on itself: "
                    "@/f.yaml:1 -> @/sub/b.yaml:1 -> @/sub/../c.yaml:3 -> @/sub/../f.yaml");
    fixture_write(&f, "loop.yaml", "base: loop.yaml\n"); /* below the file that was asked for */
    fixture_refuses(&f, "base: loop.yaml\n", NULL, "@/f.yaml:1 -> @/loop.yaml:1 -> @/loop.yaml");
    assert_int_equal(symlink("f.yaml", fixture_text(&f, "@/link.yaml")), 0); /* the same file by another name */
    fixture_refuses(&f, "base: link.yaml\n", NULL, "@/link.yaml rests on itself");
    fixture_end(&f);
}

static void many_files_have_an_end(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    values         v;
    for (int i = 1; i <= 70; i++) {
        char name[32], text[64];
        snprintf(name, sizeof name, "c%d.yaml", i);
        snprintf(text, sizeof text, "base: c%d.yaml\ncount: %d\n", i + 1, i % 9 + 1);
        fixture_write(&f, name, i == 70 ? "name: last\n" : text);
    }
    fixture_ok(&f, "c7.yaml", NULL, &v); /* 64 files */
    assert_string_equal(v.name, "last");
    assert_int_equal(v.count, 8);
    fixture_refuses(&f, "base: c7.yaml\n", NULL, "@/c70.yaml would be file 65 of this config, at most 64");
    fixture_write(&f, "low.yaml", "base: [c60.yaml, c60.yaml, c60.yaml, c60.yaml]\n"); /* wide, not deep */
    fixture_write(&f, "wide.yaml", "base: [low.yaml, low.yaml, low.yaml, low.yaml]\n");
    fixture_refuses(&f, "base: [wide.yaml, wide.yaml, wide.yaml]\n", NULL, "would be file 65 of this config");
    fixture_end(&f);
}

static void large_configs_are_refused(void **state) {
    (void)state;
    config_fixture f = fixture_begin();
    char          *text = ct_arena_alloc(&f.arena, 400001, 1);
    assert_non_null(text);
    memset(text, 'a', 400000);
    for (size_t i = 1; i < 400000; i += 2) text[i] = '.';
    memcpy(text, "? a", 3);
    memcpy(text + 400000 - 5, "\n: 1", 5);
    fixture_refuses(&f, text, NULL, "@/f.yaml:1:3: unknown key a.a.a."); /* a key of 200,000 parts */
    memset(text, '.', 400000);
    text[399998] = '=', text[399999] = '1';
    fixture_write(&f, "f.yaml", "name: x\n");
    fixture_refuses(&f, NULL, text, "...: no key is that long");
    for (size_t i = 0; i < 100000; i++) memcpy(text + 4 * i, "a:\n\n", 4);
    fixture_refuses(&f, text, NULL, "@/f.yaml:19999: more than 20000 keys and values");
    fixture_end(&f);
}

/* Random damage to a file and to its base: read, or refused with a name; never a crash. */
static void damaged_files_never_crash(void **state) {
    (void)state;
    config_fixture    f = fixture_begin();
    static const char top[] =
        "base: low.yaml\nname: \"a b\"\ncount: 4\ntitle: t\na.b.form: mlp\nmatrix:\n  count: [1, 2]\n  rows:\n"
        "    x: {a.rate: 1}\n    y: {a.b: {depth: 3}}\n";
    static const char low[] = "# what it is for, in a few words\nflag: true\na: {rate: 2, b.depth: 4}\nitems: [{by: "
                              "index}]\nmatrix: {flag: [true]}\n";
    static const char likely[] = ":-{}[]#&*!|>'\"%@` \n\t,?0123a~<.xyabc";
    int               opened = 0;
    for (uint64_t n = 0; n < 1500; n++) {
        char bad[2][300] = {"", ""};
        memcpy(bad[0], top, sizeof top);
        memcpy(bad[1], low, sizeof low);
        size_t size[2] = {sizeof top - 1, sizeof low - 1};
        for (uint64_t k = 0; k <= n % 3; k++) {
            ct_philox x = ct_philox_at(n, 1, k);
            int       which = x.word[3] % 3 == 0;
            bad[which][ct_philox_below(x.word[0], (uint32_t)size[which])] =
                x.word[1] % 32 ? likely[x.word[2] % (sizeof likely - 1)] : (char)(1 + x.word[2] % 255);
        }
        fixture_write(&f, "f.yaml", bad[0]);
        fixture_write(&f, "low.yaml", bad[1]);
        ct_arena               arena = {0};
        values                 v;
        const ct_config_source source = {
            .path = fixture_text(&f, "@/f.yaml"), .out = "title", .index = 1 + (int64_t)n % 4};
        ct_status status = ct_config_read_source(&schema, &source, &arena, &v);
        assert_true(status == CT_OK || (status == CT_EUSAGE && strstr(ct_message(), ".yaml")));
        opened += status == CT_OK;
        ct_arena_free(&arena);
    }
    assert_in_range(opened, 50, 1450);
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_wins_key_by_key),
        cmocka_unit_test(dotted_keys_are_short_for_maps),
        cmocka_unit_test(errors_name_the_file_they_are_in),
        cmocka_unit_test(bases_that_can_not_be_read),
        cmocka_unit_test(cycles_are_refused),
        cmocka_unit_test(many_files_have_an_end),
        cmocka_unit_test(large_configs_are_refused),
        cmocka_unit_test(damaged_files_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
