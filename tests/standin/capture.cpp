/* capture.cpp -- what is put on a stream while it is captured becomes a graph. See streams.h.
 *
 * What can't be done meanwhile returns the runtime's error and invalidates the capture, which its end reports.
 */
#include "streams.h"

#include <algorithm>
#include <utility>

cudaError_t capture_invalidate(const std::shared_ptr<capture> &broken, cudaError_t error) {
    broken->invalid = true;
    return fail(error);
}
cudaError_t capture_refuses(void) {
    cudaError_t error = cudaSuccess;
    for (const std::shared_ptr<capture> &c : the_captures) {
        bool here = c->thread == std::this_thread::get_id();
        if (c->mode == cudaStreamCaptureModeGlobal || (c->mode == cudaStreamCaptureModeThreadLocal && here))
            error = capture_invalidate(c, cudaErrorStreamCaptureUnsupported);
    }
    return error;
}
/* The default stream would have to wait for what is captured. */
cudaError_t capture_refuses_default_stream(void) {
    for (cudaStream_t stream : the_streams)
        if (stream->capturing && stream->blocking)
            return capture_invalidate(stream->capturing, cudaErrorStreamCaptureImplicit);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    ENTER;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s == the_streams[0]) return fail(cudaErrorStreamCaptureUnsupported);
    if (s->capturing) return fail(cudaErrorIllegalState);
    std::unique_ptr<CUgraph_st> graph(new CUgraph_st{{}, call_site()});
    s->capturing = std::make_shared<capture>(capture{std::move(graph), s, mode, std::this_thread::get_id(), false});
    s->captured_end.clear();
    the_captures.push_back(s->capturing);
    the_counters.captures++;
    return cudaSuccess;
}

/* Is each stream's work among what comes before the end of the first? */
static bool all_joined(const std::shared_ptr<capture> &c) {
    const std::vector<graph_node> &nodes = c->graph->nodes;
    std::vector<bool>              before(nodes.size());
    for (size_t last : c->origin->captured_end) before[last] = true;
    for (size_t i = nodes.size(); i-- > 0;)
        for (size_t k : nodes[i].after)
            if (before[i]) before[k] = true;
    return std::all_of(before.begin(), before.end(), [](bool is) { return is; });
}

static void end(const std::shared_ptr<capture> &c) {
    c->graph = nullptr;
    for (cudaStream_t other : the_streams)
        if (other->capturing == c) other->capturing = nullptr, other->captured_end.clear();
    the_captures.erase(std::find(the_captures.begin(), the_captures.end(), c));
}
void capture_lost(cudaStream_t destroyed) {
    std::shared_ptr<capture> c = destroyed->capturing;
    report_call("capture", "the stream is being captured");
    capture_invalidate(c, cudaErrorStreamCaptureInvalidated);
    if (c->origin != destroyed) return;
    end(c);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    ENTER_ANYWAY;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!graph) return fail(cudaErrorInvalidValue);
    *graph = nullptr;
    std::shared_ptr<capture> c = s->capturing;
    if (!c) return fail(cudaErrorIllegalState);
    if (c->origin != s) return capture_invalidate(c, cudaErrorStreamCaptureUnmatched);
    if (c->mode != cudaStreamCaptureModeRelaxed && c->thread != std::this_thread::get_id())
        return capture_invalidate(c, cudaErrorStreamCaptureWrongThread);
    cudaError_t error = c->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    if (!c->invalid && !all_joined(c)) error = cudaErrorStreamCaptureUnjoined;
    if (error == cudaSuccess) graph_register(*graph = c->graph.release());
    end(c);
    if (error != cudaSuccess) return fail(error);
    return entered.broken;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
    ENTER;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!status) return fail(cudaErrorInvalidValue);
    if (s == the_streams[0] && capture_refuses_default_stream() != cudaSuccess) return cudaErrorStreamCaptureImplicit;
    *status = !s->capturing           ? cudaStreamCaptureStatusNone
              : s->capturing->invalid ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
