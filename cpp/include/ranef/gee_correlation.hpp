// Working correlations: moment estimates of their parameters, and products with R^-1/2.
#pragma once

#include <vector>

#include "ranef/gee.hpp"

namespace ranef {

// Distances between times. Regular times have lag |wave_j - wave_k| * unit, others a table of their
// own.
class Lags {
 public:
  explicit Lags(ConstVectorRef time);  // (n_waves,) ascending
  Index id(Index a, Index b) const {
    return table_.empty() ? position_[static_cast<std::size_t>(std::max(a, b))] -
                                position_[static_cast<std::size_t>(std::min(a, b))]
                          : table_[static_cast<std::size_t>(a * n_waves_ + b)];
  }
  double distance(Index id) const { return distance_[static_cast<std::size_t>(id)]; }
  Index count() const { return static_cast<Index>(distance_.size()); }
  bool integers() const { return integers_; }

 private:
  Index n_waves_ = 0;
  std::vector<Index> position_;   // (n_waves,) of regular times
  std::vector<Index> table_;      // (n_waves * n_waves,) of irregular ones
  std::vector<double> distance_;  // of each lag id
  bool integers_ = true;          // every distance is a whole number
};

// Moment estimate of the correlation parameters from Pearson residuals r (n,).
//   exchangeable: mean of r_j r_k / phi over pairs;   unstructured: the same for each pair of
//   waves; m_dependent: the same for each lag of 1 to m waves;   ar1: least squares of alpha^lag
//   over all pairs.
Vector estimate_alpha(const GeeData& data, const GeeOptions& options, const Lags& lags,
                      ConstVectorRef pearson, double phi, const Vector& previous, bool& at_bound);

// Multiplies the rows of a cluster by R^-1/2: (R^-1/2)'(R^-1/2) = R^-1 over the cluster's waves.
// Closed forms for exchangeable (rank one) and AR(1) (the previous row); otherwise a Cholesky
// factor, kept from cluster to cluster while the waves are the same.
class Whitener {
 public:
  Whitener(const GeeData& data, const GeeOptions& options, const Lags& lags, const Vector& alpha);
  bool valid() const { return valid_; }
  void apply(Int32Ref wave, Eigen::Ref<RowMatrix> block) const;

 private:
  void factor(Int32Ref wave) const;
  const Lags& lags_;
  Corr corr_;
  double alpha_ = 0.0;
  mutable bool valid_ = true;
  std::vector<double> decay_;           // alpha^lag, by lag id
  std::vector<double> rest_;            // (1 - decay^2)^-1/2
  Matrix R_;                            // (n_waves, n_waves)
  mutable std::vector<Index> pattern_;  // waves that factor_ belongs to
  mutable Matrix factor_;               // lower Cholesky factor
  mutable Eigen::RowVectorXd shift_;    // share of a cluster's sum, a workspace
};

}  // namespace ranef
