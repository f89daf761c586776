// Traces that the expected information of the covariance parameters is made of.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

// By the elements of Sigma, H = I + sum_a Sigma_a V_a.
struct PairTraces {
  Matrix pairs;   // (m, m) tr(H^-1 V_a H^-1 V_b)
  Vector single;  // (m,) tr(H^-1 V_a)
};

}  // namespace ranef
