// SPDX-License-Identifier: BSD-3-Clause
// Runtime functions about streams, events and graphs.
#include "runtime.hpp"
#include "simt_queue.hpp"
#include "simt_test.h"
#include <set>

using namespace simt;

// Handles are the addresses of these; sets know which of them are alive.
struct CUevent_st : Event {};
struct CUgraph_st : Graph {};
struct CUgraphExec_st {
  std::shared_ptr<const Graph> graph; // replays that are still queued share it
};

template <class T> static std::set<T> &alive() {
  static auto &all = *new std::set<T>;
  return all;
}
template <class T> static bool is_alive(T handle) { return alive<T>().count(handle) != 0; }

static StreamPointer stream_of(cudaStream_t handle) { return find_stream(handle, current_device()); }

// ---- streams

SIMT_API cudaStreamCreateWithFlags(cudaStream_t *to, unsigned int flags) {
  SIMT_ENTER;
  if (flags & ~static_cast<unsigned>(cudaStreamNonBlocking))
    return fail(cudaErrorInvalidValue);
  use_device(current_device());
  *to = create_stream(current_device(), !(flags & cudaStreamNonBlocking));
  return cudaSuccess;
}

SIMT_API cudaStreamCreate(cudaStream_t *to) { return cudaStreamCreateWithFlags(to, cudaStreamDefault); }

SIMT_API cudaStreamDestroy(cudaStream_t handle) { // does not wait
  SIMT_ENTER;
  return destroy_stream(handle) ? cudaSuccess : fail(cudaErrorInvalidResourceHandle);
}

SIMT_API cudaStreamSynchronize(cudaStream_t handle) {
  SIMT_ENTER;
  note_forbidden("cudaStreamSynchronize");
  const StreamPointer stream = stream_of(handle);
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  SIMT_TRY(forbid_in_capture(*stream));
  SIMT_TRY(forbid_implicit_order(*stream));
  if (stream->legacy)
    SIMT_TRY(add_work(stream, [] {})); // waits for the blocking streams too
  run_stream(stream);
  return cudaSuccess;
}

SIMT_API cudaStreamQuery(cudaStream_t handle) { // a loop of queries must end: each lets one piece of work run
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  SIMT_TRY(forbid_in_capture(*stream));
  return run_one(stream) ? fail(cudaErrorNotReady) : cudaSuccess;
}

SIMT_API cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned int flags) {
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream || !is_alive(event))
    return fail(cudaErrorInvalidResourceHandle);
  if (flags)
    return fail(cudaErrorInvalidValue);
  return fail(add_wait(stream, *event));
}

SIMT_API cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void *data) {
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  note_if_default(stream, "cudaLaunchHostFunc on the default stream");
  return fail(add_work(stream, [function, data] { function(data); }));
}

// ---- events

SIMT_API cudaEventCreateWithFlags(cudaEvent_t *to, unsigned int flags) {
  SIMT_ENTER;
  *to = new CUevent_st;
  (*to)->device = current_device();
  (*to)->timed = !(flags & cudaEventDisableTiming);
  alive<cudaEvent_t>().insert(*to);
  return cudaSuccess;
}

SIMT_API cudaEventCreate(cudaEvent_t *to) { return cudaEventCreateWithFlags(to, cudaEventDefault); }

SIMT_API cudaEventDestroy(cudaEvent_t event) { // waits in a stream keep what they need of it
  SIMT_ENTER;
  if (!alive<cudaEvent_t>().erase(event))
    return fail(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}

SIMT_API cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream || !is_alive(event) || stream->device != event->device)
    return fail(cudaErrorInvalidResourceHandle);
  return fail(add_record(stream, *event));
}

// An event of a capture can be neither asked nor waited for; trying ends the capture.
static cudaError_t check_not_captured(const Event &event) {
  if (!event.captured)
    return cudaSuccess;
  if (auto capture = event.capture.lock())
    capture->broken = true;
  return cudaErrorCapturedEvent;
}

SIMT_API cudaEventSynchronize(cudaEvent_t event) {
  SIMT_ENTER;
  note_forbidden("cudaEventSynchronize");
  if (!is_alive(event))
    return fail(cudaErrorInvalidResourceHandle);
  SIMT_TRY(check_not_captured(*event));
  if (event->stamp)
    run_until(event->point);
  return cudaSuccess;
}

SIMT_API cudaEventQuery(cudaEvent_t event) { // a loop of queries must end
  SIMT_ENTER;
  if (!is_alive(event))
    return fail(cudaErrorInvalidResourceHandle);
  SIMT_TRY(check_not_captured(*event));
  if (!event->stamp || event->stamp->passed)
    return cudaSuccess;
  run_one(StreamPointer(event->point.stream));
  return fail(cudaErrorNotReady);
}

SIMT_API cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
  SIMT_ENTER;
  if (!is_alive(start) || !is_alive(end) || !start->timed || !end->timed || !start->stamp || !end->stamp)
    return fail(cudaErrorInvalidResourceHandle);
  if (!start->stamp->passed || !end->stamp->passed)
    return fail(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(end->stamp->time - start->stamp->time).count();
  return cudaSuccess;
}

// ---- capture and graphs

SIMT_API cudaStreamIsCapturing(cudaStream_t handle, enum cudaStreamCaptureStatus *status) {
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  SIMT_TRY(forbid_implicit_order(*stream)); // asking the default stream is an error too
  *status = !stream->capture          ? cudaStreamCaptureStatusNone
            : stream->capture->broken ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

SIMT_API cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  return fail(begin_capture(stream, mode));
}

SIMT_API cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *to) {
  SIMT_ENTER;
  *to = nullptr;
  const StreamPointer stream = stream_of(handle);
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  Graph graph;
  SIMT_TRY(end_capture(stream, &graph));
  *to = new CUgraph_st{std::move(graph)};
  alive<cudaGraph_t>().insert(*to);
  return cudaSuccess;
}

SIMT_API cudaGraphInstantiate(cudaGraphExec_t *to, cudaGraph_t graph, unsigned long long) {
  SIMT_ENTER;
  if (!is_alive(graph))
    return fail(cudaErrorInvalidValue);
  *to = new CUgraphExec_st{std::make_shared<const Graph>(*graph)};
  alive<cudaGraphExec_t>().insert(*to);
  return cudaSuccess;
}

SIMT_API cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream || !is_alive(exec))
    return fail(cudaErrorInvalidResourceHandle);
  note_if_default(stream, "cudaGraphLaunch on the default stream");
  return fail(add_work(stream, [graph = exec->graph] { replay(*graph); }));
}

SIMT_API cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
  SIMT_ENTER;
  if (!is_alive(graph))
    return fail(cudaErrorInvalidValue);
  if (nodes)
    return fail(cudaErrorNotSupported);
  *count = graph->nodes.size();
  return cudaSuccess;
}

SIMT_API cudaGraphDestroy(cudaGraph_t graph) {
  SIMT_ENTER;
  if (!alive<cudaGraph_t>().erase(graph))
    return fail(cudaErrorInvalidValue);
  delete graph;
  return cudaSuccess;
}

SIMT_API cudaGraphExecDestroy(cudaGraphExec_t exec) {
  SIMT_ENTER;
  if (!alive<cudaGraphExec_t>().erase(exec))
    return fail(cudaErrorInvalidValue);
  delete exec;
  return cudaSuccess;
}

// ---- for stand-ins of other libraries and for tests

namespace simt {

cudaError_t enqueue(cudaStream_t handle, std::function<void()> work) {
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  note_if_default(stream, "work of a library on the default stream");
  return fail(add_work(stream, std::move(work)));
}

cudaError_t library_allocates(const char *name) {
  SIMT_ENTER;
  note_forbidden(name);
  return fail(forbid_while_capturing());
}

cudaError_t library_waits(cudaStream_t handle) {
  SIMT_ENTER;
  const StreamPointer stream = stream_of(handle);
  if (!stream)
    return fail(cudaErrorInvalidResourceHandle);
  return fail(forbid_in_capture(*stream));
}

} // namespace simt

extern "C" size_t simt_queued(void *handle) {
  Call call;
  const StreamPointer stream = find_stream(static_cast<cudaStream_t>(handle), current_device());
  return stream ? stream->end() : 0;
}

extern "C" size_t simt_pending(void) {
  Call call;
  return pending_work();
}
