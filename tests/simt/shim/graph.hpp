// SPDX-License-Identifier: BSD-3-Clause
// Stream capture: work is recorded with what it depends on, and replayed in any order that this allows.
#pragma once
#include <cuda_runtime_api.h>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

namespace simt {

struct Stream;
struct Event;
using Work = std::function<void()>;

struct Graph {
  struct Node {
    Work work;
    std::vector<size_t> after; // smaller numbers
  };
  std::vector<Node> nodes;
};

void replay(const Graph &graph);

struct Capture {
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  const Stream *origin;
  bool broken = false;
  Graph graph;
  std::map<const Stream *, std::vector<size_t>> last; // what the next node of a stream depends on
};

cudaError_t begin_capture(const std::shared_ptr<Stream> &stream, cudaStreamCaptureMode mode);
cudaError_t end_capture(const std::shared_ptr<Stream> &stream, Graph *graph);

// The captured forms of the functions in stream.hpp; the stream is being captured.
cudaError_t capture_work(Stream &stream, Work work);
cudaError_t capture_record(Stream &stream, Event &event);
cudaError_t capture_wait(Stream &stream, const Event &event);

// Calls that a capture forbids: they end it and return the error to report, or cudaSuccess.
cudaError_t forbid_while_capturing();                    // allocation, device-wide synchronisation
cudaError_t forbid_in_capture(const Stream &stream);     // waiting for or asking about a captured stream
cudaError_t forbid_implicit_order(const Stream &legacy); // the default stream would wait for a captured one

} // namespace simt
