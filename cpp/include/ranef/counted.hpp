// What a negative binomial likelihood needs of its responses, once for all rows that are alike.
//
//   log Gamma(y + k) - log Gamma(k) - y log k = sum_{j < y} log(1 + j / k)
//
// loses nothing as k runs to infinity, and added over rows it is a sum over j of the weight of the
// rows above j.
#pragma once

#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

// That sum, and its derivative by log k.
struct Rising {
  double value, by_log;
};

// Of one response y >= 0, whole or not.
Rising rising_sum(double y, double k);

class Counted {
 public:
  Counted() = default;
  // Empty unless each response is a whole number, zero or above.
  Counted(const Vector& y, const Vector& weights);

  bool is_empty() const { return above_.size() == 0; }

  // Added over the rows, each times its weight.
  Rising rising(double k) const;
  double log_factorials() const { return log_factorials_; }

 private:
  Eigen::ArrayXd above_;                  // weight of the rows with y > j
  Eigen::ArrayXd place_;                  // j
  std::vector<double> far_, far_weight_;  // responses beyond all j, one by one
  double log_factorials_ = 0.0;
};

}  // namespace ranef
