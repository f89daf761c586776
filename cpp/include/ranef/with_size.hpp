// Compile-time block sizes where they pay.
#pragma once

#include <type_traits>
#include <utility>
#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

// A term may have so many columns; beyond, its covariance has over two thousand parameters.
constexpr int kMaxColumns = 64;
// And a term whose covariance has a structure so many.
constexpr int kMaxStructured = 2000;
// Blocks of more columns are multiplied by Eigen's products of large matrices.
constexpr int kLarge = 24;

// Blocks of up to so many columns have their workspaces on the stack.
constexpr int kOnStack = 16;

// Blocks of a term: on the stack where their size is known, else workspaces to be made once.
template <int K>
using Square = Eigen::Matrix<double, K, K>;
template <int K>
using Column = Eigen::Matrix<double, K, 1>;

// Numbers for the time of a call: on the stack where they are no more than a small block's.
class Workspace {
 public:
  explicit Workspace(Index size) {
    if (size > kOnStack * kOnStack) many_.resize(static_cast<std::size_t>(size));
    data_ = many_.empty() ? few_ : many_.data();
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  double* data() { return data_; }

 private:
  double few_[kOnStack * kOnStack];
  std::vector<double> many_;
  double* data_;
};

// Call f with std::integral_constant of the size s: Least to 4 known to the compiler, else Dynamic.
// Least is for callers that treat smaller sizes on their own.
template <int Least = 1, class F>
decltype(auto) with_size(Index s, F&& f) {
  if constexpr (Least <= 1)
    if (s == 1) return std::forward<F>(f)(std::integral_constant<int, 1>{});
  if constexpr (Least <= 2)
    if (s == 2) return std::forward<F>(f)(std::integral_constant<int, 2>{});
  if (s == 3) return std::forward<F>(f)(std::integral_constant<int, 3>{});
  if (s == 4) return std::forward<F>(f)(std::integral_constant<int, 4>{});
  return std::forward<F>(f)(std::integral_constant<int, Eigen::Dynamic>{});
}

// The same for two sizes.
template <class F>
decltype(auto) with_sizes(Index s, Index t, F&& f) {
  return with_size(
      s, [&](auto one) { return with_size(t, [&](auto other) { return f(one, other); }); });
}

}  // namespace ranef
