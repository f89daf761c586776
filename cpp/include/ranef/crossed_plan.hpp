// Which method a model is fitted by: a Cholesky factor where it is within the budget, iteration
// beyond.
#pragma once

#include <cstdint>

#include "ranef/cross_products.hpp"

namespace ranef {

struct CrossedSettings {
  std::uint64_t seed = 0;
  int threads = 1;
  int most_probes = 1024;
  int most_vectors = 64;
  double value_sd = 0.045;  // of the objective: two of them are below a tenth
  double theta_sd = 0.01;   // of a parameter, as a share of its standard error
};

// Whether the terms are such that CrossedPls takes them: two or more of one column each.
bool is_crossed(const CrossProducts& products);

enum class Method { kExact, kIterative, kAuto };

struct MethodSettings {
  Method method = Method::kExact;
  double flops = 3e10;  // of one factor and its inverse, up to which kAuto is exact
  double bytes = 0.0;   // of memory; 0 asks the machine
  CrossedSettings crossed;
};

// What the exact method would need, as far as it was asked, and which was taken.
struct MethodPlan {
  bool is_iterative = false;
  double flops = 0.0;
  double bytes = 0.0;
};

// Throws std::invalid_argument where iteration is asked for and cannot be done.
MethodPlan plan_method(const CrossProducts& products, const MethodSettings& settings);

}  // namespace ranef
