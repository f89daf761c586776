// The method of a fit, as Python names it.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

#include "ranef/crossed_plan.hpp"

// Let a signal such as Ctrl-C end a long call: it is asked for at most ten times a second.
inline std::function<void()> watch_signals() {
  using Clock = std::chrono::steady_clock;
  return [last = Clock::now()]() mutable {
    const Clock::time_point now = Clock::now();
    if (now - last < std::chrono::milliseconds(100)) return;
    last = now;
    const pybind11::gil_scoped_acquire held;
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  };
}

// `flops` and `bytes` of zero stand for the defaults.
inline ranef::MethodSettings method_settings(const std::string& method, std::uint64_t seed,
                                             int threads, double flops, double bytes) {
  ranef::MethodSettings out;
  if (method == "iterative")
    out.method = ranef::Method::kIterative;
  else if (method == "auto")
    out.method = ranef::Method::kAuto;
  else if (method != "exact")
    throw std::invalid_argument("method: 'exact', 'iterative' or 'auto'");
  if (flops > 0.0) out.flops = flops;
  out.bytes = bytes;
  out.crossed.seed = seed;
  out.crossed.threads = threads;
  out.crossed.interrupt = watch_signals();
  return out;
}
