// SPDX-License-Identifier: BSD-3-Clause
// Streams are queues of work.  Work runs when something waits for it (SIMT_ASYNC=1) or at once; in both cases
// after all that it depends on.  Callers hold the lock of the runtime (runtime.hpp).
#pragma once
#include "graph.hpp"
#include <chrono>
#include <cuda_runtime_api.h>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace simt {

struct Stream;
using StreamPointer = std::shared_ptr<Stream>;

// The work that a stream held at one moment.
struct Point {
  StreamPointer stream;
  size_t position = 0;
};

struct Item {
  Work work;
  std::vector<Point> after; // besides what lies before it in the same stream
};

struct Stream {
  int device;
  bool legacy;   // the default stream: ordered with all blocking streams of its device
  bool blocking; // not made with cudaStreamNonBlocking
  std::deque<Item> items;
  size_t finished = 0; // items that have run
  std::shared_ptr<Capture> capture;
  char order = 0; // its address stands for the stream in the race check

  size_t end() const { return finished + items.size(); }
};

struct Event {
  int device;
  bool timed;
  struct Stamp {
    bool passed = false;
    std::chrono::steady_clock::time_point time;
  };
  std::shared_ptr<Stamp> stamp; // of the last record; null before the first
  Point point;
  std::weak_ptr<Capture> capture; // if the last record was captured, and what was captured before it
  std::vector<size_t> nodes;
  bool captured = false;
};

// ---- streams
cudaStream_t create_stream(int device, bool blocking);
bool destroy_stream(cudaStream_t stream);                   // what it holds still runs
StreamPointer find_stream(cudaStream_t stream, int device); // null: no such stream.  0 is the device's default
std::vector<StreamPointer> capturing_streams();

// ---- work
cudaError_t add_work(const StreamPointer &stream, Work work);
cudaError_t add_wait(const StreamPointer &stream, const Event &event);
cudaError_t add_record(const StreamPointer &stream, Event &event);

// ---- running it
void run_until(const Point &point);
void run_stream(const StreamPointer &stream);
void run_device(int device);
bool run_one(const StreamPointer &stream); // false: the stream is empty
size_t pending_work();

} // namespace simt
