#include "ranef/coupling.hpp"

#include <algorithm>
#include <numeric>

#include "ranef/interrupt.hpp"
#include "ranef/threads.hpp"

namespace ranef {
namespace {

// Above this share of entries a large product beats scattered updates.
constexpr double kDenseShare = 0.15;
// Rows of a panel: enough for large products at full speed.
constexpr Index kPanelRows = 512;
// Products with a root of this size are taken in strips, by the team at hand.
constexpr Index kLargeRoot = 1024;
constexpr Index kStripColumns = 256, kStripRows = 64;
// Columns of a root that are not worth dividing; into how many parts the others are at least, and
// the operations of a part.
constexpr Index kFewColumns = 256, kParts = 32;
constexpr Index kColumnsAtOnce = 16;
constexpr double kPart = 1e8;
// Operations that are worth it to divide the levels, and into how many ranges.
constexpr double kWorthRanges = 2e6;
constexpr Index kRanges = 16;
// Sums over parts of the columns are kept apart where that is little beside the operations.
constexpr Index kSums = 8;
constexpr double kShareOfSums = 16.0;

// Omega <- Omega - panel' work, lower triangle.
template <class Left, class Right>
void subtract_panel(const Left& panel, const Right& work, MatrixRef Omega) {
  const Index n = Omega.cols(), step = n >= kLargeRoot ? kStripColumns : n;
  each_task((n + step - 1) / step, [&](Index strip) {
    const Index at = strip * step, width = std::min(step, n - at), below = n - at - width;
    Omega.block(at, at, width, width).template triangularView<Eigen::Lower>() -=
        panel.middleCols(at, width).transpose() * work.middleCols(at, width);
    if (below > 0)
      Omega.block(at + width, at, below, width).noalias() -=
          panel.rightCols(below).transpose() * work.middleCols(at, width);
  });
}

// out <- panel D, D symmetric of which the lower triangle is read.
template <class Panel, class Out>
void multiply_panel(const Panel& panel, const MatrixRef& D, Out&& out) {
  const Index n = panel.rows(), step = D.cols() >= kLargeRoot ? kStripRows : n;
  each_task((n + step - 1) / step, [&](Index strip) {
    const Index at = strip * step, rows = std::min(step, n - at);
    out.middleRows(at, rows).noalias() =
        panel.middleRows(at, rows) * D.selfadjointView<Eigen::Lower>();
  });
}

// Ranges of levels that tasks take: as many whatever the team, one where there is little to do.
Index ranges_of(const Coupling& coupling, Index n_root, Index m) {
  const double entries = static_cast<double>(coupling.nonzeros());
  const bool few = entries * static_cast<double>(coupling.k() * m) < kWorthRanges ||
                   coupling.nonzeros() < 4 * kRanges * n_root;
  return few ? 1 : std::min(kRanges, coupling.n_levels());
}

}  // namespace

Coupling::Coupling(std::vector<PairProducts> pairs, const std::vector<Index>& offset,
                   const std::vector<Index>& k_other, Index k, Index n_levels, Index n_root)
    : k_(k),
      n_root_(n_root),
      start_(n_levels + 1, 0),
      offset_(offset),
      k_other_(k_other),
      pair_work_(k) {
  if (pairs.size() == 1)
    take(std::move(pairs[0]), k_other[0]);
  else
    gather(pairs);
  const double cells = static_cast<double>(n_levels) * static_cast<double>(n_root);
  dense_ = n_root > 0 && static_cast<double>(nonzeros()) > kDenseShare * cells;
  if (dense_) {
    const Index levels = std::min(n_levels, std::max<Index>(1, kPanelRows / k));
    panel_.resize(levels * k, n_root);
    work_.resize(levels * k, n_root);
  } else {
    scaled_ = value_;
  }
}

// The blocks of a single pair are the entries already, a column of a block after the other.
void Coupling::take(PairProducts pair, Index k_other) {
  for (std::size_t l = 0; l < start_.size(); ++l) start_[l] = pair.start[l] * k_other;
  value_ = std::move(pair.value);
  value_.resize(k_, start_.back());
  if (k_other == 1) {
    index_ = std::move(pair.level);
    return;
  }
  index_.reserve(start_.back());
  for (const std::int32_t level : pair.level)
    for (Index j = 0; j < k_other; ++j)
      index_.push_back(static_cast<std::int32_t>(level * k_other + j));
}

void Coupling::gather(const std::vector<PairProducts>& pairs) {
  for (std::size_t t = 0; t < pairs.size(); ++t)
    for (Index l = 0; l < n_levels(); ++l)
      start_[l + 1] += (pairs[t].start[l + 1] - pairs[t].start[l]) * k_other_[t];
  std::partial_sum(start_.begin(), start_.end(), start_.begin());
  index_.resize(start_.back());
  value_.resize(k_, start_.back());
  std::vector<Index> next(start_.begin(), start_.end() - 1);
  for (std::size_t t = 0; t < pairs.size(); ++t)
    for (Index l = 0; l < n_levels(); ++l)
      for (Index e = pairs[t].start[l]; e < pairs[t].start[l + 1]; ++e)
        for (Index j = 0; j < k_other_[t]; ++j) {
          const Index at = next[l]++;
          index_[at] = static_cast<std::int32_t>(offset_[t] + pairs[t].level[e] * k_other_[t] + j);
          value_.col(at) = pairs[t].value.col(e).segment(j * k_, k_);
        }
}

void Coupling::use_entries() {
  if (!dense_) return;
  dense_ = false;
  scaled_ = value_;
}

// rows_t <- lambda_t rows_t, or lambda_t'rows_t, for the rows of each level of each root term; in
// place, since lambda_t is lower triangular.
void Coupling::scale_rows(bool transposed, Eigen::Ref<RowMatrix> rows) const {
  for (std::size_t t = 0; t < offset_.size(); ++t) {
    const Index k = k_other_[t];
    const Index stop = t + 1 < offset_.size() ? offset_[t + 1] : n_root_;
    const Matrix& lambda = lambda_[t];
    for (Index first = offset_[t]; first < stop; first += k)
      for (Index j = 0; j < k; ++j) {
        const Index i = transposed ? j : k - 1 - j;
        rows.row(first + i) *= lambda(i, i);
        for (Index r = i + 1; transposed && r < k; ++r)
          rows.row(first + i) += lambda(r, i) * rows.row(first + r);
        for (Index r = 0; !transposed && r < i; ++r)
          rows.row(first + i) += lambda(i, r) * rows.row(first + r);
      }
  }
}

// Room for one row of m numbers for each root column; grown once.
Eigen::Map<RowMatrix> Coupling::root_rows(Index m) const {
  if (static_cast<Index>(root_work_.size()) < n_root_ * m) root_work_.resize(n_root_ * m);
  return {root_work_.data(), n_root_, m};
}

// Write out scaled for as many levels from `first` on as the panel holds; their number.
Index Coupling::fill_panel(Index first) {
  const Index count = std::min(panel_.rows() / k_, n_levels() - first);
  panel_.topRows(count * k_).setZero();
  for (Index l = 0; l < count; ++l) {
    double* row = panel_.data() + l * k_ * n_root_;
    for (Index e = start_[first + l]; e < start_[first + l + 1]; ++e)
      for (Index i = 0; i < k_; ++i) row[i * n_root_ + index_[e]] = value_(i, e);
  }
  for (std::size_t t = 0; t < offset_.size(); ++t) {
    const Index k = k_other_[t];
    const Index stop = t + 1 < offset_.size() ? offset_[t + 1] : n_root_;
    if (k == 1) {
      panel_.block(0, offset_[t], count * k_, stop - offset_[t]) *= lambda_[t](0, 0);
      continue;
    }
    for (Index i = 0; i < count * k_; ++i) {
      double* row = panel_.data() + i * n_root_;
      for (Index level = offset_[t]; level < stop; level += k)
        for (Index j = 0; j < k; ++j) {  // lambda is lower triangular: later columns are intact
          double sum = 0.0;
          for (Index r = j; r < k; ++r) sum += row[level + r] * lambda_[t](r, j);
          row[level + j] = sum;
        }
    }
  }
  return count;
}

// Runs of entries that belong to one level of one root term: block(term, first entry).
template <class Block>
void Coupling::for_each_block(Block&& block) const {
  for (Index l = 0; l < n_levels(); ++l) {
    std::size_t t = 0;
    for (Index e = start_[l]; e < start_[l + 1]; e += k_other_[t]) {
      while (t + 1 < offset_.size() && index_[e] >= offset_[t + 1]) ++t;
      block(t, e);
    }
  }
}

void Coupling::renew(const std::vector<PairProducts>& pairs) {
  std::vector<Index> next(pairs.size(), 0);
  for_each_block([&](std::size_t t, Index first) {
    const double* block = pairs[t].value.data() + next[t]++ * k_ * k_other_[t];
    value_.middleCols(first, k_other_[t]) = Eigen::Map<const Matrix>(block, k_, k_other_[t]);
  });
}

void Coupling::split(const Matrix& columns, std::vector<Matrix>& blocks) const {
  std::vector<Index> count(offset_.size(), 0), next(offset_.size(), 0);
  for_each_block([&](std::size_t t, Index) { ++count[t]; });
  blocks.resize(offset_.size());
  for (std::size_t t = 0; t < blocks.size(); ++t) blocks[t].resize(k_ * k_other_[t], count[t]);
  for_each_block([&](std::size_t t, Index first) {
    Eigen::Map<Matrix>(blocks[t].col(next[t]++).data(), k_, k_other_[t]) =
        columns.middleCols(first, k_other_[t]);
  });
}

void Coupling::scale(const std::vector<Matrix>& lambda) {
  if (dense_) {
    lambda_ = lambda;
    return;
  }
  const Index rows = value_.rows();
  for_each_block([&](std::size_t t, Index first) {
    const Index k = k_other_[t];
    if (k == 1) {
      scaled_.col(first) = lambda[t](0, 0) * value_.col(first);
      return;
    }
    for (Index j = 0; j < k; ++j) {  // lambda is lower triangular
      double* out = scaled_.data() + (first + j) * rows;
      for (Index i = 0; i < rows; ++i) out[i] = 0.0;
      for (Index r = j; r < k; ++r) {
        const double factor = lambda[t](r, j);
        const double* in = value_.data() + (first + r) * rows;
        for (Index i = 0; i < rows; ++i) out[i] += factor * in[i];
      }
    }
  });
}

void Coupling::add_transposed(const RowMatrix& rows, RowMatrix& out) const {
  const Index m = rows.cols(), ranges = ranges_of(*this, n_root_, m);
  const Matrix& entry = dense_ ? value_ : scaled_;
  Eigen::Map<RowMatrix> product = root_rows(dense_ ? m : 0);
  product.setZero();
  double* whole = dense_ ? product.data() : out.data();
  const auto add = [&](Index begin, Index end, double* sum) {
    for (Index l = begin; l < end; ++l)
      for (Index e = start_[l]; e < start_[l + 1]; ++e) {
        double* to = sum + index_[e] * m;
        for (Index i = 0; i < k_; ++i) {
          const double v = entry(i, e);
          const double* from = rows.data() + (l * k_ + i) * m;
          for (Index j = 0; j < m; ++j) to[j] += v * from[j];
        }
      }
  };
  if (ranges == 1) {
    add(0, n_levels(), whole);
  } else {
    std::vector<RowMatrix> sums(static_cast<std::size_t>(ranges));
    each_task(ranges, [&](Index range) {
      RowMatrix& sum = sums[static_cast<std::size_t>(range)];
      sum.setZero(n_root_, m);
      add(range * n_levels() / ranges, (range + 1) * n_levels() / ranges, sum.data());
    });
    for (const RowMatrix& sum : sums) Eigen::Map<RowMatrix>(whole, n_root_, m) += sum;
  }
  if (!dense_) return;
  scale_rows(true, product);
  out += product;
}

void Coupling::subtract(const RowMatrix& U, RowMatrix& rows) const {
  const Index m = rows.cols(), ranges = ranges_of(*this, n_root_, m);
  const Matrix& entry = dense_ ? value_ : scaled_;
  Eigen::Map<RowMatrix> product = root_rows(dense_ ? m : 0);
  if (dense_) {
    product = U;
    scale_rows(false, product);
  }
  const double* factor = dense_ ? product.data() : U.data();
  each_task(ranges, [&](Index range) {
    const Index end = (range + 1) * n_levels() / ranges;
    for (Index l = range * n_levels() / ranges; l < end; ++l)
      for (Index e = start_[l]; e < start_[l + 1]; ++e) {
        const double* from = factor + index_[e] * m;
        for (Index i = 0; i < k_; ++i) {
          const double v = entry(i, e);
          double* to = rows.data() + (l * k_ + i) * m;
          for (Index j = 0; j < m; ++j) to[j] -= v * from[j];
        }
      }
  });
}

void Coupling::order_by_column() {
  if (dense_) return;
  column_start_.assign(n_root_ + 1, 0);
  for (const std::int32_t j : index_) ++column_start_[j + 1];
  std::partial_sum(column_start_.begin(), column_start_.end(), column_start_.begin());
  std::vector<Index> next(column_start_.begin(), column_start_.end() - 1);
  column_level_.resize(index_.size());
  column_entry_.resize(index_.size());
  for (Index l = 0; l < n_levels(); ++l)
    for (Index e = start_[l]; e < start_[l + 1]; ++e) {
      const Index at = next[index_[e]]++;
      column_level_[at] = static_cast<std::int32_t>(l);
      column_entry_[at] = e;
    }
  divide_columns();
}

// Parts of the columns of about the same number of operations.
void Coupling::divide_columns() {
  std::vector<double> done(n_root_ + 1, 0.0);
  for (Index j = 0; j < n_root_; ++j) {
    done[j + 1] = done[j] + 1.0;
    for (Index q = column_start_[j]; q < column_start_[j + 1]; ++q)
      done[j + 1] += static_cast<double>(start_[column_level_[q] + 1] - column_entry_[q]);
  }
  const double whole = done.back(), levels = static_cast<double>(n_levels());
  const Index parts = n_root_ < kFewColumns
                          ? 1
                          : std::clamp(static_cast<Index>(whole / kPart), kParts, n_root_ / 8);
  part_start_.assign(1, 0);
  for (Index j = 1; j < n_root_; ++j) {
    const double share = static_cast<double>(part_start_.size()) / static_cast<double>(parts);
    if (done[j] >= share * whole) part_start_.push_back(j);
  }
  part_start_.push_back(n_root_);
  n_sums_ = std::clamp<Index>(static_cast<Index>(whole / (kShareOfSums * levels)), 1,
                              std::min(kSums, n_parts()));
}

// One column of Omega at a time stays in the nearest cache; the levels' entries stream past it.
void Coupling::downdate_by_column(const Matrix& K, MatrixRef Omega) {
  const Index k = k_;
  const std::int32_t* index = index_.data();
  const double* v = scaled_.data();
  const auto of_column = [&](Index j, double* w) {
    double* column = Omega.data() + j * Omega.outerStride();
    for (Index q = column_start_[j]; q < column_start_[j + 1]; ++q) {
      const Index l = column_level_[q], a = column_entry_[q], stop = start_[l + 1];
      const double* kl = K.data() + l * k * k;
      if (k == 1) {
        const double factor = kl[0] * v[a];
        for (Index b = a; b < stop; ++b) column[index[b]] -= factor * v[b];
        continue;
      }
      for (Index i = 0; i < k; ++i) {
        w[i] = 0.0;
        for (Index r = 0; r < k; ++r) w[i] += kl[r * k + i] * v[a * k + r];
      }
      for (Index b = a; b < stop; ++b) {
        double sum = 0.0;
        for (Index i = 0; i < k; ++i) sum += w[i] * v[b * k + i];
        column[index[b]] -= sum;
      }
    }
  };
  each_task(n_parts(), [&](Index part) {
    std::vector<double> w(k);
    for (Index j = part_start_[part]; j < part_start_[part + 1]; ++j) {
      if (j % kColumnsAtOnce == 0) pause();
      of_column(j, w.data());
    }
  });
}

void Coupling::quadratic_by_column(const MatrixRef& D, Matrix& G) const {
  const Index k = k_;
  const std::int32_t* index = index_.data();
  const double* v = scaled_.data();
  const auto add_column = [&](Index j, double* w, double* sums) {
    const double* column = D.data() + j * D.outerStride();
    for (Index q = column_start_[j]; q < column_start_[j + 1]; ++q) {
      const Index l = column_level_[q], a = column_entry_[q], stop = start_[l + 1];
      double* g = sums + l * k * k;
      if (k == 1) {
        double sum = 0.5 * column[j] * v[a];
        for (Index b = a + 1; b < stop; ++b) sum += column[index[b]] * v[b];
        g[0] += 2.0 * v[a] * sum;
        continue;
      }
      for (Index i = 0; i < k; ++i) w[i] = 0.5 * column[j] * v[a * k + i];
      for (Index b = a + 1; b < stop; ++b)
        for (Index i = 0; i < k; ++i) w[i] += column[index[b]] * v[b * k + i];
      for (Index r = 0; r < k; ++r)
        for (Index i = 0; i < k; ++i) g[r * k + i] += v[a * k + i] * w[r] + w[i] * v[a * k + r];
    }
  };
  std::vector<Matrix> sums(static_cast<std::size_t>(n_sums_));
  each_task(n_sums_, [&](Index item) {
    std::vector<double> w(k);
    Matrix& sum = sums[static_cast<std::size_t>(item)];
    sum.setZero(k * k, n_levels());
    const Index end = part_start_[(item + 1) * n_parts() / n_sums_];
    for (Index j = part_start_[item * n_parts() / n_sums_]; j < end; ++j) {
      if (j % kColumnsAtOnce == 0) pause();
      add_column(j, w.data(), sum.data());
    }
  });
  G = std::move(sums[0]);
  for (std::size_t item = 1; item < sums.size(); ++item) G += sums[item];
}

void Coupling::downdate(const Matrix& K, MatrixRef Omega) {
  if (!dense_) return downdate_by_column(K, Omega);
  Index count = 0;
  for (Index first = 0; first < n_levels(); first += count) {
    count = fill_panel(first);
    for (Index l = 0; l < count; ++l) {
      const Eigen::Map<const Matrix> Kl(K.data() + (first + l) * k_ * k_, k_, k_);
      if (k_ == 1)
        work_.row(l) = Kl(0, 0) * panel_.row(l);
      else
        work_.middleRows(l * k_, k_).noalias() = Kl.lazyProduct(panel_.middleRows(l * k_, k_));
    }
    subtract_panel(panel_.topRows(count * k_), work_.topRows(count * k_), Omega);
  }
}

// G_l = product_l scaled_l' of each level.
void Coupling::close_products(const Matrix& product, Matrix& G) const {
  G.setZero(k_ * k_, n_levels());
  for (Index l = 0; l < n_levels(); ++l) {
    Eigen::Map<Matrix> Gl(G.data() + l * k_ * k_, k_, k_);
    for (Index e = start_[l]; e < start_[l + 1]; ++e)
      Gl.noalias() += product.col(e).lazyProduct(scaled_.col(e).transpose());
  }
}

void Coupling::multiply(const MatrixRef& D, Matrix& product, Matrix& G) {
  product.setZero(k_, nonzeros());
  if (!dense_) {
    for (Index j = 0; j < n_root_; ++j)
      for (Index q = column_start_[j]; q < column_start_[j + 1]; ++q) {
        const Index a = column_entry_[q], stop = start_[column_level_[q] + 1];
        product.col(a) += D(j, j) * scaled_.col(a);
        for (Index b = a + 1; b < stop; ++b) {
          const double d = D(index_[b], j);
          product.col(a) += d * scaled_.col(b);
          product.col(b) += d * scaled_.col(a);
        }
      }
    return close_products(product, G);
  }
  G.resize(k_ * k_, n_levels());
  Index count = 0;
  for (Index first = 0; first < n_levels(); first += count) {
    count = fill_panel(first);
    multiply_panel(panel_.topRows(count * k_), D, work_.topRows(count * k_));
    for (Index l = 0; l < count; ++l) {
      const auto rows = work_.middleRows(l * k_, k_);
      for (Index e = start_[first + l]; e < start_[first + l + 1]; ++e)
        product.col(e) = rows.col(index_[e]);
      Eigen::Map<Matrix>(G.data() + (first + l) * k_ * k_, k_, k_).noalias() =
          rows.lazyProduct(panel_.middleRows(l * k_, k_).transpose());
    }
  }
}

void Coupling::quadratic(const MatrixRef& D, Matrix& G) {
  if (!dense_) return quadratic_by_column(D, G);
  G.resize(k_ * k_, n_levels());
  Index count = 0;
  for (Index first = 0; first < n_levels(); first += count) {
    count = fill_panel(first);
    multiply_panel(panel_.topRows(count * k_), D, work_.topRows(count * k_));
    for (Index l = 0; l < count; ++l) {
      Eigen::Map<Matrix> Gl(G.data() + (first + l) * k_ * k_, k_, k_);
      Gl.noalias() =
          work_.middleRows(l * k_, k_).lazyProduct(panel_.middleRows(l * k_, k_).transpose());
    }
  }
}

}  // namespace ranef
