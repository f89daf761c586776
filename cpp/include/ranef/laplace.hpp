// Sums over the levels of random effects that derivatives of Laplace's approximation are made of.
#pragma once

#include <vector>

#include "ranef/eigen.hpp"
#include "ranef/pls.hpp"

namespace ranef {

double squared_norm(const std::vector<RowMatrix>& u);

// Lambda u, or Lambda'u, by term (l_t * k_t, m).
std::vector<RowMatrix> times_lambda(const std::vector<Matrix>& lambda,
                                    const std::vector<RowMatrix>& u, bool transposed);
void times_lambda(const std::vector<Matrix>& lambda, const std::vector<RowMatrix>& u,
                  bool transposed, std::vector<RowMatrix>& out);

// [Z'W Z Lambda M^-1]_ll summed over the levels of each term, (k_t, k_t).
std::vector<Matrix> trace_scores(const CrossProducts& A, const std::vector<Matrix>& lambda,
                                 const InverseBlocks& blocks);

// Blocks of D = Lambda M^-1 Lambda' from those whose root's sides are spherical.
void to_random_effects(const std::vector<Matrix>& lambda, InverseBlocks& blocks);

// Derivatives by the parameters of Pls::parameters() at theta from those by each lambda.
Vector by_parameters(const Pls& pls, const Vector& theta, const std::vector<Matrix>& by_lambda);

}  // namespace ranef
