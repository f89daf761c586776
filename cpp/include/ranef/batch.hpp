// Many fits in one call: one design and many responses, or one formula on many slices of the rows.
//
// A response enters a fit through Z'W y^ alone, y^ the response with X projected out and scaled to
// y^'W y^ = n. Everything that depends on the design is made once; each fit is then one search. A
// fit depends on its own rows only: neither its place in the batch nor the number of threads moves
// a bit.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ranef/eigen.hpp"
#include "ranef/lmm.hpp"
#include "ranef/threads.hpp"

namespace ranef {

struct BatchSettings {
  bool reml = true;
  bool satterthwaite = false;  // degrees of freedom of each contrast
  SearchSettings search;
  Matrix contrasts;  // (h, p) rows over the user's X; may have no rows
};

// What became of one fit. The first four are those of a search.
enum class Outcome : std::int32_t {
  kConverged = 0,
  kStepLimit = 1,
  kStalled = 2,
  kPerfectFit = 3,    // the random effects reproduce the response
  kExplained = 4,     // the fixed effects reproduce the response; a constant is one
  kFailed = 5,        // no finite objective
  kTooFewRows = 6,    // as many coefficients or random effects as rows
  kTooFewLevels = 7,  // a grouping factor with one level
  kNotFinite = 8,     // infinite or missing values, or their squares overflow or vanish
};

// Whether the covariance of a block of a term has a structure.
bool has_structure(const TermInput& term);

// How many numbers describe all covariances of a model, and those of one term, appended to `out`:
// the lower triangle of lambda by columns; of a term with a structure, block by block, the
// structure's natural parameters or the triangle of a free block.
Index n_factors(const Input& input);
void append_factors(const TermInput& term,
                    const Matrix& lambda,                // (k, k) user's basis
                    const std::vector<Vector>& natural,  // of each block; empty without structures
                    std::vector<double>& out);

// A column for each fit; NaN where there is no answer. p columns of X, aliased ones included.
struct BatchRows {
  BatchRows(Index p, Index n_factors, Index n_contrasts, Index count);

  Eigen::VectorXi outcome, n_objective, n_gradient, n_obs;  // (m,)
  Vector objective, sigma, smallest_sd, decrement, cone;    // (m,)
  Matrix beta;                                              // (p, m)
  Matrix cov_root;  // (p * p, m)  R, cov(beta) = sigma^2 R R'; NaN in rows of aliased columns
  Matrix factors;   // (n_factors, m)
  Matrix df;        // (h, m)  Satterthwaite, when asked for
};

// Degrees of freedom of contrasts w = R'c at a fit:
//   1 / df = 1 / nu + k'H^-1 k,   k = d log(sigma^2 w'w) / d lambda along the profile of sigma^2,
// H the exact Hessian of the profiled -2 log-likelihood.
//
// References: Giesbrecht and Burns (1985), Biometrics 41, 477-486; Fai and Cornelius (1996).
Vector satterthwaite(Lmm& lmm, const Estimate& estimate, bool reml,
                     const Matrix& W  // (p, h) columns w
);

class Batch {
 public:
  // The response of `design` is not read. Its columns and codes are not needed afterwards.
  explicit Batch(const Input& design);

  // Fit the columns of Y (n, m). One call at a time.
  BatchRows fit(const ConstMatrixRef& Y, const BatchSettings& settings, Team& team);

 private:
  struct Worker;
  Input design_;
  std::vector<Vector> columns_;
  Vector weights_, stand_in_;
  std::vector<std::vector<std::int32_t>> codes_;
  std::vector<std::shared_ptr<Worker>> workers_;  // by thread; made by the thread
};

// The same model on consecutive slices of the rows, start[i] to start[i + 1], levels within each.
BatchRows fit_slices(const Input& rows, const std::vector<Index>& start,
                     const BatchSettings& settings, Team& team);

// One design with its own response and weights for each fit: columns of Y and W, (n, m).
BatchRows fit_weighted(const Input& design, const ConstMatrixRef& Y, const ConstMatrixRef& W,
                       const BatchSettings& settings, Team& team);

}  // namespace ranef
