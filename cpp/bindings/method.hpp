// The method of a fit, as Python names it.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "ranef/crossed_plan.hpp"

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
  return out;
}
