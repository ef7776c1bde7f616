/* graphs.cpp -- graphs: work with its dependencies, captured once, launched as often as wanted, in any order that these
 * allow. A launch comes after the stream's work and after the launch of the same graph before it. See streams.h.
 */
#include "streams.h"

#include <algorithm>

struct CUgraphExec_st {
    std::vector<graph_node> nodes;
    std::vector<work_ref>   end; /* of the last launch */
    site                    where;
};

static std::vector<cudaGraph_t>     graphs;
static std::vector<cudaGraphExec_t> executables;

void graph_register(cudaGraph_t graph) {
    graphs.push_back(graph);
}
template <class T> static cudaError_t unknown(const std::vector<T> &list, T one, const char *what) {
    if (std::find(list.begin(), list.end(), one) != list.end()) return cudaSuccess;
    report_call("handle", "%p is no %s", static_cast<const void *>(one), what);
    return fail(cudaErrorInvalidResourceHandle);
}

static cudaError_t instantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags) {
    if (!executable || flags) return fail(cudaErrorInvalidValue);
    if (unknown(graphs, graph, "graph") != cudaSuccess) return cudaErrorInvalidResourceHandle;
    *executable = new CUgraphExec_st{graph->nodes, {}, call_site()};
    executables.push_back(*executable);
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags) {
    ENTER;
    return instantiate(executable, graph, flags);
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags) {
    ENTER;
    return instantiate(executable, graph, flags);
}
cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream) {
    ENTER;
    if (unknown(executables, executable, "executable graph") != cudaSuccess) return cudaErrorInvalidResourceHandle;
    return stream_of(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    ENTER;
    if (unknown(executables, executable, "executable graph") != cudaSuccess) return cudaErrorInvalidResourceHandle;
    the_counters.graph_launches++;
    for (const graph_node &node : executable->nodes)
        if (!memory_there(node.ordered)) return fail(cudaErrorInvalidValue);
    return stream_add_graph(stream, executable->nodes, &executable->end);
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    ENTER;
    if (unknown(graphs, graph, "graph") != cudaSuccess) return cudaErrorInvalidResourceHandle;
    if (nodes || !count) return fail(cudaErrorInvalidValue); /* how many is all that is doubled */
    *count = graph->nodes.size();
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    ENTER_ANYWAY;
    if (unknown(graphs, graph, "graph") != cudaSuccess) return cudaErrorInvalidResourceHandle;
    graphs.erase(std::find(graphs.begin(), graphs.end(), graph));
    delete graph;
    return entered.broken;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    ENTER_ANYWAY;
    if (unknown(executables, executable, "executable graph") != cudaSuccess) return cudaErrorInvalidResourceHandle;
    executables.erase(std::find(executables.begin(), executables.end(), executable));
    delete executable;
    return entered.broken;
}

/* ---- afresh */
void graphs_begin(void) {
    for (cudaGraph_t graph : graphs) delete graph;
    for (cudaGraphExec_t executable : executables) delete executable;
    graphs.clear();
    executables.clear();
}
int graphs_leaks(void) {
    for (cudaGraph_t graph : graphs) report("leak", graph->where, "a graph was not destroyed");
    for (cudaGraphExec_t executable : executables)
        report("leak", executable->where, "an executable graph was not destroyed");
    return (int)(graphs.size() + executables.size());
}
