// A range of work split over threads that live as long as the call.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

// Call work(thread, begin, end) for consecutive parts of 0 .. count - 1, several parts a thread:
// each thread takes the next one when it is free, so that a slow item holds up no other part. Who
// gets which part is left to chance, so work must give each item the same result in any part. The
// first exception, by thread, is rethrown once all have ended.
template <class Work>
void split(Index count, int threads, Work&& work) {
  constexpr Index kPartsPerThread = 32;
  const Index parts = std::clamp<Index>(threads, 1, std::max<Index>(1, count));
  const Index size = parts == 1 ? count : std::max<Index>(1, count / (kPartsPerThread * parts));
  std::vector<std::exception_ptr> failures(parts);
  std::atomic<Index> next{0};
  const auto part = [&](Index i) {
    try {
      for (Index at = next.fetch_add(size); at < count; at = next.fetch_add(size))
        work(static_cast<int>(i), at, std::min(at + size, count));
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
