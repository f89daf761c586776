// A range of work split over threads that live as long as the call.
#pragma once

#include <algorithm>
#include <exception>
#include <thread>
#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

// Call work(thread, begin, end) for equal consecutive parts of 0 .. count - 1, one part a thread.
// The parts depend on `threads`, so work must give each item the same result in any part. The first
// exception, by thread, is rethrown once all have ended.
template <class Work>
void split(Index count, int threads, Work&& work) {
  const Index parts = std::clamp<Index>(threads, 1, std::max<Index>(1, count));
  std::vector<std::exception_ptr> failures(parts);
  const auto part = [&](Index i) {
    try {
      work(static_cast<int>(i), i * count / parts, (i + 1) * count / parts);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (Index i = 1; i < parts; ++i) others.emplace_back(part, i);
  part(0);
  for (std::thread& thread : others) thread.join();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace ranef
