/* streams.cpp -- see streams.h: streams and what is put on them. */
#include "streams.h"

#include <algorithm>

static CUstream_st                    default_stream = {0, true, {}, nullptr, {}, NO_SITE};
std::vector<cudaStream_t>             the_streams = {&default_stream};
std::vector<std::shared_ptr<capture>> the_captures;
static uint64_t                       streams_made;

cudaStream_t stream_of(cudaStream_t stream) {
    if (!stream || stream == cudaStreamLegacy) return &default_stream;
    if (std::find(the_streams.begin(), the_streams.end(), stream) != the_streams.end()) return stream;
    report_call("handle", "%p is no stream", static_cast<void *>(stream));
    fail(cudaErrorInvalidResourceHandle);
    return nullptr;
}

/* Of what the host has waited for there is nothing to say any more. */
static void forget_known(std::vector<work_ref> *end) {
    end->erase(std::remove_if(end->begin(), end->end(), [](const work_ref &piece) { return piece->known != 0; }),
               end->end());
}
std::vector<work_ref> stream_end(cudaStream_t stream) {
    std::vector<work_ref> end = stream->end;
    for (cudaStream_t other : the_streams)
        if (other != stream &&
            (stream == &default_stream ? other->blocking : stream->blocking && other == &default_stream))
            end.insert(end.end(), other->end.begin(), other->end.end());
    forget_known(&end);
    return end;
}

bool all_done(const std::vector<work_ref> &pieces) {
    return std::all_of(pieces.begin(), pieces.end(), [](const work_ref &piece) { return piece->done; });
}

/* ---- putting work on a stream */
cudaError_t stream_add_graph(cudaStream_t stream, const std::vector<graph_node> &nodes, std::vector<work_ref> *last) {
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (nodes.empty()) return cudaSuccess;
    std::vector<bool> followed(nodes.size());
    for (const graph_node &node : nodes)
        for (size_t before : node.after) followed[before] = true;
    if (s == &default_stream && capture_refuses_default_stream() != cudaSuccess) return cudaErrorStreamCaptureImplicit;
    if (s->capturing) {
        if (s->capturing->invalid) return fail(cudaErrorStreamCaptureInvalidated);
        std::vector<graph_node> &graph = s->capturing->graph->nodes;
        std::vector<size_t>      end;
        size_t                   first = graph.size();
        for (size_t i = 0; i < nodes.size(); i++) {
            graph.push_back({nodes[i].ordered, {}});
            for (size_t before : nodes[i].after) graph.back().after.push_back(first + before);
            if (nodes[i].after.empty()) graph.back().after = s->captured_end;
            if (!followed[i]) end.push_back(first + i);
        }
        s->captured_end = end;
        return cudaSuccess;
    }
    std::vector<work_ref> before = stream_end(s), pieces, end;
    if (last) before.insert(before.end(), last->begin(), last->end());
    for (size_t i = 0; i < nodes.size(); i++) {
        std::vector<work_ref> after;
        for (size_t k : nodes[i].after) after.push_back(pieces[k]);
        pieces.push_back(queue_submit(nodes[i].ordered, s->id, nodes[i].after.empty() ? before : after));
        if (!followed[i]) end.push_back(pieces.back());
    }
    s->end = end;
    if (last) *last = end;
    return cudaSuccess;
}
cudaError_t stream_add(cudaStream_t stream, const order &what) {
    return stream_add_graph(stream, {{what, {}}}, nullptr);
}
bool standin_enqueue(cudaStream_t stream, const char *what, std::function<void()> work) {
    call entered(what, __builtin_return_address(0));
    return entered.broken == cudaSuccess && stream_add(stream, {what, call_site(), std::move(work), {}}) == cudaSuccess;
}

/* ---- the runtime's functions */
static cudaError_t create(cudaStream_t *stream, unsigned flags) {
    if (!stream || flags > cudaStreamNonBlocking) return fail(cudaErrorInvalidValue);
    *stream = new CUstream_st{++streams_made, flags != cudaStreamNonBlocking, {}, nullptr, {}, call_site()};
    the_streams.push_back(*stream);
    the_counters.streams++;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    ENTER;
    return create(stream, flags);
}
cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    ENTER;
    return create(stream, cudaStreamDefault);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority) {
    ENTER;
    (void)priority; /* a hint: any order is as legal */
    return create(stream, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    ENTER;
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    ENTER_ANYWAY;
    cudaStream_t s = stream_of(stream);
    if (!s || s == &default_stream) return fail(cudaErrorInvalidResourceHandle);
    if (s->capturing) capture_lost(s);
    if (s->blocking)
        default_stream.end.insert(default_stream.end.end(), s->end.begin(), s->end.end()); /* waits for it still */
    the_streams.erase(std::find(the_streams.begin(), the_streams.end(), s));
    delete s;
    return entered.broken;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    ENTER;
    the_counters.synchronising++;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s->capturing) return capture_invalidate(s->capturing, cudaErrorStreamCaptureUnsupported);
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    queue_wait_for(stream_end(s));
    return waited();
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    ENTER;
    the_counters.queries++;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s->capturing) return capture_invalidate(s->capturing, cudaErrorStreamCaptureUnsupported);
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    queue_nudge(stream_end(s));
    if (waited() != cudaSuccess) return waited();
    std::vector<work_ref> end = stream_end(s);
    if (!all_done(end)) return fail(cudaErrorNotReady);
    queue_known(end);
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize(void) {
    ENTER;
    the_counters.synchronising++;
    for (const std::shared_ptr<capture> &c : the_captures) capture_invalidate(c, cudaErrorStreamCaptureUnsupported);
    if (!the_captures.empty()) return cudaErrorStreamCaptureUnsupported;
    queue_wait_for_all();
    return waited();
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned *flags) {
    ENTER;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!flags) return fail(cudaErrorInvalidValue);
    *flags = s->blocking ? cudaStreamDefault : cudaStreamNonBlocking;
    return cudaSuccess;
}

/* The function runs when the stream gets there; it may not call the runtime. */
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
    ENTER;
    if (!function) return fail(cudaErrorInvalidValue);
    return stream_add(stream, {"host function", call_site(), [function, data] { function(data); }, {}});
}

/* ---- afresh */
void streams_begin(void) {
    for (size_t i = 1; i < the_streams.size(); i++) delete the_streams[i];
    the_streams.resize(1);
    *the_streams[0] = {0, true, {}, nullptr, {}, NO_SITE};
    the_captures.clear();
    streams_made = 0;
}
int streams_leaks(void) {
    for (size_t i = 1; i < the_streams.size(); i++) report("leak", the_streams[i]->where, "a stream was not destroyed");
    return (int)the_streams.size() - 1;
}
