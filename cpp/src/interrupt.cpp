#include "ranef/interrupt.hpp"

#include <chrono>
#include <utility>

#if defined(__x86_64__) && defined(__GNUC__)
#include <x86intrin.h>
#endif

namespace ranef {
namespace {

// A count that runs with time. Where a processor has one it costs a few nanoseconds; to read the
// clock may take a microsecond, and some blocks of work are as short.
std::chrono::steady_clock::time_point ticks() {
#if defined(__x86_64__) && defined(__GNUC__)
  using Clock = std::chrono::steady_clock;
  return Clock::time_point(Clock::duration(static_cast<Clock::rep>(__rdtsc())));
#else
  return std::chrono::steady_clock::now();
#endif
}

// Less than a tenth of a second on any of them.
constexpr std::chrono::steady_clock::duration kBetweenChecks{50'000'000};

thread_local Interruptible* innermost = nullptr;

}  // namespace

Interruptible::Interruptible(std::function<void()> check)
    : check_(std::move(check)), last_(ticks()), outer_(innermost) {
  innermost = this;
}

Interruptible::~Interruptible() { innermost = outer_; }

void pause() {
  Interruptible* asked = innermost;
  if (asked == nullptr) return;
  const auto now = ticks();
  if (now - asked->last_ < kBetweenChecks) return;
  asked->last_ = now;
  asked->check_();
}

}  // namespace ranef
