/* test_alone.c -- what stands in for libyaml in programs for a GPU (tests/gpu/alone/yaml.c) reads what it reads as
 * libyaml does, all defaults of training's config among it, and refuses the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/yaml.h"
#include "train/train.h"

#define ct_yaml_file alone_yaml_file
#define ct_yaml_text alone_yaml_text
ct_status alone_yaml_file(const char *path, ct_arena *arena, ct_node **root);
ct_status alone_yaml_text(const char *text, const char *source, ct_arena *arena, ct_node **root);
#include "tests/gpu/alone/yaml.c" /* NOLINT(bugprone-suspicious-include): by other names, beside the real one */
#undef ct_yaml_file
#undef ct_yaml_text

static void assert_same(const ct_node *a, const ct_node *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->line, b->line);
    assert_int_equal(a->column, b->column);
    assert_string_equal(a->source, b->source);
    assert_int_equal(a->quoted, b->quoted);
    if (a->kind == CT_NODE_TEXT) assert_string_equal(a->text, b->text);
    for (size_t i = 0; i < a->count; i++) {
        if (a->kind == CT_NODE_MAP) assert_same(a->keys[i], b->keys[i]);
        assert_same(a->values[i], b->values[i]);
    }
}

static void reads_as_libyaml(const char *text) {
    ct_arena arena = {0};
    ct_node *own, *wanted;
    if (alone_yaml_text(text, "here", &arena, &own) != CT_OK) fail_msg("%s: %s", text, ct_message());
    assert_int_equal(ct_yaml_text(text, "here", &arena, &wanted), CT_OK);
    assert_same(own, wanted);
    ct_arena_free(&arena);
}

static void same_trees(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "29",
                                        "0.003",
                                        "1e-8",
                                        "off",
                                        "none",
                                        "-1",
                                        "a/b.c",
                                        " a ",
                                        "[]",
                                        "{}",
                                        "[a, b]",
                                        "{a: 1}",
                                        "[ a , [b], {c: d} ]",
                                        "{a: {b: [1, 2]}, c: }",
                                        "[[[[a]]]]"};
    for (size_t i = 0; i < CT_COUNT(texts); i++) reads_as_libyaml(texts[i]);
    for (size_t i = 0; i < ct_train_schema.count; i++)
        if (ct_train_schema.keys[i].fallback) reads_as_libyaml(ct_train_schema.keys[i].fallback);
}

static void refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "a b",   "\"a\"", "'a'",   "a: b",     "- a",      "--- a",
        "[a",    "{a: b", "[a] b", "{a}",      "{[a]: b}", "a # b",
        "[a b]", "&a b",  "{: b}", "[a,, b]x", "!!str a",  "[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]"};
    for (size_t i = 0; i < CT_COUNT(texts); i++) {
        ct_arena arena = {0};
        ct_node *root;
        if (alone_yaml_text(texts[i], "here", &arena, &root) != CT_EUSAGE) fail_msg("%s is read", texts[i]);
        assert_non_null(strstr(ct_message(), "here:1:"));
        ct_arena_free(&arena);
    }
    ct_arena arena = {0};
    ct_node *root;
    assert_int_equal(alone_yaml_file("configs/backbone.yaml", &arena, &root), CT_EUSAGE);
    assert_non_null(strstr(ct_message(), "configs/backbone.yaml: this program was built without libyaml"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_trees),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
