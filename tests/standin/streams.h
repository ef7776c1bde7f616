/* streams.h -- streams, events, and a stream's capture into a graph.
 *
 * A stream is the pieces that the next one put on it comes after: its end. An event is the ends of the stream when it
 * was recorded. While a stream is captured its end is a node of the graph.
 *
 * The default stream is the legacy one: it waits for all streams but those that are cudaStreamNonBlocking, and they for
 * it.
 *
 * Owner: the program's, until destroyed; work that was put on a stream goes on without it.
 * Fails: stream_add and others return what the call has to return.
 */
#ifndef CT_STANDIN_STREAMS_H
#define CT_STANDIN_STREAMS_H

#include "runtime.h"

#include <thread>

struct graph_node {
    order               ordered;
    std::vector<size_t> after; /* nodes before it */
};
struct CUgraph_st {
    std::vector<graph_node> nodes;
    site                    where;
};

struct capture {
    std::unique_ptr<CUgraph_st> graph; /* none: it has ended */
    cudaStream_t                origin;
    cudaStreamCaptureMode       mode;
    std::thread::id             thread;
    bool                        invalid;
};
struct CUstream_st {
    uint64_t                 id;
    bool                     blocking; /* with the default stream */
    std::vector<work_ref>    end;
    std::shared_ptr<capture> capturing;
    std::vector<size_t>      captured_end;
    site                     where;
};
struct CUevent_st {
    bool                     timed, recorded;
    std::vector<work_ref>    end;
    double                   time;      /* at least */
    std::shared_ptr<capture> capturing; /* where it was recorded */
    std::vector<size_t>      captured_end;
    site                     where;
};

extern std::vector<cudaStream_t>             the_streams; /* the first is the default stream */
extern std::vector<std::shared_ptr<capture>> the_captures;

/* NULL is the default stream; an unknown one is nullptr, and the call fails with cudaErrorInvalidResourceHandle. */
cudaStream_t          stream_of(cudaStream_t stream);
/* All that a piece put on it now would come after. */
std::vector<work_ref> stream_end(cudaStream_t stream);
bool                  all_done(const std::vector<work_ref> &pieces);
/* Puts it on the stream, or captures it. */
cudaError_t           stream_add(cudaStream_t stream, const order &what);
cudaError_t stream_add_graph(cudaStream_t stream, const std::vector<graph_node> &nodes, std::vector<work_ref> *end);

/* capture.cpp */
cudaError_t capture_invalidate(const std::shared_ptr<capture> &broken, cudaError_t error);
/* For calls that may wait for the device: refused while a stream is captured, unless the capture allows them. */
cudaError_t capture_refuses(void);
cudaError_t capture_refuses_default_stream(void);
void        capture_lost(cudaStream_t destroyed);

/* graphs.cpp: the program's from now on */
void graph_register(cudaGraph_t graph);

#endif
