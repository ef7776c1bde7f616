/* peer.c -- see peer.h. */
#include "kernels/cuda/peer.h"

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/sdpa.h"

#include <stdlib.h>

struct ct_peer {
    const ct_device *device;
    ct_cuda_sdpa    *plan;
    ct_sdpa_arrays   arrays;
};

static ct_sdpa_arrays arrays_of(ct_op op, const ct_params *params) {
    const ct_attention          *f = &params->attention;
    const ct_attention_backward *b = &params->attention_backward;
    if (op == CT_OP_attention) return (ct_sdpa_arrays){.qkv = f->qkv, .y = f->y, .lse = f->lse};
    /* what our op only reads, cuDNN's backward pass does too */
    return (ct_sdpa_arrays){
        .qkv = b->qkv, .dy = b->dy, .y = (void *)(uintptr_t)b->y, .lse = (float *)(uintptr_t)b->lse, .dqkv = b->dqkv};
}

static ct_status open_plan(ct_peer *peer, const ct_sdpa_shape *shape, ct_op op) {
    const ct_sdpa_way way = op == CT_OP_attention ? CT_SDPA_FORWARD : CT_SDPA_BACKWARD;
    CT_TRY(ct_cuda_sdpa_plan(shape, way, &peer->plan));
    return peer->device->alloc(ct_cuda_sdpa_workspace(peer->plan) + 1, &peer->arrays.workspace);
}

ct_status ct_cuda_peer_open(const ct_device *device, ct_op op, const ct_params *params, ct_peer **out,
                            const char **by) {
    const ct_attention *p = &params->attention; /* attention_backward begins as it does */
    const ct_sdpa_shape shape = {
        .batch = p->batch, .heads = p->heads, .tokens = p->tokens, .head = p->head, .scale = p->scale};
    CT_TRY(ct_cuda_sdpa_support(&shape));
    *by = ct_cuda_cudnn_name();
    if (!out) return CT_OK;
    ct_peer *peer = calloc(1, sizeof *peer);
    if (!peer) return ct_fail(CT_ENOMEM, "no memory for cuDNN's attention");
    *peer = (ct_peer){.device = device, .arrays = arrays_of(op, params)};
    ct_status status = open_plan(peer, &shape, op);
    if (status == CT_OK)
        *out = peer;
    else
        ct_cuda_peer_close(peer);
    return status;
}

ct_status ct_cuda_peer_run(void *peer) {
    const ct_peer *p = peer;
    return ct_cuda_sdpa_run(p->plan, &p->arrays, ct_cuda_stream());
}

void ct_cuda_peer_close(ct_peer *peer) {
    if (!peer) return;
    if (peer->arrays.workspace) peer->device->release(peer->arrays.workspace);
    ct_cuda_sdpa_free(peer->plan);
    free(peer);
}
