// SPDX-License-Identifier: BSD-3-Clause
#include "stream.hpp"
#include "draw.hpp"
#include "options.hpp"
#include "sanitizers.hpp"
#include <algorithm>

namespace simt {

// Both live as long as the process: streams may be used while it ends.
static std::vector<StreamPointer> &live_streams() {
  static auto &all = *new std::vector<StreamPointer>;
  return all;
}
static std::vector<StreamPointer> &destroyed_streams() { // that still hold work
  static auto &all = *new std::vector<StreamPointer>;
  return all;
}
static std::map<int, StreamPointer> &legacy_streams() {
  static auto &all = *new std::map<int, StreamPointer>;
  return all;
}

static StreamPointer new_stream(int device, bool legacy, bool blocking) {
  StreamPointer stream = std::make_shared<Stream>();
  stream->device = device;
  stream->legacy = legacy;
  stream->blocking = blocking;
  return stream;
}

static StreamPointer legacy_stream(int device) {
  StreamPointer &stream = legacy_streams()[device];
  if (!stream)
    stream = new_stream(device, true, true);
  return stream;
}

cudaStream_t create_stream(int device, bool blocking) {
  live_streams().push_back(new_stream(device, false, blocking));
  return reinterpret_cast<cudaStream_t>(live_streams().back().get());
}

static auto position_of(cudaStream_t stream) {
  return std::find_if(live_streams().begin(), live_streams().end(),
                      [&](const StreamPointer &s) { return reinterpret_cast<cudaStream_t>(s.get()) == stream; });
}

bool destroy_stream(cudaStream_t stream) {
  auto at = position_of(stream);
  if (at == live_streams().end())
    return false;
  if (!(*at)->items.empty())
    destroyed_streams().push_back(*at);
  live_streams().erase(at);
  return true;
}

StreamPointer find_stream(cudaStream_t stream, int device) {
  if (!stream || stream == cudaStreamLegacy)
    return legacy_stream(device);
  auto at = position_of(stream);
  return at == live_streams().end() ? nullptr : *at;
}

std::vector<StreamPointer> capturing_streams() {
  std::vector<StreamPointer> found;
  for (const StreamPointer &s : live_streams())
    if (s->capture)
      found.push_back(s);
  return found;
}

static std::vector<StreamPointer> all_streams(int device) {
  std::vector<StreamPointer> found = {legacy_stream(device)};
  for (auto *list : {&destroyed_streams(), &live_streams()})
    for (const StreamPointer &s : *list)
      if (s->device == device)
        found.push_back(s);
  return found;
}

// ---- adding work

// For the race check of host code: what a thread did before it gave work to a stream is ordered before what
// another does after it has waited for the stream.
static void host_gives_work(const StreamPointer &stream) { release(&stream->order); }
static void host_has_waited(const StreamPointer &stream) { acquire(&stream->order); }

// The default stream and the blocking streams of its device wait for each other.
static std::vector<Point> implicit_order(const StreamPointer &stream) {
  std::vector<Point> after;
  if (!stream->blocking)
    return after;
  for (const StreamPointer &other : all_streams(stream->device))
    if (other != stream && other->blocking && !other->items.empty() && (stream->legacy || other->legacy))
      after.push_back({other, other->end()});
  return after;
}

static cudaError_t push(const StreamPointer &stream, Work work, std::vector<Point> after) {
  host_gives_work(stream);
  stream->items.push_back({std::move(work), std::move(after)});
  if (!options().async)
    run_stream(stream);
  return cudaSuccess;
}

cudaError_t add_work(const StreamPointer &stream, Work work) {
  if (stream->capture)
    return capture_work(*stream, std::move(work));
  if (cudaError_t e = forbid_implicit_order(*stream))
    return e;
  return push(stream, std::move(work), implicit_order(stream));
}

cudaError_t add_record(const StreamPointer &stream, Event &event) {
  if (stream->capture)
    return capture_record(*stream, event);
  event.captured = false;
  event.stamp = std::make_shared<Event::Stamp>();
  auto stamp = event.stamp;
  cudaError_t e = add_work(stream, [stamp] {
    stamp->passed = true;
    stamp->time = std::chrono::steady_clock::now();
  });
  event.point = {stream, stream->end()};
  return e;
}

cudaError_t add_wait(const StreamPointer &stream, const Event &event) {
  if (stream->capture || event.captured)
    return capture_wait(*stream, event);
  if (!event.stamp)
    return cudaSuccess;
  std::vector<Point> after = implicit_order(stream);
  after.push_back(event.point);
  return push(
      stream, [] {}, std::move(after));
}

// ---- running it

bool run_one(const StreamPointer &stream) {
  if (stream->items.empty())
    return false;
  Item item = std::move(stream->items.front());
  for (const Point &point : item.after)
    run_until(point);
  stream->items.pop_front();
  host_has_waited(stream); // this thread runs the work because it waits for it
  item.work();
  stream->finished++;
  if (stream->items.empty()) {
    auto &gone = destroyed_streams();
    gone.erase(std::remove(gone.begin(), gone.end(), stream), gone.end());
  }
  return true;
}

void run_until(const Point &point) {
  const StreamPointer stream = point.stream;
  while (stream->finished < point.position)
    run_one(stream);
  host_has_waited(stream);
}

void run_stream(const StreamPointer &stream) { run_until({stream, stream->end()}); }

void run_device(int device) {
  for (;;) {
    std::vector<StreamPointer> busy;
    for (const StreamPointer &s : all_streams(device))
      if (!s->items.empty())
        busy.push_back(s);
      else
        host_has_waited(s);
    if (busy.empty())
      return;
    run_one(StreamPointer(busy[draw_one(busy.size())]));
  }
}

size_t pending_work() {
  size_t n = 0;
  for (int device = 0; device < options().devices; device++)
    for (const StreamPointer &s : all_streams(device))
      n += s->items.size();
  return n;
}

} // namespace simt
