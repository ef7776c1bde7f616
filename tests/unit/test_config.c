/* Configs: every kind of error with its place, overrides, printing and reading back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/rng.h"
#include "core/yaml.h"
#include "temp_folder.h"
#include "train/train.h"

#include <math.h>

typedef struct item {
    int     by;
    double  share;
    int64_t times;
} item;
typedef struct values {
    int64_t     count, item_count, depth;
    double      rate;
    bool        flag;
    const char *name, *title;
    int         form;
    item        items[3];
} values;

#define KEY(path, kind, fallback, low, high, choices, member)                                                          \
    { path, CT_KEY_##kind, fallback, low, high, choices, offsetof(values, member), "about " path, NULL, 0, 0, 0, 0 }
#define ITEM(path, kind, fallback, low, high, choices, member)                                                         \
    { path, CT_KEY_##kind, fallback, low, high, choices, offsetof(item, member), "about " path, NULL, 0, 0, 0, 0 }
static const ct_key element[] = {
    ITEM("by", CHOICE, NULL, 0, 0, "index|time", by),
    ITEM("share", REAL, "0.5", 0, 1, NULL, share),
    ITEM("times", INTEGER, "1", 0, 0, NULL, times),
};
static const ct_key keys[] = {
    KEY("count", INTEGER, "3", 1, 9, NULL, count),
    KEY("name", TEXT, NULL, 0, 0, NULL, name),
    KEY("title", TEXT, "", 0, 0, NULL, title),
    KEY("flag", BOOL, "false", 0, 0, NULL, flag),
    KEY("a.rate", REAL, "1e-3", 0, 10, NULL, rate),
    KEY("a.b.form", CHOICE, "table", 0, 0, "table|mlp|off", form),
    KEY("a.b.depth", INTEGER, "-7", 0, 0, NULL, depth),
    {"items", CT_KEY_LIST, "[{by: time}]", 0, 0, NULL, offsetof(values, item_count), "about items", element,
     CT_COUNT(element), sizeof(item), offsetof(values, items), 3},
};
static const ct_schema schema = {"test", keys, CT_COUNT(keys)};

static ct_status read_text(const char *yaml, ct_arena *arena, values *out) {
    memset(out, 0, sizeof *out);
    return ct_config_read_text(&schema, yaml, "f.yaml", arena, out);
}

static void values_and_defaults_are_read(void **state) {
    (void)state;
    ct_arena arena = {0};
    values   v;
    assert_int_equal(read_text("name: x y # not this\nflag: true\na: {rate: 0.25, b: {form: off}}\n", &arena, &v),
                     CT_OK);
    assert_string_equal(v.name, "x y");
    assert_string_equal(v.title, "");
    assert_true(v.flag && v.count == 3 && v.rate == 0.25 && v.form == 2 && v.depth == -7);
    assert_true(v.item_count == 1 && v.items[0].by == 1 && v.items[0].share == 0.5 && v.items[0].times == 1);
    assert_int_equal(
        read_text("{name: '1', items: [{by: index, share: 1}, {by: time, times: -9007199254740993}]}", &arena, &v),
        CT_OK);
    assert_true(v.item_count == 2 && v.items[0].share == 1 && v.items[1].times == INT64_C(-9007199254740993));
    assert_int_equal(read_text("name: a\nitems: []\n", &arena, &v), CT_OK);
    assert_int_equal(v.item_count, 0);
    ct_arena_free(&arena);
}

/* Each: a file, and the whole message. */
static void every_error_has_its_place(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"name: a\ncuont: 2\n", "f.yaml:2:1: unknown key cuont (did you mean count?)"},
        {"name: a\na:\n  b: {fomr: mlp}\n", "f.yaml:3:7: unknown key a.b.fomr (did you mean a.b.form?)"},
        {"name: a\nform: mlp\n", "f.yaml:2:1: unknown key form (did you mean a.b.form?)"}, /* in the wrong folder */
        {"name: a\nxylophone: 2\n", "f.yaml:2:1: unknown key xylophone (see --help for the keys there are)"},
        {"name: a\nname: b\n", "f.yaml:2:1: name is given twice; first at line 1"},
        {"name: a\ncount: two\n", "f.yaml:2:8: count: expected a whole number, found \"two\""},
        {"name: a\ncount: 2.5\n", "f.yaml:2:8: count: expected a whole number, found \"2.5\""},
        {"name: a\ncount: '2'\n", "f.yaml:2:8: count: expected a whole number, found \"2\""},
        {"name: a\ncount:\n", "f.yaml:2:7: count: expected a whole number, found \"\""},
        {"name: a\ncount: 10\n", "f.yaml:2:8: count: 10 is outside 1 to 9"},
        {"name: a\ncount: 99999999999999999999\n",
         "f.yaml:2:8: count: expected a whole number, found \"99999999999999999999\""},
        {"name: a\na: {rate: fast}\n", "f.yaml:2:11: a.rate: expected a number, found \"fast\""},
        {"name: a\na: {rate: nan}\n", "f.yaml:2:11: a.rate: expected a number, found \"nan\""},
        {"name: a\na: {rate: 1e999}\n", "f.yaml:2:11: a.rate: expected a number, found \"1e999\""},
        {"name: a\na: {rate: -0.1}\n", "f.yaml:2:11: a.rate: -0.1 is outside 0 to 10"},
        {"name: a\nflag: yes\n", "f.yaml:2:7: flag: expected true or false, found \"yes\""},
        {"name: a\na: {b: {form: tab}}\n", "f.yaml:2:15: a.b.form: expected one of table|mlp|off, found \"tab\""},
        {"name: a\na: {b: {form: ''}}\n", "f.yaml:2:15: a.b.form: expected one of table|mlp|off, found \"\""},
        {"name: [a]\n", "f.yaml:1:7: name: expected a single value, found a list"},
        {"name: {a: b}\n", "f.yaml:1:7: name: expected a single value, found a map"},
        {"name: a\na: 3\n", "f.yaml:2:4: a: expected a map of keys"},
        {"name: a\nitems: 3\n", "f.yaml:2:8: items: expected a list of at most 3 maps"},
        {"name: a\nitems: [{by: time}, {by: time}, {by: time}, {by: time}]\n",
         "f.yaml:2:8: items: expected a list of at most 3 maps"},
        {"name: a\nitems: [{by: time}, 5]\n", "f.yaml:2:21: items: element 2 is no map; expected {by: ...}"},
        {"name: a\nitems:\n  - by: time\n    shrae: 1\n", "f.yaml:4:5: unknown key shrae (did you mean share?)"},
        {"name: a\nitems:\n  - share: 1\n", "f.yaml:3:5: by is missing: about by"},
        {"count: 3\n", "f.yaml:1:1: name is missing: about name"},
        {"- name\n", "f.yaml: expected `key: value` lines"},
        {"name: &n a\ntitle: *n\n", "f.yaml:1:7: aliases (*name) are not supported"},
        {"name: &n [*n]\n", "f.yaml:1:7: aliases (*name) are not supported"},
        {"name: !python/object a\n", "f.yaml:1:7: tags (!name) are not supported"},
        {"name: a\n---\nname: b\n", "f.yaml: more than one document"},
        {"[name]: a\n", "f.yaml:1:1: a key must be a single word"},
        {"name: a\ncount: 99\nflag: 1\nzzzzzzzz: 1\n",
         "f.yaml:4:1: unknown key zzzzzzzz (see --help for the keys there are)\n"
         "f.yaml:2:8: count: 99 is outside 1 to 9\n"
         "f.yaml:3:7: flag: expected true or false, found \"1\""}, /* all at once */
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        ct_arena arena = {0};
        values   v;
        assert_int_equal(read_text(cases[i].yaml, &arena, &v), CT_EUSAGE);
        assert_string_equal(ct_message(), cases[i].message);
        ct_arena_free(&arena);
    }
}

static void broken_yaml_is_placed(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *place;
    } cases[] = {{"name: [a\ncount: }\n", "f.yaml:2:"},
                 {"name: a\n\tcount: 3\n", "f.yaml:2:1"},
                 {"name: \"a\n", "f.yaml:2:"},
                 {"name: a\xff\n", "f.yaml:"},
                 {"name: a\n...\n[\n", "f.yaml:"}};
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        ct_arena arena = {0};
        values   v;
        assert_int_equal(read_text(cases[i].yaml, &arena, &v), CT_EUSAGE);
        assert_message_has(cases[i].place);
        ct_arena_free(&arena);
    }
}

static void deep_nesting_is_refused(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_node *root;
    char     text[40001];
    for (int depth = 15; depth <= 20000; depth = depth == 15 ? 16 : depth == 16 ? 17 : depth * 2 + 1) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = 0;
        ct_status status = ct_yaml_text(text, "f.yaml", &arena, &root);
        if (depth <= 17) /* the outermost list is depth 0 */
            assert_int_equal(status, CT_OK);
        else {
            assert_int_equal(status, CT_EUSAGE);
            assert_message_has("f.yaml:1:");
        }
    }
    ct_arena_free(&arena);
}

static void many_errors_are_cut_not_spilled(void **state) {
    (void)state;
    ct_arena arena = {0};
    values   v;
    char     yaml[20000] = "name: a\n";
    size_t   used = strlen(yaml);
    for (int i = 0; i < 500; i++) used += (size_t)snprintf(yaml + used, sizeof yaml - used, "unheard_of_%d: 1\n", i);
    assert_int_equal(read_text(yaml, &arena, &v), CT_EUSAGE);
    assert_message_has("unheard_of_0 ");
    assert_in_range(strlen(ct_message()), 3000, 4095);
    ct_arena_free(&arena);
}

static void overrides_win(void **state) {
    (void)state;
    char     folder[TEMP_PATH];
    ct_arena arena = {0};
    values   v = {0};
    temp_folder(folder);
    const char       *path = temp_path(&arena, folder, "c.yaml");
    static const char text[] = "name: a\na:\n  b: {form: mlp, depth: 4}\nitems: [{by: index}, {by: index}]\n";
    temp_write(path, text, sizeof text - 1);
    static const char *const words[] = {"a.b.depth=9", "a.rate=2", "items=[{by: time, share: 0.125}]",
                                        "count=4",     "count=5",  "title=x = y",
                                        "flag=true"};
    assert_int_equal(ct_config_read(&schema, path, words, CT_COUNT(words), &arena, &v), CT_OK);
    assert_true(v.depth == 9 && v.form == 1 && v.rate == 2 && v.count == 5 && v.flag);
    assert_true(v.item_count == 1 && v.items[0].by == 1 && v.items[0].share == 0.125);
    assert_string_equal(v.title, "x = y");
    char place[600];
    snprintf(place, sizeof place, "%s:3:13: a.b.form", path);
    assert_string_equal(ct_config_where("a.b.form"), place);
    assert_string_equal(ct_config_where("count"), "count"); /* from the command line */
    assert_string_equal(ct_config_where("nothing.here"), "nothing.here");

    static const char *const empty[] = {"name=", "a={rate: 3}"};
    assert_int_equal(ct_config_read(&schema, path, empty, 2, &arena, &v), CT_OK);
    assert_string_equal(v.name, "");
    assert_true(v.rate == 3 && v.form == 0); /* a whole folder of keys is replaced */
    assert_int_equal(ct_config_read(&schema, NULL, empty, 1, &arena, &v), CT_OK);
    assert_int_equal(v.count, 3);

    static const struct {
        const char *word, *message;
    } bad[] = {{"a.b.depth=x", "command line: a.b.depth=x: a.b.depth: expected a whole number, found \"x\""},
               {"a.b.dpeth=1", "command line: a.b.dpeth=1: unknown key a.b.dpeth (did you mean a.b.depth?)"},
               {"count=0", "command line: count=0: count: 0 is outside 1 to 9"},
               {"a=1", "command line: a=1: a: expected a map of keys"},
               {"=1", "=1: expected key=value after the config file"},
               {"count", "count: expected key=value after the config file"},
               {"count=[1", "command line: count=[1:"},
               {"name.x=1", "name: expected a single value, found a map"}};
    for (size_t i = 0; i < CT_COUNT(bad); i++) {
        assert_int_equal(ct_config_read(&schema, path, &bad[i].word, 1, &arena, &v), CT_EUSAGE);
        assert_message_has(bad[i].message);
    }
    temp_write(path, "# nothing\n", 10);
    assert_int_equal(ct_config_read(&schema, path, empty, 1, &arena, &v), CT_OK); /* an empty file is an empty map */
    temp_write(path, "- 1\n", 4);
    assert_int_equal(ct_config_read(&schema, path, NULL, 0, &arena, &v), CT_EUSAGE);
    assert_message_has("found a list");
    assert_int_equal(ct_config_read(&schema, temp_path(&arena, folder, "none"), NULL, 0, &arena, &v), CT_EUSAGE);
    assert_message_has("No such file");
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void printed_values_come_back(void **state) {
    (void)state;
    ct_arena arena = {0};
    values   v = {0}, again = {0};
    assert_int_equal(
        read_text(
            "name: \"it's: #1 [x]\"\ntitle: \"tr\\nu\\te\\\\ \\u00e9\"\na: {rate: 0.1234567890123456789, b: {depth: "
            "-9223372036854775807}}\nitems: [{by: index, share: 0.333333333333333333}, {by: time}]\n",
            &arena, &v),
        CT_OK);
    char *text = ct_config_print(&schema, &v, &arena);
    assert_int_equal(read_text(text, &arena, &again), CT_OK);
    assert_string_equal(again.name, v.name);
    assert_string_equal(again.title, v.title);
    again.name = v.name, again.title = v.title;
    assert_memory_equal(&v, &again, sizeof v);
    char *help = ct_config_help(&schema, &arena);
    for (size_t i = 0; i < CT_COUNT(keys); i++) assert_non_null(strstr(help, keys[i].path));
    assert_non_null(strstr(help, "one of table|mlp|off (default table)"));
    assert_non_null(strstr(help, "about name (must be given)"));
    ct_arena_free(&arena);
}

/* Texts that YAML would take for more than one line, or for none, and one that is longer than any buffer. */
static void odd_texts_come_back(void **state) {
    (void)state;
    ct_arena arena = {0};
    values   v = {0}, again = {0};
    char    *letters = ct_arena_alloc(&arena, 200001, 1);
    assert_non_null(letters);
    memset(letters, 'a', 200000);
    const char *yaml =
        ct_arena_printf(&arena, "name: \"\\x85\\u2028\\u2029\\ufeff\\uffff\\xa0\\U0001d11e\"\ntitle: %s\n", letters);
    assert_non_null(yaml);
    assert_int_equal(read_text(yaml, &arena, &v), CT_OK);
    assert_string_equal(v.title, letters);
    assert_int_equal(read_text(ct_config_print(&schema, &v, &arena), &arena, &again), CT_OK);
    assert_string_equal(again.name, v.name);
    assert_string_equal(again.title, v.title);
    assert_int_equal(read_text("name: \"a\\0b\"\n", &arena, &v), CT_EUSAGE);
    assert_message_has("1:7: a 0 byte in a text");
    ct_arena_free(&arena);
}

/* The largest schema there is, with everything away from its default: model.harmony.*, rotary and all. */
static void training_configs_come_back(void **state) {
    (void)state;
    ct_arena                 arena = {0};
    ct_train_config          c, again;
    static const char *const words[] = {
        "data.path=some where",
        "data.unknown=0.125",
        "data.transpose=false",
        "model.stage=melody",
        "model.layers=3",
        "model.width=48",
        "model.heads=6",
        "model.feed_forward=72",
        "model.tokens=77",
        "model.memory=33",
        "model.dropout=0.07",
        "model.rotary_base=5000",
        "model.rotary=[{by: root, share: 0.3}, {by: previous_root, share: 0.2}, {by: pitch_class, share: 0.5}]",
        "model.harmony={form: mlp, roots: false, function: false, theory: false}",
        "optimizer.learning_rate=1.7e-4",
        "optimizer.final_share=0.03",
        "optimizer.warmup=7",
        "optimizer.beta1=0.8",
        "optimizer.beta2=0.9",
        "optimizer.epsilon=1e-6",
        "optimizer.weight_decay=0.3",
        "optimizer.clip=2.5",
        "train.out=o'ut",
        "train.resume=auto",
        "train.init=in",
        "train.seed=9000000000000000",
        "train.steps=123456789012",
        "train.minutes=1.5",
        "train.batch=3",
        "train.accumulate=4",
        "train.log_every=5",
        "train.valid_every=6",
        "train.save_every=7",
        "train.keep=5",
        "train.keep_every=70",
        "train.background=false",
        "train.patience=0",
        "train.valid_songs=9",
        "train.most_skipped=11",
        "train.count_model=0",
        "train.count_songs=13",
        "train.trace=17",
        "debug.faults=true",
        "device=cuda",
        "precision=bf16",
        "cuda.graph=off",
        "cuda.algorithms=its own/file.json",
        "check.against=cpu",
        "check.share=0.125",
        "dist.timeout=12.5",
        "dist.bootstrap=tcp",
        "dist.bucket=128",
        "dist.gradients=bf16",
        "optimizer.shard=true",
        "gpu=H100",
        "gpus=256",
        "net=200G",
        "peer=cudnn"};
    memset(&c, 0, sizeof c);
    memset(&again, 0, sizeof again);
    if (ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), &arena, &c) != CT_OK)
        fail_msg("%s", ct_message());
    assert_true(c.model.rotary_count == 3 && c.model.rotary[1].by == CT_BY_PREVIOUS_ROOT &&
                c.model.rotary[2].share == 0.5);
    assert_true(c.model.form == CT_FORM_MLP && !c.model.roots && !c.model.function && !c.model.theory);
    char *text = ct_config_print(&ct_train_schema, &c, &arena);
    if (ct_config_read_text(&ct_train_schema, text, "printed", &arena, &again) != CT_OK) fail_msg("%s", ct_message());
    assert_string_equal(c.out, again.out);
    assert_string_equal(c.data, again.data);
    assert_string_equal(c.init, again.init);
    assert_string_equal(c.on.algorithms, again.on.algorithms);
    again.out = c.out, again.data = c.data, again.init = c.init, again.on.algorithms = c.on.algorithms;
    assert_memory_equal(&c, &again, sizeof c);
    for (size_t i = 0; i < CT_COUNT(words); i++) { /* and every key was given: none is at its default */
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(words[i], "="), words[i]);
        bool known = false;
        for (size_t k = 0; k < ct_train_schema.count; k++)
            known = known || !strncmp(ct_train_schema.keys[k].path, name, strlen(name));
        assert_true(known);
    }
    assert_true(ct_train_schema.count <= CT_COUNT(words) + 3); /* model.harmony stands for four */
    static const struct {
        const char *word, *message;
    } bad[] = {{"model.harmony={from: mlp}", "unknown key model.harmony.from (did you mean model.harmony.form?)"},
               {"model.rotary=[{by: pitch, share: 1}]", "by: expected one of index|time|place|root"},
               {"model.rotary=[{by: root, share: 2}]", "share: 2 is outside 0 to 1"},
               {"model.layers=0", "model.layers: 0 is outside 1 to 256"},
               {"model.stage=both", "model.stage: expected one of backbone|melody"}};
    for (size_t i = 0; i < CT_COUNT(bad); i++) {
        const char *all[] = {"data.path=d", "model.stage=melody", "train.out=o", bad[i].word};
        assert_int_equal(ct_config_read(&ct_train_schema, NULL, all, 4, &arena, &c), CT_EUSAGE);
        assert_message_has(bad[i].message);
    }
    ct_arena_free(&arena);
}

/* Random damage to a config: it is read, or refused with its name; never a crash. */
static void damaged_configs_never_crash(void **state) {
    (void)state;
    static const char good[] = "# what it is for, in a few words\nname: \"a b\"\ncount: 4\na:\n  rate: 0.5\n  b: "
                               "{form: mlp, depth: 2}\nitems:\n  - by: time\n"
                               "    share: 0.5\n  - {by: index}\n";
    static const char likely[] = ":-{}[]#&*!|>'\"%@` \n\t,?0a~<";
    int               opened = 0;
    for (uint64_t n = 0; n < 4000; n++) {
        ct_arena arena = {0};
        values   v;
        char     bad[sizeof good];
        memcpy(bad, good, sizeof good);
        for (uint64_t k = 0; k <= n % 5; k++) {
            ct_philox x = ct_philox_at(n, 0, k);
            bad[ct_philox_below(x.word[0], sizeof good - 1)] =
                x.word[1] % 4 ? likely[x.word[2] % (sizeof likely - 1)] : (char)(1 + x.word[2] % 255);
        }
        ct_status status = read_text(bad, &arena, &v);
        assert_true(status == CT_OK || (status == CT_EUSAGE && strstr(ct_message(), "f.yaml")));
        if (status == CT_OK) assert_true(v.count >= 1 && v.count <= 9 && v.item_count >= 0 && v.item_count <= 3);
        opened += status == CT_OK;
        ct_arena_free(&arena);
    }
    assert_in_range(opened, 200, 3800);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_defaults_are_read),    cmocka_unit_test(every_error_has_its_place),
        cmocka_unit_test(broken_yaml_is_placed),           cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(many_errors_are_cut_not_spilled), cmocka_unit_test(overrides_win),
        cmocka_unit_test(printed_values_come_back),        cmocka_unit_test(training_configs_come_back),
        cmocka_unit_test(damaged_configs_never_crash),     cmocka_unit_test(odd_texts_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
