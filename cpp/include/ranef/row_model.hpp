// Log-likelihoods of rows by several linear predictors, with the derivatives that a fit asks for.
//
// Derivatives come from jets of one log density a distribution, so that no distribution is
// differentiated by hand here. Pairs of predictors are packed: (a, b), a <= b, at b (b + 1) / 2 +
// a.
#pragma once

#include <memory>
#include <vector>

#include "ranef/distributions.hpp"
#include "ranef/eigen.hpp"
#include "ranef/links.hpp"

namespace ranef {

constexpr int kMostActive = 3;  // predictors that may have random effects

struct RowModelRows {
  Vector y;           // (n,)
  Vector weights;     // (n,) trials of a binomial response, frequencies otherwise
  double top = -1.0;  // the last category of an ordinal response; the largest y where it is below
};

class RowModel {
 public:
  explicit RowModel(RowModelRows rows);
  virtual ~RowModel() = default;
  RowModel(const RowModel&) = delete;
  RowModel& operator=(const RowModel&) = delete;

  Index n_obs() const { return y_.size(); }
  virtual int n_inputs() const = 0;  // N

  // Log-likelihood, all constants in. -infinity, or NaN, where a row is out of range.
  virtual double total(const Matrix& eta) const = 0;  // eta (n, N)

  // Log-likelihood less what does not depend on the active predictors, with their scores and minus
  // second derivatives.
  virtual double search(const Matrix& eta, const std::vector<int>& active,
                        Matrix& score,  // (n, r) out
                        Matrix& weight  // (n, r (r + 1) / 2) out
  ) const = 0;

  // Every first derivative, the second derivatives of the active predictors by all, and the
  // derivatives of sum_kl h[k, l] W[k, l], W minus the second derivatives of the active ones.
  virtual void slopes(const Matrix& eta, const std::vector<int>& active,
                      const Matrix& h,  // (n, r (r + 1) / 2)
                      Matrix& score,    // (n, N) out
                      Matrix& second,   // (n, N (N + 1) / 2) out; other pairs hold anything
                      Matrix& slope     // (n, N) out
  ) const = 0;

  // Every second derivative.
  virtual void seconds(const Matrix& eta,
                       Matrix& second  // (n, N (N + 1) / 2) out
  ) const = 0;

  // Log-likelihood of some rows, each with its weight, and their scores.
  virtual double at_rows(const std::int32_t* rows, const Matrix& eta,  // (count, N)
                         Matrix& score                                 // (count, N) out
  ) const = 0;

 protected:
  Vector y_, weights_;
  double top_;
};

// Throws std::invalid_argument for a link or a zero part that the distribution does not take.
std::unique_ptr<RowModel> make_row_model(Distribution distribution, Link link, bool zero,
                                         RowModelRows rows);

// A location for each row, without the model: where a search begins.
Vector link_start(Distribution distribution, Link link, const Vector& y, const Vector& trials);

}  // namespace ranef
