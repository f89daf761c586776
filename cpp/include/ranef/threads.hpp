// Threads that stand by for many short pieces of work.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "ranef/eigen.hpp"
#include "ranef/interrupt.hpp"

namespace ranef {

// A fresh thread may share its parent's core for tens of milliseconds, which is the length of many
// a piece of work; a thread that waits does not. The caller is the first of the team; the others
// are started when they are first needed and end with close() or the team.
class Team {
 public:
  explicit Team(int size) : size_(std::max(1, size)) {}
  ~Team() { close(); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  // Threads there are, the caller among them.
  int present() const { return 1 + static_cast<int>(others_.size()); }

  // Call part(0), ..., part(parts - 1), each on a thread of its own; where the system has no more
  // threads to give, only as many as there are. The first exception, by thread, is rethrown once
  // all have ended. Calls from several threads take turns.
  void call(int parts, const std::function<void(int)>& part);

  // End the other threads. A later call starts them again.
  void close();

 private:
  const int size_;
  std::mutex turn_;  // held by the caller
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> others_;
  std::function<void(int)> part_;  // these are guarded by mutex_
  std::uint64_t round_ = 0;
  int parts_ = 0, left_ = 0;
  bool closing_ = false;

  void hire(int parts);
  void stand_by(int thread, std::uint64_t seen);
};

// Call work(thread, begin, end) for consecutive parts of 0 .. count - 1, several parts a thread:
// each thread takes the next one when it is free, so that a slow item holds up no other part. Who
// gets which part is left to chance, so work must give each item the same result in any part.
template <class Work>
void split(Team& team, Index count, Work&& work) {
  constexpr Index kPartsPerThread = 128;
  const Index parts = std::clamp<Index>(team.size(), 1, std::max<Index>(1, count));
  const Index size = parts == 1 ? count : std::max<Index>(1, count / (kPartsPerThread * parts));
  std::atomic<Index> next{0};
  team.call(static_cast<int>(parts), [&](int thread) {
    try {
      for (Index at = next.fetch_add(size); at < count; at = next.fetch_add(size)) {
        pause();
        work(thread, at, std::min(at + size, count));
      }
    } catch (...) {
      next.store(count);  // the others stop too
      throw;
    }
  });
}

}  // namespace ranef
