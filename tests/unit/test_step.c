/* A training step against its parts, called one by one: which batches, how each loss counts, with what rate, clip and
 * numbers for dropout, when the gradients begin anew, what the memory takes and gives back, what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "training_fixture.h"

/* One step by the network's own functions: `micro` batches have been taken before. Returns the sum of the losses. */
static double step_by_hand(ct_stepper *s, const ct_train_config *c, int64_t number, int64_t *micro) {
    ct_network *n = &s->network;
    double      sum = 0;
    ok(ct_network_zero_gradients(n));
    for (int64_t k = 0; k < c->accumulate; k++) {
        const ct_batch *batch = ct_loader_batch(&s->loader, *micro);
        n->step->seed = (uint64_t)c->seed;
        n->step->train = true;
        n->step->number = (*micro)++;
        n->step->loss_scale = 1 / ((double)batch->targets * (double)c->accumulate);
        n->step->learning_rate = ct_learning_rate(c, number);
        n->step->clip = c->clip;
        ok(ct_network_fill(n, batch));
        ok(ct_network_forward(n));
        for (int64_t i = 0; i < batch->batch * batch->tokens; i++) sum += (double)((float *)n->loss)[i];
        ok(ct_network_backward(n));
        ok(ct_network_remember(n));
    }
    ok(ct_network_norm(n));
    ok(ct_network_update(n));
    return sum;
}

static void is_its_parts(void **state) {
    const int stage = (int)(intptr_t)*state;
    for (int64_t accumulate = 1; accumulate <= 3; accumulate++) {
        ct_train_config c = config(stage, NULL, NULL);
        ct_stepper      whole, parts;
        int64_t         micro = 0;
        double          sum = 0;
        c.accumulate = accumulate;
        ok(ct_stepper_open(&c, &dataset, false, &whole));
        ok(ct_stepper_open(&c, &dataset, false, &parts));
        const ct_network *a = &whole.network, *b = &parts.network;
        const size_t      parameters = (size_t)whole.model.parameter_count * sizeof(float);
        const size_t      memory = ct_network_memory_bytes(a);
        char             *kept = CT_NEW(&arena, char, 3 * memory), *fresh = kept + 2 * memory;
        assert_non_null(kept);
        ok(ct_network_memory_save(a, fresh));
        for (int64_t number = 1; number <= 4; number++) {
            ok(ct_stepper_step(&whole));
            sum += step_by_hand(&parts, &c, number, &micro);
            assert_memory_equal(whole.model.parameters, parts.model.parameters, parameters);
            assert_memory_equal(a->moment, b->moment, parameters);
            assert_true(whole.at.norm == b->norm[0] && whole.at.update == number && whole.at.window_loss == sum);
            ok(ct_network_memory_save(a, kept));
            ok(ct_network_memory_save(b, kept + memory));
            assert_memory_equal(kept, kept + memory, memory);
        }
        ct_tensor_entry part[CT_MEMORY_PARTS];
        ct_network_memory(a, part);
        const size_t layers = part[CT_MEMORY_LAYERS].bytes;
        char        *ring = CT_NEW(&arena, char, layers + 1);
        assert_non_null(ring);
        memcpy(ring, a->ring, layers);
        ok(ct_network_forget(&whole.network)); /* as if it had never seen anything */
        ok(ct_network_memory_save(a, kept + memory));
        assert_memory_equal(kept + memory, fresh, memory);
        ok(ct_network_memory_load(&whole.network, kept)); /* and back */
        assert_memory_equal(ring, a->ring, layers);
        assert_true(whole.at.step == 4 && whole.at.micro == micro && whole.at.skipped == 0);
        ct_stepper_close(&parts);
        ct_stepper_close(&whole);
    }
}

/* What is behind a window that is shorter than the plan's counts for nothing, whatever was there before. */
static void short_windows(void **state) {
    ct_train_config c = config((int)(intptr_t)*state, NULL, NULL);
    ct_stepper      fresh, used;
    ct_batch        part;
    ok(ct_stepper_open(&c, &dataset, false, &fresh));
    ok(ct_stepper_open(&c, &dataset, false, &used));
    ok(ct_network_fill(&used.network, ct_loader_batch(&used.loader, 0)));
    const ct_batch *all = ct_loader_batch(&fresh.loader, 1);
    const int64_t   columns = all->columns, from = all->tokens, to = from - 5;
    ok(ct_batch_make(&arena, all->batch, to, all->columns, &part));
    for (int64_t line = 0; line < all->batch; line++) {
        memcpy(part.rows + line * to * columns, all->rows + line * from * columns,
               (size_t)(to * columns) * sizeof *part.rows);
        memcpy(part.target + line * to, all->target + line * from, (size_t)to * sizeof *part.target);
        memcpy(part.song + line * to, all->song + line * from, (size_t)to * sizeof *part.song);
    }
    ct_network *n[2] = {&fresh.network, &used.network};
    for (int i = 0; i < 2; i++) {
        ok(ct_network_zero_gradients(n[i]));
        ok(ct_network_fill(n[i], &part));
        ok(ct_network_forward(n[i]));
        ok(ct_network_backward(n[i]));
    }
    assert_memory_equal(n[0]->gradients, n[1]->gradients, (size_t)fresh.model.parameter_count * sizeof(float));
    ct_stepper_close(&used);
    ct_stepper_close(&fresh);
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"is_its_parts (backbone)", is_its_parts, NULL, NULL, backbone},
        {"is_its_parts (melody)", is_its_parts, NULL, NULL, melody},
        {"short_windows (backbone)", short_windows, NULL, NULL, backbone},
        {"short_windows (melody)", short_windows, NULL, NULL, melody},
    };
    return cmocka_run_group_tests(tests, training_begin, training_end);
}
