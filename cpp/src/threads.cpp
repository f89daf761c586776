#include "ranef/threads.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace ranef {
namespace {

thread_local Team* at_hand = nullptr;

// Parts often follow each other within microseconds, less than it takes to wake a thread.
constexpr std::chrono::microseconds kPatience{30};

// Whether something comes true within kPatience.
template <class Test>
bool soon(Test&& test) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + kPatience;
  do {
    for (int i = 0; i < 64; ++i)
      if (test()) return true;
  } while (Clock::now() < end);
  return false;
}

// A number that another process does not have.
long this_process() {
#if defined(__unix__) || defined(__APPLE__)
  return static_cast<long>(getpid());
#else
  return 0;
#endif
}

}  // namespace

// All threads of a team but the caller's.
class Team::Others {
 public:
  ~Others() { close(); }
  int present() const { return 1 + static_cast<int>(threads_.size()); }
  bool are_here() const { return process_ == this_process(); }
  void call(int parts, const std::function<void(int)>& part);
  void close();

 private:
  const long process_ = this_process();
  std::mutex turn_;  // held by the caller
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  std::function<void(int)> part_;  // these are changed under mutex_ ...
  int parts_ = 0;
  bool closing_ = false;
  std::atomic<std::uint64_t> round_{0};  // ... and these awaited without it for a while
  std::atomic<int> left_{0};

  void hire(int parts);
  void stand_by(int thread, std::uint64_t seen);
};

Team::Team(int size) : size_(std::max(1, size)), others_(std::make_unique<Others>()) {}

// The threads of a process do not outlive a fork, nor can they be waited for there.
Team::~Team() {
  if (!others_->are_here()) static_cast<void>(others_.release());
}

Team::Others& Team::others() {
  static std::mutex replaced;
  const std::lock_guard<std::mutex> lock(replaced);
  if (!others_->are_here()) {
    static_cast<void>(others_.release());
    others_ = std::make_unique<Others>();
  }
  return *others_;
}

int Team::present() const { return others_->present(); }

void Team::call(int parts, const std::function<void(int)>& part) { others().call(parts, part); }

void Team::close() { others().close(); }

Team& team_at_hand() {
  thread_local Team alone(1);
  return at_hand ? *at_hand : alone;
}

WithTeam::WithTeam(Team* team) : outer_(at_hand) { at_hand = team; }

WithTeam::~WithTeam() { at_hand = outer_; }

void Team::Others::hire(int parts) {
  try {
    while (present() < parts)
      threads_.emplace_back(&Team::Others::stand_by, this, present(), round_.load());
  } catch (const std::system_error&) {
    // The system has no more threads: those that are there do the work.
  }
}

void Team::Others::call(int parts, const std::function<void(int)>& part) {
  const std::lock_guard<std::mutex> turn(turn_);
  hire(parts);
  parts = std::min(parts, present());
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(parts));
  const auto guarded = [&](int thread) {
    const WithTeam alone(nullptr);
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
  if (parts > 1 && !soon([&] { return left_ == 0; })) {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return left_ == 0; });
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

void Team::Others::stand_by(int thread, std::uint64_t seen) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    lock.unlock();
    soon([&] { return round_ != seen; });
    lock.lock();
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

void Team::Others::close() {
  const std::lock_guard<std::mutex> turn(turn_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  closing_ = false;
}

}  // namespace ranef
