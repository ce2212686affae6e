// SPDX-License-Identifier: BSD-3-Clause
#include "graph.hpp"
#include "draw.hpp"
#include "stream.hpp"
#include <algorithm>

namespace simt {

// ---- replay

void replay(const Graph &graph) {
  std::vector<bool> done(graph.nodes.size(), false);
  for (;;) {
    std::vector<size_t> ready;
    for (size_t i = 0; i < graph.nodes.size(); i++) {
      const auto &after = graph.nodes[i].after;
      if (!done[i] && std::all_of(after.begin(), after.end(), [&](size_t j) { return done[j]; }))
        ready.push_back(i);
    }
    if (ready.empty())
      return;
    const size_t next = ready[draw_one(ready.size())];
    graph.nodes[next].work();
    done[next] = true;
  }
}

// ---- beginning and ending

cudaError_t begin_capture(const StreamPointer &stream, cudaStreamCaptureMode mode) {
  if (stream->legacy)
    return cudaErrorStreamCaptureUnsupported;
  if (stream->capture)
    return cudaErrorIllegalState;
  auto capture = std::make_shared<Capture>();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->origin = stream.get();
  capture->last[stream.get()] = {};
  stream->capture = capture;
  return cudaSuccess;
}

// Whether the origin has waited for all that other streams have done.
static bool all_joined(const Capture &capture) {
  std::vector<bool> reached(capture.graph.nodes.size(), false);
  std::vector<size_t> stack = capture.last.at(capture.origin);
  while (!stack.empty()) {
    const size_t i = stack.back();
    stack.pop_back();
    if (reached[i])
      continue;
    reached[i] = true;
    const auto &after = capture.graph.nodes[i].after;
    stack.insert(stack.end(), after.begin(), after.end());
  }
  return std::find(reached.begin(), reached.end(), false) == reached.end();
}

cudaError_t end_capture(const StreamPointer &stream, Graph *graph) {
  const std::shared_ptr<Capture> capture = stream->capture;
  if (!capture)
    return cudaErrorIllegalState;
  if (capture->origin != stream.get())
    return cudaErrorStreamCaptureUnmatched;
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
    return cudaErrorStreamCaptureWrongThread;
  for (const StreamPointer &s : capturing_streams())
    if (s->capture == capture)
      s->capture = nullptr;
  if (capture->broken)
    return cudaErrorStreamCaptureInvalidated;
  if (!all_joined(*capture))
    return cudaErrorStreamCaptureUnjoined;
  *graph = std::move(capture->graph);
  return cudaSuccess;
}

// ---- recording

static cudaError_t breaks(Capture &capture, cudaError_t error) {
  capture.broken = true;
  return error;
}

cudaError_t capture_work(Stream &stream, Work work) {
  Capture &capture = *stream.capture;
  if (capture.broken)
    return cudaErrorStreamCaptureInvalidated;
  capture.graph.nodes.push_back({std::move(work), capture.last[&stream]});
  capture.last[&stream] = {capture.graph.nodes.size() - 1};
  return cudaSuccess;
}

cudaError_t capture_record(Stream &stream, Event &event) {
  Capture &capture = *stream.capture;
  if (capture.broken)
    return cudaErrorStreamCaptureInvalidated;
  event.captured = true;
  event.capture = stream.capture;
  event.nodes = capture.last[&stream];
  event.stamp = nullptr;
  return cudaSuccess;
}

cudaError_t capture_wait(Stream &stream, const Event &event) {
  const std::shared_ptr<Capture> other = event.captured ? event.capture.lock() : nullptr;
  if (event.captured && !other)
    return cudaErrorCapturedEvent; // of a capture that has ended
  if (!other)
    return breaks(*stream.capture, cudaErrorStreamCaptureIsolation);
  if (other->broken)
    return cudaErrorStreamCaptureInvalidated;
  if (stream.legacy)
    return breaks(*other, cudaErrorStreamCaptureImplicit);
  if (stream.capture && stream.capture != other) {
    stream.capture->broken = true;
    return breaks(*other, cudaErrorStreamCaptureMerge);
  }
  stream.capture = other; // a stream that waits for a captured event joins the capture
  std::vector<size_t> &last = other->last[&stream];
  last.insert(last.end(), event.nodes.begin(), event.nodes.end());
  return cudaSuccess;
}

// ---- what a capture forbids

cudaError_t forbid_while_capturing() {
  cudaError_t error = cudaSuccess;
  for (const StreamPointer &s : capturing_streams()) {
    Capture &capture = *s->capture;
    const bool mine = capture.thread == std::this_thread::get_id();
    if (capture.mode == cudaStreamCaptureModeGlobal || (capture.mode == cudaStreamCaptureModeThreadLocal && mine))
      error = breaks(capture, cudaErrorStreamCaptureUnsupported);
  }
  return error;
}

cudaError_t forbid_in_capture(const Stream &stream) {
  return stream.capture ? breaks(*stream.capture, cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

cudaError_t forbid_implicit_order(const Stream &legacy) {
  cudaError_t error = cudaSuccess;
  if (legacy.legacy)
    for (const StreamPointer &s : capturing_streams())
      if (s->blocking && s->device == legacy.device)
        error = breaks(*s->capture, cudaErrorStreamCaptureImplicit);
  return error;
}

} // namespace simt
