// Structured models at given parameters, for callers that may share a model between threads: a
// model works in its own memory, so each call waits for the one before it.
#pragma once

#include <utility>
#include <vector>

#include "ranef/structured_search.hpp"

namespace ranef {

// Objective and what belongs to it; kInfeasible where a covariance is not positive definite.
StructuredPoint structured_point(Structured& model, ConstVectorRef psi, bool reml);

// Exact gradient of the objective; zero where there is none.
Vector structured_gradient(Structured& model, ConstVectorRef psi, bool reml);

// Correlations that parameters stand for.
Vector structured_correlation(Structured& model, ConstVectorRef psi);

// V and S C S of a pattern, relative to sigma^2.
std::pair<Matrix, Matrix> structured_covariances(Structured& model, Index pattern,
                                                 ConstVectorRef psi);

// The lowest minimum from the given starts.
StructuredFit structured_fit_shared(Structured& model, const std::vector<Vector>& starts, bool reml,
                                    int max_steps, double tolerance);

}  // namespace ranef
