// A way for the caller to end a long computation between two blocks of its work.
#pragma once

#include <chrono>
#include <functional>

namespace ranef {

// For as long as it lives, pause() on this thread calls `check` now and then; what that throws ends
// the computation. The core knows nothing of who asks.
class Interruptible {
 public:
  explicit Interruptible(std::function<void()> check);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  friend void pause();
  std::function<void()> check_;
  std::chrono::steady_clock::time_point last_;
  Interruptible* outer_;
};

// Called between blocks of work that take well under a second each. Costs a few nanoseconds where
// nobody asks and the reading of a clock where somebody does.
void pause();

}  // namespace ranef
