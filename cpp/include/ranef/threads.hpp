// Threads that stand by for many short pieces of work.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>

#include "ranef/eigen.hpp"
#include "ranef/interrupt.hpp"

namespace ranef {

// A fresh thread may share its parent's core for tens of milliseconds, which is the length of many
// a piece of work; a thread that waits does not. The caller is the first of the team; the others
// are started when they are first needed and end with close() or the team. A forked process starts
// its own.
class Team {
 public:
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  // Threads there are, the caller among them.
  int present() const;

  // Call part(0), ..., part(parts - 1), each on a thread of its own; where the system has no more
  // threads to give, only as many as there are. The first exception, by thread, is rethrown once
  // all have ended. Calls from several threads take turns.
  void call(int parts, const std::function<void(int)>& part);

  // End the other threads. A later call starts them again.
  void close();

 private:
  class Others;
  const int size_;
  std::unique_ptr<Others> others_;

  Others& others();
};

// The team that works for what this thread computes: the innermost WithTeam's, else one of this
// thread alone. A task is alone, too: it does not divide itself further.
Team& team_at_hand();

// For as long as it lives, `team` is at hand on this thread; null leaves the thread alone.
class WithTeam {
 public:
  explicit WithTeam(Team* team);
  ~WithTeam();
  WithTeam(const WithTeam&) = delete;
  WithTeam& operator=(const WithTeam&) = delete;

 private:
  Team* outer_;
};

// Call work(item) for the items 0 .. count - 1, each of which takes long, by the team at hand. What
// an item is must not depend on the team, and none may touch what another one writes.
template <class Work>
void each_task(Index count, Work&& work) {
  Team& team = team_at_hand();
  if (team.size() == 1 || count <= 1) {
    for (Index item = 0; item < count; ++item) {
      pause();
      work(item);
    }
    return;
  }
  std::atomic<Index> next{0};
  team.call(static_cast<int>(std::min<Index>(team.size(), count)), [&](int) {
    try {
      for (Index item = next.fetch_add(1); item < count; item = next.fetch_add(1)) {
        pause();
        work(item);
      }
    } catch (...) {
      next.store(count);  // the others stop too
      throw;
    }
  });
}

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
