/* Every shipped config file reads through the schema of its command; of an experiment, every run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/file.h"
#include "infer/evaluate.h"
#include "infer/generate.h"
#include "train/prepare.h"
#include "train/train.h"

#include <stdio.h>
#include <string.h>

static void shipped_configs_are_read(void **state) {
    (void)state;
    static const char *const yaml[] = {".yaml", NULL};
    union {
        ct_prepare_config  prepare;
        ct_train_config    train;
        ct_generate_config generate;
        ct_evaluate_config evaluate;
    } values;
    ct_arena arena = {0};
    char   **names;
    size_t   count;
    assert_int_equal(ct_folder_list("configs", yaml, 0, &arena, &names, &count), CT_OK);
    assert_true(count >= 8);
    for (size_t i = 0; i < count; i++) {
        const ct_schema *schema = strstr(names[i], "prepare")    ? &ct_prepare_schema
                                  : strstr(names[i], "generate") ? &ct_generate_schema
                                  : strstr(names[i], "evaluate") ? &ct_evaluate_schema
                                                                 : &ct_train_schema;
        char             path[512];
        snprintf(path, sizeof path, "configs/%s", names[i]);
        bool                   is_experiment = strstr(names[i], "experiment");
        const ct_config_source source = {
            .path = path, .out = is_experiment ? "train.out" : NULL, .index = is_experiment};
        if (ct_config_read_source(schema, &source, &arena, &values) != CT_OK) fail_msg("%s", ct_message());
    }
    ct_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shipped_configs_are_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
