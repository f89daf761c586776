// Teams of threads: every item once, failures passed on, threads only where they are needed.
#include "ranef/threads.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace ranef;

namespace {

void every_item_is_done_once(Team& team, Index count) {
  std::vector<std::atomic<int>> times(static_cast<std::size_t>(count));
  std::atomic<bool> inside{true};
  split(team, count, [&](int thread, Index begin, Index end) {
    inside = inside && thread >= 0 && thread < team.size();
    for (Index i = begin; i < end; ++i) ++times[static_cast<std::size_t>(i)];
  });
  CHECK(inside);
  CHECK(std::all_of(times.begin(), times.end(), [](const auto& n) { return n == 1; }));
}

void many_short_calls() {
  for (const int size : {1, 2, 5}) {
    Team team(size);
    for (int call = 0; call < 300; ++call)
      for (const Index count : {0, 1, 3, 1000}) every_item_is_done_once(team, count);
  }
}

void threads_start_when_needed() {
  Team alone(1), team(8);
  every_item_is_done_once(alone, 100);
  CHECK(alone.present() == 1);
  every_item_is_done_once(team, 1);
  CHECK(team.present() == 1);
  every_item_is_done_once(team, 3);
  CHECK(team.present() == 3);
  every_item_is_done_once(team, 100);
  CHECK(team.present() == 8);
  team.close();
  CHECK(team.present() == 1);
  every_item_is_done_once(team, 100);
  CHECK(Team(0).size() == 1);
}

void the_first_failure_is_rethrown() {
  Team team(3);
  for (int bad = 0; bad < 3; ++bad) {
    std::string what;
    std::atomic<int> ended{0};
    try {
      team.call(3, [&](int thread) {
        ++ended;
        if (thread >= bad) throw std::runtime_error(std::to_string(thread));
      });
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    CHECK(what == std::to_string(bad));
    CHECK(ended == 3);
  }
  every_item_is_done_once(team, 50);
}

void callers_take_turns() {
  Team team(3);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int call = 0; call < 50; ++call) every_item_is_done_once(team, 40);
    });
  for (std::thread& caller : callers) caller.join();
}

// Tasks are those of the team at hand; within one, a thread is alone.
void tasks_are_shared_once() {
  CHECK(team_at_hand().size() == 1);
  Team team(3);
  {
    const WithTeam at_hand(&team);
    CHECK(&team_at_hand() == &team);
    for (const Index count : {0, 1, 2, 500}) {
      std::vector<std::atomic<int>> times(static_cast<std::size_t>(count));
      std::atomic<bool> alone{true};
      each_task(count, [&](Index item) {
        alone = alone && (count == 1 || team_at_hand().size() == 1);
        ++times[static_cast<std::size_t>(item)];
      });
      CHECK(alone);
      CHECK(std::all_of(times.begin(), times.end(), [](const auto& n) { return n == 1; }));
    }
    const WithTeam nobody(nullptr);
    CHECK(team_at_hand().size() == 1);
  }
  CHECK(team_at_hand().size() == 1);
}

}  // namespace

int main() {
  many_short_calls();
  threads_start_when_needed();
  the_first_failure_is_rethrown();
  callers_take_turns();
  tasks_are_shared_once();
}
