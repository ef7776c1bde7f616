/* embed.c -- reference: rows_embed, rows_embed_backward, rotary_rows, memory_update. */
#include "kernels/reference/reference.h"

CT_REFERENCE(rows_embed) {
    const ct_rows_embed *p = &params->rows_embed;
    const real          *table = p->table;
    real                *y = p->y;
    for (int64_t n = 0; n < p->rows; n++)
        for (int64_t i = 0; i < p->width; i++) {
            real sum = 0;
            for (int64_t c = 0; c < p->columns; c++)
                if (p->offset[c] >= 0) sum += table[(p->offset[c] + p->values[n * p->columns + c]) * p->width + i];
            y[n * p->width + i] = sum;
        }
    return CT_OK;
}

CT_REFERENCE(rows_embed_backward) {
    const ct_rows_embed_backward *p = &params->rows_embed_backward;
    const real                   *dy = p->dy;
    real                         *dtable = p->dtable;
    for (int64_t n = 0; n < p->rows; n++)
        for (int64_t c = 0; c < p->columns; c++)
            if (p->offset[c] >= 0)
                for (int64_t i = 0; i < p->width; i++)
                    dtable[(p->offset[c] + p->values[n * p->columns + c]) * p->width + i] += dy[n * p->width + i];
    return CT_OK;
}

CT_REFERENCE(rotary_rows) {
    const ct_rotary_rows *p = &params->rotary_rows;
    real                 *cosine = p->cosine, *sine = p->sine;
    for (int64_t n = 0; n < p->rows; n++)
        for (int64_t i = 0; i < p->pairs; i++) {
            double angle = p->omega[i] * (double)p->position[n * p->sources + p->source[i]];
            cosine[n * p->pairs + i] = (real)cos(angle);
            sine[n * p->pairs + i] = (real)sin(angle);
        }
    return CT_OK;
}

CT_REFERENCE(memory_update) {
    const ct_memory_update *p = &params->memory_update;
    const real             *x = p->x;
    real                   *ring = p->ring;
    int64_t                 first = p->tokens > p->memory ? p->tokens - p->memory : 0;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t t = first; t < p->tokens; t++) {
            int64_t row = (p->step->ring + t) % p->memory;
            for (int64_t i = 0; i < p->width; i++) {
                real value = x[(b * p->tokens + t) * p->width + i];
                ring[(b * p->memory + row) * p->width + i] = isfinite(value) ? value : 0;
            }
        }
    return CT_OK;
}
