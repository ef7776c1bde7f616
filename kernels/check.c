/* check.c -- see check.h.
 *
 * Nudges, as a share of each number read: 2^-13 for floats. Sums of n numbers of one sign are wrong by up to about
 * sqrt(n) 2^-24 of the result when added one by one, and move by 2^-13 / sqrt(n): more, for n up to some ten thousand,
 * and every kernel here adds up by blocks. Sums that cancel are wrong by n 2^-24 of a number and move by
 * sqrt(n) 2^-13 of one. Products in TF32 round what they read by 2^-11: 2^-9. In bf16 an op that rounds what it keeps
 * on the way, by 2^-9: 2^-7; those that only round their results are nudged as floats, and a result may be two units in
 * its last place off. What is added to (CT_ROLE_ADD) is not nudged: all start from the same. Nor are doubles and whole
 * numbers; doubles have to agree within 1e-10, whole numbers and what is only copied entirely.
 *
 * The least that arrays may differ by, as a share of their largest value: 2^-20 where each number is computed by
 * itself, 2^-16 where it is a sum. The largest value is that of what the op subtracts from, where this may be far more
 * than what is left: `subtracted_from`.
 */
#include "kernels/check.h"

#include "core/log.h"
#include "kernels/bf16.h"

#include <math.h>
#include <string.h>

enum { MOST_ARRAYS = 64, ALIGNMENT = 64, TRIES = 8 };
static const double TIMES = 4, OF_FLOATS = 0x1p-13, OF_TF32 = 0x1p-9, OF_BF16 = 0x1p-7, OF_DOUBLES = 1e-10,
                    ROUNDED = 0x1p-8; /* bf16: a share of the value */

typedef struct part { /* an array of the call; those that are the same memory are one */
    const ct_op_info *about;
    const ct_field   *field;
    char             *where; /* on the device */
    int64_t           count;
    size_t            at;                   /* in each image */
    bool              in, added_to, result; /* read before it is written; in and out; written */
    double            scale, moved;
} part;

typedef struct parts {
    part   at[MOST_ARRAYS];
    int    count;
    size_t bytes, work; /* of an image; of workspace */
} parts;

/* ---- the arrays of a call */
static void *pointer_of(const ct_field *f, const ct_params *params) {
    void *pointer;
    memcpy(&pointer, (const char *)params + f->offset, sizeof pointer);
    return pointer;
}

static size_t aligned(int64_t count, size_t size) {
    return ((size_t)count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static part *find(parts *all, const void *where) {
    for (int i = 0; i < all->count; i++)
        if (all->at[i].where == where) return &all->at[i];
    return NULL;
}

static void add(const ct_check *c, parts *all, const ct_op_info *about, const ct_field *f, void *where, int64_t count) {
    part *p = find(all, where);
    if (!p) {
        CT_ASSERT(all->count < MOST_ARRAYS);
        p = &all->at[all->count++];
        *p = (part){.about = about, .field = f, .where = where, .count = count, .at = all->bytes};
        all->bytes += aligned(count, ct_type_size(f->type, c->dtype));
    }
    CT_ASSERT(count <= p->count && ct_type_size(f->type, c->of_device) == ct_type_size(p->field->type, c->of_device));
    if (f->role == CT_ROLE_IN) {
        p->in = p->in || !p->result;
        if (p->result && p->about == ct_op_about(CT_OP_linear_backward)) p->result = false; /* need not be left there */
    } else { /* it is named for what it is when the call is over */
        p->result = true;
        p->added_to = p->added_to || f->role == CT_ROLE_ADD;
        p->about = about;
        p->field = f;
    }
}

static void gather(const ct_check *c, const ct_call *calls, int count, parts *all) {
    *all = (parts){.count = 0};
    for (int k = 0; k < count; k++) {
        const ct_op_info *about = ct_op_about(calls[k].op);
        size_t            work = 0;
        for (int i = 0; i < about->field_count; i++) {
            const ct_field *f = &about->fields[i];
            const int64_t   elements = f->count ? f->count(calls[k].params) : 0;
            if (f->count && f->role == CT_ROLE_TMP)
                work += aligned(elements, ct_type_size(f->type, c->dtype));
            else if (elements > 0 && pointer_of(f, calls[k].params))
                add(c, all, about, f, pointer_of(f, calls[k].params), elements);
        }
        if (work > all->work) all->work = work;
    }
}

/* The call on an image's arrays. */
static ct_params on_image(const ct_check *c, const ct_call *call, parts *all, char *image) {
    const ct_op_info *about = ct_op_about(call->op);
    ct_params         params = *call->params;
    size_t            work = 0;
    params.dtype = c->dtype;
    for (int i = 0; i < about->field_count; i++) {
        const ct_field *f = &about->fields[i];
        const void     *to = image; /* arrays without elements */
        if (f->role == CT_ROLE_SCALAR && !strcmp(f->name, "step"))
            to = &c->step;
        else if (!f->count)
            continue;
        else if (f->role == CT_ROLE_TMP) {
            to = c->scratch + work;
            work += aligned(f->count(&params), ct_type_size(f->type, c->dtype));
        } else if (f->count(&params) > 0 && pointer_of(f, call->params))
            to = image + find(all, pointer_of(f, call->params))->at;
        if (f->role == CT_ROLE_TMP || pointer_of(f, call->params)) memcpy((char *)&params + f->offset, &to, sizeof to);
    }
    return params;
}

/* ---- numbers, as doubles */
static double number(const void *array, ct_type type, ct_dtype dtype, int64_t i) {
    if (type == CT_TYPE_f64 || ct_type_size(type, dtype) == sizeof(double)) return ((const double *)array)[i];
    if (ct_type_size(type, dtype) == sizeof(uint16_t)) return (double)ct_bf16_float(((const uint16_t *)array)[i]);
    return (double)((const float *)array)[i];
}

static bool is_number(const part *p) {
    return ct_type_is_real(p->field->type) || p->field->type == CT_TYPE_f64;
}

static bool copied_only(const part *p) {
    return p->about->tolerance == CT_TOLERANCE_EXACT;
}

static double largest(const ct_check *c, const part *p, const char *image) {
    double most = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const double x = fabs(number(image + p->at, p->field->type, c->dtype, i));
        if (isfinite(x) && x > most) most = x;
    }
    return most;
}

/* ---- before the call */
/* From the device, widened in place. */
static ct_status fetch(const ct_check *c, const part *p) {
    const ct_type type = p->field->type;
    const size_t  there = ct_type_size(type, c->of_device), here = ct_type_size(type, c->dtype);
    char         *to = c->before + p->at;
    CT_TRY(ct_device_copy(c->device, to, p->where, (size_t)p->count * there));
    if (here == there) return CT_OK;
    if (there == sizeof(uint16_t)) {
        ct_bf16_widen(to, (size_t)p->count, (float *)(void *)to);
        return CT_OK;
    }
    for (int64_t i = p->count; i-- > 0;) ((double *)(void *)to)[i] = (double)((const float *)(const void *)to)[i];
    return CT_OK;
}

static ct_status fetch_all(ct_check *c, const ct_call *calls, int count, const parts *all) {
    for (int k = 0; k < count; k++) {
        const ct_op_info *about = ct_op_about(calls[k].op);
        for (int i = 0; i < about->field_count; i++) {
            const ct_field *f = &about->fields[i];
            const void     *step =
                f->role == CT_ROLE_SCALAR && !strcmp(f->name, "step") ? pointer_of(f, calls[k].params) : NULL;
            if (step) CT_TRY(ct_device_copy(c->device, &c->step, step, sizeof c->step));
        }
    }
    for (int i = 0; i < all->count; i++) CT_TRY(fetch(c, &all->at[i]));
    return CT_OK;
}

/* Of what is not finite little is promised, and other parts of a program watch for it. -inf: a query's that sees
 * nothing. */
static bool is_finite(const ct_check *c, const parts *all) {
    bool fine = isfinite(c->step.loss_scale) && isfinite(c->step.learning_rate) && isfinite(c->step.clip);
    for (int k = 0; k < all->count && fine; k++) {
        const part *p = &all->at[k];
        const bool  may_see_nothing = !strcmp(p->field->name, "lse");
        for (int64_t i = 0; (p->in || p->added_to) && is_number(p) && i < p->count; i++) {
            const double x = number(c->before + p->at, p->field->type, c->dtype, i);
            fine = fine && (isfinite(x) || (may_see_nothing && x < 0));
        }
    }
    return fine;
}

/* ---- the second backend's results */
static bool rounds_on_the_way(const ct_call *calls, int count) {
    const ct_op op = calls[0].op;
    return count > 1 || op == CT_OP_attention || op == CT_OP_attention_backward || op == CT_OP_attention_decode ||
           op == CT_OP_gelu_backward;
}

/* Of an array of this type. */
static double nudge_of(const ct_check *c, const ct_call *calls, int count, ct_type type) {
    const bool product = calls[0].op == CT_OP_linear || calls[0].op == CT_OP_linear_backward;
    if (type == CT_TYPE_real && c->of_device == CT_BF16 && rounds_on_the_way(calls, count)) return OF_BF16;
    return type == CT_TYPE_real && c->of_device == CT_F32 && c->options.tf32 && product ? OF_TF32 : OF_FLOATS;
}

/* Each number up or down by a share of it. */
static void nudge(const ct_check *c, const part *p, double share, uint64_t stream) {
    char     *at = c->nudged + p->at;
    ct_philox drawn = {{0}};
    for (int64_t i = 0; i < p->count; i++) {
        if (i % 128 == 0) drawn = ct_philox_at(c->options.seed, stream, (uint64_t)i);
        const double by = drawn.word[i / 32 % 4] >> i % 32 & 1 ? 1 + share : 1 - share;
        if (c->dtype == CT_F64)
            ((double *)(void *)at)[i] *= by;
        else
            ((float *)(void *)at)[i] *= (float)by;
    }
}

static ct_status compute(const ct_check *c, const ct_call *calls, int count, parts *all, char *image) {
    for (int k = 0; k < count; k++) {
        const ct_params params = on_image(c, &calls[k], all, image);
        CT_TRY(ct_context(ct_op_run(c->second, calls[k].op, &params), "check"));
    }
    return CT_OK;
}

static ct_status compute_plain(const ct_check *c, const ct_call *calls, int count, parts *all) {
    memcpy(c->plain, c->before, all->bytes);
    return compute(c, calls, count, all, c->plain);
}

/* How far results move. */
static ct_status compute_nudged(const ct_check *c, const ct_call *calls, int count, parts *all, int trial) {
    memcpy(c->nudged, c->before, all->bytes);
    for (int k = 0; k < all->count; k++) {
        const part *p = &all->at[k];
        if (p->in && ct_type_is_real(p->field->type))
            nudge(c, p, nudge_of(c, calls, count, p->field->type), (uint64_t)trial << 32 | (uint64_t)k);
    }
    CT_TRY(compute(c, calls, count, all, c->nudged));
    for (int k = 0; k < all->count; k++) {
        part         *p = &all->at[k];
        const ct_type type = p->field->type;
        for (int64_t i = 0; p->result && ct_type_is_real(type) && i < p->count; i++) {
            const double x = number(c->plain + p->at, type, c->dtype, i),
                         y = number(c->nudged + p->at, type, c->dtype, i);
            if (isfinite(x) && !(fabs(y - x) <= p->moved)) p->moved = isfinite(y) ? fabs(y - x) : INFINITY;
        }
    }
    return CT_OK;
}

/* The largest number that a result is a difference of: 1 + tanh, by which gelu multiplies what it reads; log sum exp
 * and a logit; a probability and 1, times the scale of the loss. */
static double subtracted_from(const ct_check *c, const part *p, parts *all, const ct_call *calls, int count) {
    static const struct {
        ct_op       op;
        const char *result, *from;
    } known[] = {{CT_OP_gelu, "y", "x"}, {CT_OP_gelu_backward, "dx", "dy"}, {CT_OP_cross_entropy, "loss", "logits"}};
    for (int k = 0; k < count; k++) {
        const ct_op_info *about = ct_op_about(calls[k].op);
        if (about != p->about) continue;
        if (calls[k].op == CT_OP_cross_entropy && !strcmp(p->field->name, "dlogits")) return fabs(c->step.loss_scale);
        for (size_t i = 0; i < CT_COUNT(known); i++)
            for (int f = 0;
                 calls[k].op == known[i].op && !strcmp(p->field->name, known[i].result) && f < about->field_count; f++)
                if (!strcmp(about->fields[f].name, known[i].from)) {
                    const part *from = find(all, pointer_of(&about->fields[f], calls[k].params));
                    return largest(c, from, from->in ? c->before : c->plain);
                }
    }
    return 0;
}

/* ---- after the call */
typedef struct difference {
    const part *of;
    int64_t     at;
    double      got, wanted, bound;
} difference;

static double bound_of(const ct_check *c, const part *p, double wanted) {
    if (p->field->type == CT_TYPE_f64) return OF_DOUBLES * fabs(wanted);
    if (copied_only(p)) return 0;
    const double least = p->about->tolerance == CT_TOLERANCE_ROUND ? 0x1p-20 : 0x1p-16;
    const bool   rounded = p->field->type == CT_TYPE_real && c->of_device == CT_BF16;
    return TIMES * p->moved + least * p->scale + (rounded ? ROUNDED * fabs(wanted) : 0);
}

static void compare_numbers(const ct_check *c, const part *p, difference *out) {
    const ct_type type = p->field->type;
    for (int64_t i = 0; i < p->count && !out->of; i++) {
        const double got = number(c->raw, type, c->of_device, i), wanted = number(c->plain + p->at, type, c->dtype, i);
        const double bound = bound_of(c, p, wanted);
        const bool   same = got == wanted || (!isfinite(wanted) && !isfinite(got)) || fabs(got - wanted) <= bound;
        if (!same && bound < INFINITY) *out = (difference){p, i, got, wanted, bound};
    }
}

static int64_t whole(const void *array, size_t size, int64_t i) {
    const unsigned char *at = (const unsigned char *)array + (size_t)i * size;
    uint64_t             bits = 0;
    memcpy(&bits, at, size); /* little-endian, as all that this program is built for */
    return size == 4 ? (int32_t)(uint32_t)bits : (int64_t)bits;
}

static void compare_whole(const ct_check *c, const part *p, difference *out) {
    const size_t size = ct_type_size(p->field->type, c->dtype);
    for (int64_t i = 0; i < p->count && !out->of; i++) {
        const int64_t got = whole(c->raw, size, i), wanted = whole(c->plain + p->at, size, i);
        if (got != wanted) *out = (difference){p, i, (double)got, (double)wanted, 0};
    }
}

/* The first difference between what the device has and the second backend, if there is one. */
static ct_status compare(const ct_check *c, const parts *all, difference *out) {
    *out = (difference){.of = NULL};
    for (int k = 0; k < all->count && !out->of; k++) {
        const part *p = &all->at[k];
        if (!p->result) continue;
        CT_TRY(
            ct_device_copy(c->device, c->raw, p->where, (size_t)p->count * ct_type_size(p->field->type, c->of_device)));
        (is_number(p) ? compare_numbers : compare_whole)(c, p, out);
    }
    return CT_OK;
}

static ct_status check_results(const ct_check *c, const ct_backend *first, const ct_call *calls, int count,
                               parts *all) {
    difference d;
    CT_TRY(compute_plain(c, calls, count, all));
    for (int k = 0; k < all->count; k++) {
        part *p = &all->at[k];
        if (!p->result || !ct_type_is_real(p->field->type)) continue;
        p->scale = fmax(largest(c, p, c->plain), subtracted_from(c, p, all, calls, count));
    }
    for (int trial = 0; trial < TRIES; trial++) {
        CT_TRY(compute_nudged(c, calls, count, all, trial));
        CT_TRY(compare(c, all, &d));
        if (!d.of) return CT_OK;
        if (!ct_type_is_real(d.of->field->type) || copied_only(d.of)) break; /* no nudge explains it */
    }
    return ct_fail(CT_EFAIL,
                   "op %s: %s[%lld] is %.9g by the %s backend and %.9g by the %s backend, at most %.3g apart is "
                   "rounding (pass %lld, call %lld of check.share; hint: a fault of the machine if it comes and goes, "
                   "else please report it)",
                   d.of->about->name, d.of->field->name, (long long)d.at, d.got, first->name, d.wanted, c->second->name,
                   d.bound, (long long)c->pass, (long long)c->call - 1);
}

/* ---- what others call */
void ct_check_begin(const ct_check_options *options, const ct_device *device, ct_dtype dtype, ct_check *out) {
    const bool apart = ct_device_apart(device);
    CT_ASSERT(!(options->share > 0) || dtype != CT_F64);
    *out = (ct_check){.options = *options,
                      .device = device,
                      .second = apart ? ct_backend_cpu() : ct_backend_reference(),
                      .of_device = dtype,
                      .dtype = apart ? CT_F32 : CT_F64,
                      .pass = -1};
}

void ct_check_measure(ct_check *c, const ct_call *calls, int count) {
    parts all;
    if (!(c->options.share > 0)) return;
    gather(c, calls, count, &all);
    if (all.bytes > c->arrays) c->arrays = all.bytes;
    if (all.work > c->work) c->work = all.work;
    for (int k = 0; k < all.count; k++) {
        const size_t bytes = (size_t)all.at[k].count * ct_type_size(all.at[k].field->type, c->of_device);
        if (bytes > c->largest) c->largest = bytes;
    }
}

ct_status ct_check_make(ct_check *c) {
    if (!(c->options.share > 0)) return CT_OK;
    c->before = ct_arena_alloc(&c->arena, c->arrays, 1);
    c->plain = ct_arena_alloc(&c->arena, c->arrays, 1);
    c->nudged = ct_arena_alloc(&c->arena, c->arrays, 1);
    c->raw = ct_arena_alloc(&c->arena, c->largest, 1);
    c->scratch = ct_arena_alloc(&c->arena, c->work, 1);
    return c->before && c->plain && c->nudged && c->raw && c->scratch ? CT_OK : CT_ENOMEM;
}

void ct_check_free(ct_check *c) {
    ct_arena_free(&c->arena);
}

void ct_check_pass(ct_check *c, int64_t number) {
    c->again = number == c->pass ? c->again + 1 : 0;
    c->pass = number;
    c->call = 0;
}

static bool drawn(ct_check *c) {
    static const uint64_t salt = 0x636865636b; /* not what dropout draws */
    if (!(c->options.share > 0)) return false;
    const uint64_t low = (uint64_t)c->again << 32 | (uint64_t)c->call++;
    c->calls++;
    return (double)ct_philox_float(ct_philox_at(c->options.seed ^ salt, (uint64_t)c->pass, low).word[0]) <
           c->options.share;
}

static ct_status run(const ct_backend *backend, const ct_call *calls, int count) {
    return count > 1 ? backend->run_pair(calls[0].op, calls[0].params, calls[1].params)
                     : ct_op_run(backend, calls[0].op, calls[0].params);
}

ct_status ct_check_run(ct_check *c, const ct_backend *backend, const ct_call *calls, int count) {
    parts all;
    if (!drawn(c)) return run(backend, calls, count);
    gather(c, calls, count, &all);
    CT_ASSERT(all.bytes <= c->arrays && all.work <= c->work);
    CT_TRY(fetch_all(c, calls, count, &all));
    CT_TRY(run(backend, calls, count));
    if (!is_finite(c, &all)) return CT_OK;
    c->compared++;
    return check_results(c, backend, calls, count, &all);
}

void ct_check_tell(const ct_check *c) {
    if (!(c->options.share > 0)) return;
    if (c->calls == 0)
        ct_log("check: a share of %g of the calls is computed by the %s backend too; op by op, without graphs",
               c->options.share, c->second->name);
    else
        ct_log("check: %lld of %lld calls were computed by the %s backend too, and none differed by more than rounding",
               (long long)c->compared, (long long)c->calls, c->second->name);
}
