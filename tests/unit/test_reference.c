/* test_reference.c -- both models against PyTorch: what tests/reference/ has written to tests/data/reference/.
 *
 * Logits of each window, every gradient, and losses and gradient norms of ten AdamW steps, in three ways: reference
 * backend in double, reference backend in float, cpu backend. Measure: the largest error of an array as a share of its
 * largest number. Double may be wrong by 1024 roundings of 2^-53: the longest way from the weights to a gradient leads
 * through two layers, forward and back, ten sums each of some 24 terms. The cpu backend may be wrong by 2 times
 * (gradients and training: 3 times) what plain float loops are wrong by in the same part of the model, plus the floor
 * of test_ops_parity.c: 4 units in the last place. CANTUS_TEST_VERBOSE=1 prints all errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/json.h"
#include "models/network.h"
#include "temp_folder.h"

#include <math.h>

#define FOLDER "tests/data/reference/"
#define DOUBLE_ROUNDINGS (1024 * 0x1p-53)
#define FLOAT_FLOOR (4 * 0x1p-23)

/* ---- a file of PyTorch's numbers */
typedef struct dump {
    const char     *path;
    ct_arena        arena;
    ct_safetensors  file;
    ct_json        *about;
    ct_model_config config;
    ct_stage_data   data;
    int64_t         windows, batch, tokens, steps;
    uint16_t       *rows;
    int32_t        *target, *song;
} dump;

static const ct_tensor_entry *find(const dump *d, const char *name) {
    const ct_tensor_entry *e = ct_safetensors_find(&d->file, name);
    if (!e) fail_msg("%s: no tensor %s", d->path, name);
    return e;
}

static int64_t elements(const ct_tensor_entry *e) {
    int64_t count = 1;
    for (int i = 0; i < e->dimensions; i++) count *= e->shape[i];
    return count;
}

/* A copy: the file's data need not be aligned. */
static void *copy(dump *d, const char *name, const char *dtype) {
    const ct_tensor_entry *e = find(d, name);
    void                  *to = ct_arena_alloc(&d->arena, e->bytes, 1);
    assert_non_null(to);
    assert_string_equal(e->dtype, dtype);
    memcpy(to, e->data, e->bytes);
    return to;
}

/* Tensor PART/NAME as `count` doubles; NAME/at: places of its values, all others are 0. */
static double *numbers(dump *d, const char *part, const char *name, int64_t count) {
    const char *full = ct_arena_printf(&d->arena, "%s%s", part, name),
               *at = ct_arena_printf(&d->arena, "%s%s/at", part, name);
    double *to = CT_NEW(&d->arena, double, (size_t)count);
    assert_true(full && at && to);
    const ct_tensor_entry *e = find(d, full);
    const int32_t         *places = ct_safetensors_find(&d->file, at) ? copy(d, at, "I32") : NULL;
    if (!places && elements(e) != count)
        fail_msg("%s: %s has %lld numbers, not %lld", d->path, full, (long long)elements(e), (long long)count);
    bool          wide = !strcmp(e->dtype, "F64");
    const double *doubles = wide ? copy(d, full, "F64") : NULL;
    const float  *floats = wide ? NULL : copy(d, full, "F32");
    for (int64_t i = 0; i < elements(e); i++) {
        int64_t place = places ? places[i] : i;
        assert_in_range(place, 0, count - 1);
        to[place] = wide ? doubles[i] : (double)floats[i];
    }
    return to;
}

static int64_t integer(const dump *d, const char *key) {
    int64_t value = ct_json_integer(ct_json_get(ct_json_get(d->about, "config"), key), -1);
    if (value < 0) fail_msg("%s: config has no %s", d->path, key);
    return value;
}

static int word(const char *text, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(text, words[i])) return (int)i;
    fail_msg("unknown word %s", text);
    return -1;
}

static void read_config(dump *d) {
    static const char *const forms[] = {"table", "mlp", "off"};
    static const char *const sources[] = {"index", "time", "place", "root", "previous_root", "pitch_class"};
    ct_model_config         *c = &d->config;
    const ct_json           *config = ct_json_get(d->about, "config"), *rotary = ct_json_get(config, "rotary");
    *c = (ct_model_config){.layers = integer(d, "layers"),
                           .width = integer(d, "width"),
                           .heads = integer(d, "heads"),
                           .feed_forward = integer(d, "feed_forward"),
                           .tokens = integer(d, "tokens"),
                           .memory = integer(d, "memory"),
                           .rotary_base = (double)integer(d, "rotary_base"),
                           .rotary_count = (int64_t)ct_json_count(rotary),
                           .roots = true,
                           .function = true,
                           .theory = true};
    c->stage = word(ct_json_text(ct_json_get(config, "stage"), ""), ct_stage_names, CT_STAGES);
    c->form = word(ct_json_text(ct_json_get(config, "form"), ""), forms, CT_COUNT(forms));
    assert_in_range(c->rotary_count, 1, CT_ROTARY_MOST);
    for (size_t i = 0; i < (size_t)c->rotary_count; i++) {
        const ct_json *entry = ct_json_at(rotary, i);
        c->rotary[i].by = word(ct_json_text(ct_json_get(entry, "by"), ""), sources, CT_COUNT(sources));
        c->rotary[i].share = ct_json_real(ct_json_get(entry, "share"), 0);
    }
}

static dump open_dump(const char *path) {
    dump d = {.path = path};
    if (ct_safetensors_open(path, &d.file) != CT_OK) fail_msg("%s", ct_message());
    const char *text = ct_safetensors_metadata(&d.file, "reference", "");
    assert_int_equal(ct_json_parse(text, strlen(text), path, &d.about), CT_OK);
    return d;
}

static dump open_model(const char *path) {
    dump                   d = open_dump(path);
    const ct_tensor_entry *rows = find(&d, "rows");
    read_config(&d);
    if (ct_stage_parse(path, d.config.stage, d.about, &d.arena, &d.data) != CT_OK) fail_msg("%s", ct_message());
    assert_int_equal(rows->dimensions, 4);
    assert_int_equal(rows->shape[2], d.config.tokens);
    assert_int_equal(rows->shape[3], d.data.column_count);
    d.windows = rows->shape[0], d.batch = rows->shape[1], d.tokens = rows->shape[2];
    d.steps = elements(find(&d, "rates"));
    d.rows = copy(&d, "rows", "U16");
    d.target = copy(&d, "target", "I32");
    d.song = copy(&d, "song", "I32");
    return d;
}

static void close_dump(dump *d) {
    ct_safetensors_close(&d->file);
    ct_json_free(d->about);
    ct_arena_free(&d->arena);
}

/* ---- the same by our own model */
typedef struct results {
    double *logits, *gradients, *losses, *norms;
} results;

static double at(const ct_model *m, const void *array, int64_t i) {
    return m->dtype == CT_F64 ? ((const double *)array)[i] : (double)((const float *)array)[i];
}

static ct_model make_model(dump *d, ct_dtype dtype) {
    ct_model m;
    if (ct_model_shape(&d->config, &d->data, dtype, &m) != CT_OK) fail_msg("%s", ct_message());
    for (int64_t t = 0; t < m.tensor_count; t++) {
        const ct_tensor_info *info = &m.tensors[t];
        const double         *from = numbers(d, "weight/", info->name, info->count);
        for (int64_t i = 0; i < info->count; i++)
            if (dtype == CT_F64)
                ((double *)m.parameters)[info->first + i] = from[i];
            else
                ((float *)m.parameters)[info->first + i] = (float)from[i];
    }
    return m;
}

/* Forward pass over a window; the mean loss of its targets. */
static double run_window(dump *d, ct_network *n, int64_t window) {
    int64_t  rows = d->batch * d->tokens, targets = 0;
    ct_batch batch = {.batch = d->batch,
                      .tokens = d->tokens,
                      .columns = d->data.column_count,
                      .rows = d->rows + window * rows * d->data.column_count,
                      .target = d->target + window * rows,
                      .song = d->song + window * rows};
    double   loss = 0;
    for (int64_t i = 0; i < rows; i++) targets += batch.target[i] >= 0;
    n->step->loss_scale = 1 / (double)targets;
    if (ct_network_fill(n, &batch) != CT_OK || ct_network_forward(n) != CT_OK) fail_msg("%s", ct_message());
    for (int64_t i = 0; i < rows; i++) loss += at(n->model, n->loss, i);
    return loss / (double)targets;
}

static void train(dump *d, ct_network *n, results *r) {
    const double *rates = numbers(d, "", "rates", d->steps), *adam = numbers(d, "", "adam", 5);
    n->step->clip = adam[4];
    assert_int_equal(ct_network_forget(n), CT_OK);
    for (int64_t k = 0; k < d->steps; k++) {
        n->step->learning_rate = rates[k];
        r->losses[k] = run_window(d, n, k % d->windows);
        assert_int_equal(ct_network_zero_gradients(n), CT_OK);
        assert_int_equal(ct_network_backward(n), CT_OK);
        assert_int_equal(ct_network_norm(n), CT_OK);
        r->norms[k] = n->norm[0];
        assert_int_equal(ct_network_update(n), CT_OK);
        assert_int_equal(ct_network_remember(n), CT_OK);
    }
}

static results run(dump *d, ct_dtype dtype, const ct_backend *backend) {
    ct_model           m = make_model(d, dtype);
    ct_network         n;
    ct_network_options o = {
        .batch = d->batch, .tokens = d->tokens, .memory = d->config.memory, .train = true, .backend = backend};
    const double *adam = numbers(d, "", "adam", 5);
    o.adam = (ct_adam){adam[0], adam[1], adam[2], adam[3]};
    int64_t count = d->batch * d->tokens * m.vocabulary_size;
    results r = {CT_NEW(&d->arena, double, (size_t)(d->windows * count)),
                 CT_NEW(&d->arena, double, (size_t)m.parameter_count), CT_NEW(&d->arena, double, (size_t)d->steps),
                 CT_NEW(&d->arena, double, (size_t)d->steps)};
    assert_true(r.logits && r.gradients && r.losses && r.norms);
    assert_int_equal(ct_network_make(&m, &o, &n), CT_OK);
    n.step->train = true;
    assert_int_equal(ct_network_zero_gradients(&n), CT_OK);
    for (int64_t window = 0; window < d->windows; window++) {
        run_window(d, &n, window);
        for (int64_t i = 0; i < count; i++) r.logits[window * count + i] = at(&m, n.logits, i);
        assert_int_equal(ct_network_backward(&n), CT_OK);
        assert_int_equal(ct_network_remember(&n), CT_OK);
    }
    for (int64_t i = 0; i < m.parameter_count; i++) r.gradients[i] = at(&m, n.gradients, i);
    train(d, &n, &r);
    ct_network_free(&n);
    ct_model_free(&m);
    return r;
}

/* ---- comparison */
static double largest(const double *a, const double *b, int64_t count) {
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        double x = fabs(a[i] - (b ? b[i] : 0));
        if (!(x <= most)) most = x; /* NaN too */
    }
    return most;
}

/* Largest error of `count` numbers against what PyTorch has, as a share of the largest number. */
static double share(const double *got, const double *wanted, int64_t count) {
    return largest(got, wanted, count) / largest(wanted, NULL, count);
}

/* plain: the error of plain float loops; factor: how much worse the cpu backend may be. */
static void compare(const dump *d, const char *name, const double *wanted, const double *exact, const double *fast,
                    int64_t count, double plain, double factor) {
    double of_exact = share(exact, wanted, count), of_fast = share(fast, wanted, count);
    if (getenv("CANTUS_TEST_VERBOSE"))
        printf("    %-30s scale %8.2e  error %8.2e  float %8.2e  cpu %8.2e\n", name, largest(wanted, NULL, count),
               of_exact, plain, of_fast);
    if (!(of_exact <= DOUBLE_ROUNDINGS))
        fail_msg("%s: %s: double differs from PyTorch by a share of %g, allowed %g", d->path, name, of_exact,
                 DOUBLE_ROUNDINGS);
    if (!(of_fast <= factor * plain + FLOAT_FLOOR))
        fail_msg("%s: %s: the cpu backend differs from PyTorch by a share of %g, plain float loops by %g", d->path,
                 name, of_fast, plain);
}

/* Error of plain float loops in the part of the model that a tensor belongs to ("layer.0.harmony"): the largest of its
 * tensors. A tensor alone may be right by chance, one of a single number more often than not. */
static double plain_error(dump *d, const ct_model *m, const char *name, const double *plain) {
    size_t part = (size_t)(strrchr(name, '.') ? strrchr(name, '.') - name + 1 : 0);
    double most = 0;
    for (int64_t t = 0; t < m->tensor_count; t++) {
        const ct_tensor_info *info = &m->tensors[t];
        if (strncmp(info->name, name, part) != 0 || strchr(info->name + part, '.')) continue;
        most = fmax(most, share(plain + info->first, numbers(d, "gradient/", info->name, info->count), info->count));
    }
    return most;
}

static void check_model(const char *path) {
    dump    d = open_model(path);
    results exact = run(&d, CT_F64, ct_backend_reference()), plain = run(&d, CT_F32, ct_backend_reference()),
            fast = run(&d, CT_F32, ct_backend_cpu());
    ct_model m = make_model(&d, CT_F64);
    int64_t  count = d.batch * d.tokens * m.vocabulary_size, gradients = 0;
    double  *logits = numbers(&d, "", "logits", d.windows * count);
    if (getenv("CANTUS_TEST_VERBOSE")) printf("  %s\n", path);
    for (int64_t window = 0; window < d.windows; window++) {
        int64_t first = window * count;
        compare(&d, ct_arena_printf(&d.arena, "logits of window %lld", (long long)window), logits + first,
                exact.logits + first, fast.logits + first, count, share(plain.logits + first, logits + first, count),
                2);
    }
    for (int64_t t = 0; t < m.tensor_count; t++) {
        const ct_tensor_info *info = &m.tensors[t];
        compare(&d, info->name, numbers(&d, "gradient/", info->name, info->count), exact.gradients + info->first,
                fast.gradients + info->first, info->count, plain_error(&d, &m, info->name, plain.gradients), 3);
    }
    for (size_t i = 0; i < d.file.count; i++) {
        const char *name = d.file.tensors[i].name, *end = strstr(name, "/at");
        gradients += !strncmp(name, "gradient/", 9) && !(end && !end[3]);
    }
    assert_int_equal(gradients, m.tensor_count);
    double *losses = numbers(&d, "", "losses", d.steps), *norms = numbers(&d, "", "norms", d.steps);
    compare(&d, "losses", losses, exact.losses, fast.losses, d.steps, share(plain.losses, losses, d.steps), 3);
    compare(&d, "norms", norms, exact.norms, fast.norms, d.steps, share(plain.norms, norms, d.steps), 3);
    ct_model_free(&m);
    close_dump(&d);
}

static void backbone(void **state) {
    (void)state;
    check_model(FOLDER "backbone.safetensors");
}
static void backbone_published_form(void **state) {
    (void)state;
    check_model(FOLDER "published.safetensors");
}
static void melody(void **state) {
    (void)state;
    check_model(FOLDER "melody.safetensors");
}

/* The fixed distances, which theory.py computes in its own way. */
static void theory(void **state) {
    (void)state;
    enum { V = CT_QUALITY_VALUES, Q = CT_QUALITY_COUNT };
    static double          phi[CT_PHI_COUNT][12][V][V];
    dump                   d = open_dump(FOLDER "theory.safetensors");
    const ct_tensor_entry *e = find(&d, "number");
    const int64_t          shape[4] = {CT_PHI_COUNT, 12, Q, Q};
    int64_t                values = elements(find(&d, "values"));
    const uint16_t        *number = copy(&d, "number", "U16");
    const double          *value = copy(&d, "values", "F64");
    assert_int_equal(e->dimensions, 4);
    assert_memory_equal(e->shape, shape, sizeof shape);
    ct_phi_table(&phi[0][0][0][0]);
    for (int f = 0; f < CT_PHI_COUNT; f++)
        for (int step = 0; step < 12; step++)
            for (int a = 0; a < V; a++)
                for (int b = 0; b < V; b++) {
                    bool real = a < Q && b < Q;
                    if (real) assert_in_range(number[((f * 12 + step) * Q + a) * Q + b], 0, values - 1);
                    double wanted = real ? value[number[((f * 12 + step) * Q + a) * Q + b]] : 0;
                    if (!(fabs(phi[f][step][a][b] - wanted) <= DOUBLE_ROUNDINGS * fmax(1, fabs(wanted))))
                        fail_msg("%s, roots %d apart, qualities %d and %d: %.15g, theory.py has %.15g", ct_phi_name(f),
                                 step, a, b, phi[f][step][a][b], wanted);
                }
    close_dump(&d);
}

/* The files are what these scripts wrote, not some older ones. */
static void files_are_of_these_scripts(void **state) {
    (void)state;
    static const char *const scripts[] = {"theory.py", "model.py", "reference.py"};
    static const char *const files[] = {"theory", "backbone", "melody", "published"};
    ct_arena                 arena = {0};
    char                    *text = ct_arena_printf(&arena, "%s", ""), hex[65];
    for (size_t i = 0; i < CT_COUNT(scripts); i++) {
        ct_bytes bytes = temp_read(temp_path(&arena, "tests/reference", scripts[i]), &arena);
        text = ct_arena_printf(&arena, "%s%s", text, (const char *)bytes.at);
        assert_non_null(text);
    }
    ct_sha256(text, strlen(text), hex);
    for (size_t i = 0; i < CT_COUNT(files); i++) {
        dump        d = open_dump(ct_arena_printf(&arena, FOLDER "%s.safetensors", files[i]));
        const char *written = ct_json_text(ct_json_get(d.about, "sha256"), "");
        if (strcmp(written, hex) != 0)
            fail_msg("%s is of other scripts than tests/reference (hint: make reference)", d.path);
        close_dump(&d);
    }
    ct_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(theory),
        cmocka_unit_test(backbone),
        cmocka_unit_test(melody),
        cmocka_unit_test(backbone_published_form),
        cmocka_unit_test(files_are_of_these_scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
