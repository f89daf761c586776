#include "ranef/interrupt.hpp"

#include <utility>

namespace ranef {
namespace {

constexpr std::chrono::milliseconds kBetweenChecks{50};

thread_local Interruptible* innermost = nullptr;

}  // namespace

Interruptible::Interruptible(std::function<void()> check)
    : check_(std::move(check)), last_(std::chrono::steady_clock::now()), outer_(innermost) {
  innermost = this;
}

Interruptible::~Interruptible() { innermost = outer_; }

void pause() {
  Interruptible* asked = innermost;
  if (asked == nullptr) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - asked->last_ < kBetweenChecks) return;
  asked->last_ = now;
  asked->check_();
}

}  // namespace ranef
