// Compile-time block sizes where they pay.
#pragma once

#include <type_traits>
#include <utility>

#include "ranef/eigen.hpp"

namespace ranef {

// A term may have so many columns; beyond, its covariance has over two thousand parameters.
constexpr int kMaxColumns = 64;

// Blocks of a term, on the stack whatever their size.
template <int K>
using Square = Eigen::Matrix<double, K, K, Eigen::ColMajor, K == Eigen::Dynamic ? kMaxColumns : K,
                             K == Eigen::Dynamic ? kMaxColumns : K>;
template <int K>
using Column =
    Eigen::Matrix<double, K, 1, Eigen::ColMajor, K == Eigen::Dynamic ? kMaxColumns : K, 1>;

// Call f with std::integral_constant of the size s: 1 to 4 known to the compiler, else Dynamic.
template <class F>
decltype(auto) with_size(Index s, F&& f) {
  switch (s) {
    case 1:
      return std::forward<F>(f)(std::integral_constant<int, 1>{});
    case 2:
      return std::forward<F>(f)(std::integral_constant<int, 2>{});
    case 3:
      return std::forward<F>(f)(std::integral_constant<int, 3>{});
    case 4:
      return std::forward<F>(f)(std::integral_constant<int, 4>{});
    default:
      return std::forward<F>(f)(std::integral_constant<int, Eigen::Dynamic>{});
  }
}

// The same for two sizes.
template <class F>
decltype(auto) with_sizes(Index s, Index t, F&& f) {
  return with_size(
      s, [&](auto one) { return with_size(t, [&](auto other) { return f(one, other); }); });
}

}  // namespace ranef
