#include "ranef/threads.hpp"

#include <system_error>

namespace ranef {

void Team::hire(int parts) {
  try {
    while (present() < parts) others_.emplace_back(&Team::stand_by, this, present(), round_);
  } catch (const std::system_error&) {
    // The system has no more threads: those that are there do the work.
  }
}

void Team::call(int parts, const std::function<void(int)>& part) {
  const std::lock_guard<std::mutex> turn(turn_);
  hire(parts);
  parts = std::min(parts, present());
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(parts));
  const auto guarded = [&](int thread) {
    try {
      part(thread);
    } catch (...) {
      failures[static_cast<std::size_t>(thread)] = std::current_exception();
    }
  };
  if (parts > 1) {
    const std::lock_guard<std::mutex> lock(mutex_);
    part_ = guarded;
    parts_ = parts;
    left_ = parts - 1;
    ++round_;
  }
  if (parts > 1) wake_.notify_all();
  guarded(0);
  if (parts > 1) {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return left_ == 0; });
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

void Team::stand_by(int thread, std::uint64_t seen) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return closing_ || round_ != seen; });
    if (closing_) return;
    seen = round_;
    if (thread >= parts_) continue;
    lock.unlock();
    part_(thread);
    lock.lock();
    if (--left_ == 0) done_.notify_one();
  }
}

void Team::close() {
  const std::lock_guard<std::mutex> turn(turn_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : others_) thread.join();
  others_.clear();
  closing_ = false;
}

}  // namespace ranef
