#include "ranef/sparse_cholesky.hpp"

#include <algorithm>
#include <cmath>

#include "ranef/errors.hpp"
#include "ranef/interrupt.hpp"

namespace ranef {
namespace {

constexpr Index kColumnsBetween = 16;  // between two pauses

}  // namespace

SparseCholesky::SparseCholesky(Index n, const std::vector<std::vector<std::int32_t>>& below,
                               double most)
    : n_(n) {
  order(below);
  analyse(below, most);
  value_.setZero(nonzeros());
  work_.setZero(n);
  head_.resize(n);
  next_.resize(n);
  mark_.assign(n, -1);
  first_.resize(n);
}

void SparseCholesky::order(const std::vector<std::vector<std::int32_t>>& below) {
  std::vector<int> start(n_ + 1, 0), row;
  std::size_t total = n_;
  for (const auto& column : below) total += column.size();
  row.reserve(total);
  for (Index j = 0; j < n_; ++j) {
    row.push_back(static_cast<int>(j));
    row.insert(row.end(), below[j].begin(), below[j].end());
    start[j + 1] = static_cast<int>(row.size());
  }
  const std::vector<double> ones(row.size(), 1.0);
  const Eigen::Map<const Eigen::SparseMatrix<double>> A(n_, n_, static_cast<Index>(row.size()),
                                                        start.data(), row.data(), ones.data());
  Eigen::PermutationMatrix<Eigen::Dynamic, Eigen::Dynamic, int> elimination;
  Eigen::AMDOrdering<int>()(Eigen::SparseMatrix<double>(A).selfadjointView<Eigen::Lower>(),
                            elimination);
  place_.resize(n_);
  for (Index i = 0; i < n_; ++i) place_[elimination.indices()(i)] = static_cast<std::int32_t>(i);
}

// Columns of L: those of A and of the children in the elimination tree, without the children.
void SparseCholesky::analyse(const std::vector<std::vector<std::int32_t>>& below, double most) {
  std::vector<std::vector<std::int32_t>> columns(n_), children(n_);
  for (Index j = 0; j < n_; ++j)
    for (std::int32_t i : below[j]) {
      const auto [low, high] = std::minmax(place_[i], place_[j]);
      columns[low].push_back(high);
    }
  std::vector<std::int32_t> seen(n_, -1);
  start_.assign(n_ + 1, 0);
  for (Index j = 0; j < n_; ++j) {
    std::vector<std::int32_t> merged;
    const auto take = [&](const std::vector<std::int32_t>& rows) {
      for (std::int32_t i : rows)
        if (i > j && seen[i] != j) {
          seen[i] = static_cast<std::int32_t>(j);
          merged.push_back(i);
        }
    };
    take(columns[j]);
    for (std::int32_t child : children[j]) take(columns[child]);
    std::sort(merged.begin(), merged.end());
    if (!merged.empty()) children[merged.front()].push_back(static_cast<std::int32_t>(j));
    columns[j] = std::move(merged);
    const double count = static_cast<double>(columns[j].size()) + 1.0;
    flops_ += count * count;
    start_[j + 1] = start_[j] + static_cast<Index>(columns[j].size()) + 1;
    if (static_cast<double>(start_[j + 1]) > most)
      throw ModelTooLarge("the Cholesky factor of the random effects is too large");
  }
  row_.reserve(start_[n_]);
  for (Index j = 0; j < n_; ++j) {
    row_.push_back(static_cast<std::int32_t>(j));
    row_.insert(row_.end(), columns[j].begin(), columns[j].end());
  }
}

Index SparseCholesky::position(Index i, Index j) const {
  const auto [low, high] = std::minmax(place_[i], place_[j]);
  const auto begin = row_.begin() + start_[low], end = row_.begin() + start_[low + 1];
  return std::lower_bound(begin, end, high) - row_.begin();
}

// Left-looking: column j takes the updates of the earlier columns that reach row j.
bool SparseCholesky::factor() {
  std::fill(head_.begin(), head_.end(), -1);
  work_.setZero();
  for (Index j = 0; j < n_; ++j) {
    if (j % kColumnsBetween == 0) pause();
    const Index begin = start_[j], end = start_[j + 1];
    for (Index q = begin; q < end; ++q) work_(row_[q]) = value_(q);
    for (std::int32_t k = head_[j]; k >= 0;) {
      const std::int32_t following = next_[k];
      const Index from = first_[k], stop = start_[k + 1];
      const double l = value_(from);
      for (Index q = from; q < stop; ++q) work_(row_[q]) -= l * value_(q);
      if (from + 1 < stop) {
        first_[k] = from + 1;
        next_[k] = head_[row_[from + 1]];
        head_[row_[from + 1]] = k;
      }
      k = following;
    }
    const double pivot = work_(j);
    if (!(pivot > 0.0)) return false;
    const double root = std::sqrt(pivot);
    value_(begin) = root;
    for (Index q = begin + 1; q < end; ++q) {
      value_(q) = work_(row_[q]) / root;
      work_(row_[q]) = 0.0;
    }
    if (begin + 1 < end) {
      first_[j] = begin + 1;
      next_[j] = head_[row_[begin + 1]];
      head_[row_[begin + 1]] = static_cast<std::int32_t>(j);
    }
  }
  return true;
}

double SparseCholesky::log_determinant() const {
  double sum = 0.0;
  for (Index j = 0; j < n_; ++j) sum += std::log(value_(start_[j]));
  return sum;
}

void SparseCholesky::solve_lower(RowMatrix& B) const {
  permuted_.resize(B.rows(), B.cols());
  for (Index i = 0; i < n_; ++i) permuted_.row(place_[i]) = B.row(i);
  for (Index j = 0; j < n_; ++j) {
    permuted_.row(j) /= value_(start_[j]);
    for (Index q = start_[j] + 1; q < start_[j + 1]; ++q)
      permuted_.row(row_[q]) -= value_(q) * permuted_.row(j);
  }
  B.swap(permuted_);
}

// The rows below a column are those of its ancestors in the elimination tree.
Index SparseCholesky::reach(const std::vector<std::int32_t>& rows,
                            std::vector<std::int32_t>& slot) const {
  slot_.resize(static_cast<std::size_t>(n_), -1);
  for (const std::int32_t j : reached_) slot_[j] = -1;
  reached_.clear();
  for (const std::int32_t i : rows)
    for (std::int32_t j = place_[i]; slot_[j] < 0;) {
      slot_[j] = 0;
      reached_.push_back(j);
      if (start_[j] + 1 == start_[j + 1]) break;
      j = row_[start_[j] + 1];
    }
  std::sort(reached_.begin(), reached_.end());
  for (std::size_t r = 0; r < reached_.size(); ++r)
    slot_[reached_[r]] = static_cast<std::int32_t>(r);
  for (const std::int32_t i : rows) slot[i] = slot_[place_[i]];
  return static_cast<Index>(reached_.size());
}

void SparseCholesky::solve_reached(RowMatrix& B) const {
  for (Index r = 0; r < B.rows(); ++r) {
    const Index j = reached_[r];
    B.row(r) /= value_(start_[j]);
    for (Index q = start_[j] + 1; q < start_[j + 1]; ++q)
      B.row(slot_[row_[q]]) -= value_(q) * B.row(r);
  }
}

void SparseCholesky::solve_upper(RowMatrix& B) const {
  for (Index j = n_ - 1; j >= 0; --j) {
    for (Index q = start_[j] + 1; q < start_[j + 1]; ++q) B.row(j) -= value_(q) * B.row(row_[q]);
    B.row(j) /= value_(start_[j]);
  }
  permuted_.resize(B.rows(), B.cols());
  for (Index i = 0; i < n_; ++i) permuted_.row(i) = B.row(place_[i]);
  B.swap(permuted_);
}

// With Zinv = A^-1 and column j of L: Zinv(S, j) = -Zinv(S, S) L(S, j) / L(j, j), S the rows below
// j.
const Vector& SparseCholesky::invert() {
  inverse_.resize(value_.size());
  work_.setZero();
  std::fill(mark_.begin(), mark_.end(), -1);
  for (Index j = n_ - 1; j >= 0; --j) {
    if (j % kColumnsBetween == 0) pause();
    const Index begin = start_[j], end = start_[j + 1];
    for (Index q = begin + 1; q < end; ++q) mark_[row_[q]] = static_cast<std::int32_t>(q - begin);
    for (Index q = begin + 1; q < end; ++q) {
      const std::int32_t k = row_[q];
      const double l = value_(q);
      work_(k) += l * inverse_(start_[k]);
      for (Index r = start_[k] + 1; r < start_[k + 1]; ++r) {
        const std::int32_t i = row_[r];
        if (mark_[i] < 0) continue;
        work_(i) += l * inverse_(r);
        work_(k) += value_(begin + mark_[i]) * inverse_(r);
      }
    }
    const double pivot = value_(begin);
    double diagonal = 1.0 / (pivot * pivot);
    for (Index q = begin + 1; q < end; ++q) {
      const std::int32_t i = row_[q];
      inverse_(q) = -work_(i) / pivot;
      diagonal -= value_(q) * inverse_(q) / pivot;
      work_(i) = 0.0;
      mark_[i] = -1;
    }
    inverse_(begin) = diagonal;
  }
  return inverse_;
}

}  // namespace ranef
