#include "ranef/supernodal.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "ranef/errors.hpp"
#include "ranef/interrupt.hpp"

namespace ranef {
namespace {

using Rows = std::vector<std::int32_t>;

// A block joins its parent where that adds at most so many zeros, or such a share of its entries.
constexpr double kFewZeros = 32.0, kShareOfZeros = 0.25;
// Triangles up to this size are inverted column by column.
constexpr Index kSmallTriangle = 48;

// T <- T^-1, lower triangular, by halves.
void invert_lower(Eigen::Ref<Matrix> T) {
  const Index n = T.rows();
  if (n <= kSmallTriangle) {
    const Matrix inverse = T.triangularView<Eigen::Lower>().solve(Matrix(Matrix::Identity(n, n)));
    T.triangularView<Eigen::Lower>() = inverse;
    return;
  }
  const Index h = n / 2, rest = n - h;
  invert_lower(T.topLeftCorner(h, h));
  invert_lower(T.bottomRightCorner(rest, rest));
  const Matrix half =
      T.bottomLeftCorner(rest, h) * T.topLeftCorner(h, h).triangularView<Eigen::Lower>();
  T.bottomLeftCorner(rest, h).noalias() =
      -(T.bottomRightCorner(rest, rest).triangularView<Eigen::Lower>() * half);
}

// Parents in the elimination tree of the columns in elimination order; -1 for a root.
Rows elimination_tree(const std::vector<Rows>& above) {
  const std::size_t n = above.size();
  Rows parent(n, -1), ancestor(n, -1);
  for (std::size_t j = 0; j < n; ++j)
    for (std::int32_t i : above[j])
      while (i >= 0 && i < static_cast<std::int32_t>(j)) {
        const std::int32_t next = ancestor[i];
        ancestor[i] = static_cast<std::int32_t>(j);
        if (next < 0) parent[i] = static_cast<std::int32_t>(j);
        i = next;
      }
  return parent;
}

// Places of the columns when every one follows its descendants.
Rows postorder(const Rows& parent) {
  const std::int32_t n = static_cast<std::int32_t>(parent.size());
  Rows head(n, -1), next(n, -1), place(n), stack;
  for (std::int32_t j = n - 1; j >= 0; --j)
    if (parent[j] >= 0) {
      next[j] = head[parent[j]];
      head[parent[j]] = j;
    }
  std::int32_t at = 0;
  for (std::int32_t root = 0; root < n; ++root) {
    if (parent[root] >= 0) continue;
    stack.push_back(root);
    while (!stack.empty()) {
      const std::int32_t j = stack.back(), child = head[j];
      if (child >= 0) {
        head[j] = next[child];
        stack.push_back(child);
      } else {
        place[j] = at++;
        stack.pop_back();
      }
    }
  }
  return place;
}

}  // namespace

Supernodal::Supernodal(Index n, std::vector<Rows> below, double most) : n_(n) {
  order(below);
  const std::vector<Rows> columns = renumber(below);
  below = {};
  analyse(columns, most);
  value_.setZero(nonzeros());
}

// The fill-reducing order, minimum degree.
void Supernodal::order(const std::vector<Rows>& below) {
  std::vector<int> start(n_ + 1, 0), row;
  std::size_t total = n_;
  for (const Rows& column : below) total += column.size();
  row.reserve(total);
  place_.resize(n_);
  if (static_cast<double>(total) > 0.4 * static_cast<double>(n_) * static_cast<double>(n_)) {
    std::iota(place_.begin(), place_.end(), 0);  // dense: any order is as good
    return;
  }
  for (Index j = 0; j < n_; ++j) {
    row.push_back(static_cast<int>(j));
    row.insert(row.end(), below[j].begin(), below[j].end());
    std::sort(row.begin() + start[j] + 1, row.end());
    row.erase(std::unique(row.begin() + start[j], row.end()), row.end());
    start[j + 1] = static_cast<int>(row.size());
  }
  const std::vector<double> ones(row.size(), 1.0);
  const Eigen::Map<const Eigen::SparseMatrix<double>> A(n_, n_, static_cast<Index>(row.size()),
                                                        start.data(), row.data(), ones.data());
  Eigen::PermutationMatrix<Eigen::Dynamic, Eigen::Dynamic, int> elimination;
  Eigen::AMDOrdering<int>()(Eigen::SparseMatrix<double>(A).selfadjointView<Eigen::Lower>(),
                            elimination);
  for (Index i = 0; i < n_; ++i) place_[elimination.indices()(i)] = static_cast<std::int32_t>(i);
}

// Rows below the diagonal by columns, in an elimination order in which a column follows its
// descendants.
std::vector<Rows> Supernodal::renumber(const std::vector<Rows>& below) {
  std::vector<Rows> above(n_);
  for (Index j = 0; j < n_; ++j)
    for (std::int32_t i : below[j]) {
      const auto [low, high] = std::minmax(place_[i], place_[j]);
      above[high].push_back(low);
    }
  const Rows after = postorder(elimination_tree(above));
  std::vector<Rows> columns(n_);
  for (Index j = 0; j < n_; ++j)
    for (std::int32_t i : above[j]) columns[after[i]].push_back(after[j]);
  for (std::int32_t& place : place_) place = after[place];
  return columns;
}

// Rows of a column of L: those of A and of the children, without the children. A column whose rows
// are those of the column before, less itself, joins that column's block.
void Supernodal::analyse(const std::vector<Rows>& columns, double most) {
  std::vector<Rows> waiting(n_), children(n_);  // rows of the columns whose parent is to come
  Rows seen(n_, -1);
  double total = 0.0;
  for (Index j = 0; j < n_; ++j) {
    Rows rows;
    const auto largest = std::max_element(
        children[j].begin(), children[j].end(),
        [&](std::int32_t a, std::int32_t b) { return waiting[a].size() < waiting[b].size(); });
    const std::int32_t heir = largest == children[j].end() ? -1 : *largest;
    if (heir >= 0) rows = std::move(waiting[heir]);
    if (heir >= 0) rows.erase(rows.begin());  // j itself
    const std::size_t inherited = rows.size();
    for (std::int32_t i : rows) seen[i] = static_cast<std::int32_t>(j);
    const auto take = [&](const Rows& more) {
      for (std::int32_t i : more)
        if (i > j && seen[i] != j) {
          seen[i] = static_cast<std::int32_t>(j);
          rows.push_back(i);
        }
    };
    take(columns[j]);
    for (std::int32_t child : children[j])
      if (child != heir) take(waiting[child]), waiting[child] = {};
    std::sort(rows.begin() + static_cast<std::ptrdiff_t>(inherited), rows.end());
    std::inplace_merge(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(inherited),
                       rows.end());
    const bool joins =
        heir == j - 1 && heir >= 0 && rows.size() == inherited && children[j].size() == 1;
    if (!joins) {
      first_.push_back(static_cast<std::int32_t>(j));
      below_.emplace_back();
    }
    const double count = static_cast<double>(rows.size()) + 1.0;
    total += count;
    if (total > most) throw ModelTooLarge("the Cholesky factor of the random effects is too large");
    below_.back() = rows;
    if (!rows.empty()) children[rows.front()].push_back(static_cast<std::int32_t>(j));
    waiting[j] = std::move(rows);
  }
  first_.push_back(static_cast<std::int32_t>(n_));
  amalgamate();
  const Index blocks = n_blocks();
  block_.resize(n_);
  start_.assign(blocks + 1, 0);
  parent_.assign(blocks, -1);
  children_.assign(blocks, {});
  for (Index s = 0; s < blocks; ++s) {
    for (Index j = first_[s]; j < first_[s + 1]; ++j) block_[j] = static_cast<std::int32_t>(s);
    const double rows = static_cast<double>(height(s)), columns_of = static_cast<double>(width(s));
    flops_ += columns_of * rows * rows;
    start_[s + 1] = start_[s] + height(s) * width(s);
  }
  for (Index s = 0; s < blocks; ++s)
    if (!below_[s].empty()) {
      parent_[s] = block_[below_[s].front()];
      children_[parent_[s]].push_back(static_cast<std::int32_t>(s));
    }
}

// Join blocks that follow each other where few zeros come in.
void Supernodal::amalgamate() {
  Rows first;
  std::vector<Rows> below;
  for (std::size_t s = 0; s < below_.size(); ++s) {
    std::int32_t begin = first_[s];
    const std::int32_t end = first_[s + 1];
    while (!first.empty() && !below.back().empty() && below.back().front() >= begin &&
           below.back().front() < end) {
      const double width_before = begin - first.back();
      const double rows = static_cast<double>(end - begin + below_[s].size());
      const double before = static_cast<double>(below.back().size());
      const double zeros = width_before * (rows - before);
      if (zeros > std::max(kFewZeros, kShareOfZeros * width_before * before)) break;
      begin = first.back();
      first.pop_back();
      below.pop_back();
    }
    first.push_back(begin);
    below.push_back(std::move(below_[s]));
  }
  first.push_back(static_cast<std::int32_t>(n_));
  first_ = std::move(first);
  below_ = std::move(below);
}

Index Supernodal::position(Index i, Index j) const {
  const auto [low, high] = std::minmax(place_[i], place_[j]);
  const Index s = block_[low], column = low - first_[s];
  Index row = high - first_[s];
  if (high >= first_[s + 1]) {
    const Rows& rows = below_[s];
    row = width(s) + (std::lower_bound(rows.begin(), rows.end(), high) - rows.begin());
  }
  return start_[s] + column * height(s) + row;
}

// Where the rows below a block are in its parent's block.
void Supernodal::places_in_parent(Index s, Rows& out) const {
  const Index p = parent_[s];
  const Rows& rows = below_[s];
  out.resize(rows.size());
  std::size_t at = 0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r] < first_[p + 1]) {
      out[r] = rows[r] - first_[p];
      continue;
    }
    while (below_[p][at] != rows[r]) ++at;
    out[r] = static_cast<std::int32_t>(width(p) + static_cast<Index>(at));
  }
}

bool Supernodal::factor() {
  std::vector<Matrix> left(below_.size());  // what a block leaves for its parent, lower triangle
  Rows at;
  for (Index s = 0; s < n_blocks(); ++s) {
    if (s % 64 == 0 || width(s) > 64) pause();
    const Index k = width(s), r = height(s) - k;
    Eigen::Map<Matrix> L = panel(value_, s);
    Matrix& rest = left[s];
    rest = Matrix::Zero(r, r);
    for (std::int32_t child : children_[s]) {
      places_in_parent(child, at);
      const Matrix& U = left[child];
      for (Index j = 0; j < U.cols(); ++j)
        if (at[j] < k) {
          for (Index i = j; i < U.rows(); ++i) L(at[i], at[j]) += U(i, j);
        } else {
          for (Index i = j; i < U.rows(); ++i) rest(at[i] - k, at[j] - k) += U(i, j);
        }
      left[child].resize(0, 0);
    }
    if (k == 1) {
      if (!(L(0, 0) > 0.0)) return false;
      const double root = std::sqrt(L(0, 0));
      L(0, 0) = root;
      for (Index i = 1; i <= r; ++i) L(i, 0) /= root;
      for (Index j = 0; j < r; ++j)
        for (Index i = j; i < r; ++i) rest(i, j) -= L(i + 1, 0) * L(j + 1, 0);
      continue;
    }
    Eigen::Ref<Matrix> top = L.topRows(k);
    const Eigen::LLT<Eigen::Ref<Matrix>> llt(top);
    if (llt.info() != Eigen::Success) return false;
    if (r == 0) continue;
    auto lower = L.bottomRows(r);
    L.topRows(k).triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(lower);
    rest.selfadjointView<Eigen::Lower>().rankUpdate(Matrix(lower), -1.0);
  }
  return true;
}

double Supernodal::log_determinant() const {
  double sum = 0.0;
  for (Index s = 0; s < n_blocks(); ++s) sum += panel(s).diagonal().array().log().sum();
  return sum;
}

void Supernodal::solve_lower(RowMatrix& B) const {
  RowMatrix permuted(B.rows(), B.cols());
  for (Index i = 0; i < n_; ++i) permuted.row(place_[i]) = B.row(i);
  for (Index s = 0; s < n_blocks(); ++s) {
    const Index k = width(s), r = height(s) - k;
    const auto L = panel(s);
    auto own = permuted.middleRows(first_[s], k);
    if (k == 1)
      own /= L(0, 0);
    else
      L.topRows(k).triangularView<Eigen::Lower>().solveInPlace(own);
    if (k < 4) {
      for (Index i = 0; i < r; ++i)
        for (Index j = 0; j < k; ++j) permuted.row(below_[s][i]) -= L(k + i, j) * own.row(j);
      continue;
    }
    const RowMatrix change = L.bottomRows(r) * own;
    for (Index i = 0; i < r; ++i) permuted.row(below_[s][i]) -= change.row(i);
  }
  B.swap(permuted);
}

void Supernodal::solve_upper(RowMatrix& B) const {
  for (Index s = n_blocks() - 1; s >= 0; --s) {
    const Index k = width(s), r = height(s) - k;
    const auto L = panel(s);
    auto own = B.middleRows(first_[s], k);
    if (k < 4) {
      for (Index i = 0; i < r; ++i)
        for (Index j = 0; j < k; ++j) own.row(j) -= L(k + i, j) * B.row(below_[s][i]);
    } else if (r > 0) {
      RowMatrix gathered(r, B.cols());
      for (Index i = 0; i < r; ++i) gathered.row(i) = B.row(below_[s][i]);
      own.noalias() -= L.bottomRows(r).transpose() * gathered;
    }
    if (k == 1)
      own /= L(0, 0);
    else
      L.topRows(k).triangularView<Eigen::Lower>().transpose().solveInPlace(own);
  }
  RowMatrix permuted(B.rows(), B.cols());
  for (Index i = 0; i < n_; ++i) permuted.row(i) = B.row(place_[i]);
  B.swap(permuted);
}

// With W = L_21 L_11^-1 and Z = A^-1 of a block's columns and the rows below them:
//   Z_21 = -Z_22 W,  Z_11 = (L_11 L_11')^-1 + W'Z_22 W,  Z_22 a part of the parent's Z.
const Vector& Supernodal::invert() {
  inverse_.resize(value_.size());
  std::vector<Matrix> whole(below_.size());  // Z of blocks whose children are to come
  std::vector<std::size_t> open(below_.size());
  Rows at;
  for (Index s = n_blocks() - 1; s >= 0; --s) {
    if (s % 64 == 0 || width(s) > 64) pause();
    const Index k = width(s), r = height(s) - k;
    const auto L = panel(static_cast<Index>(s));
    Eigen::Map<Matrix> out = panel(inverse_, s);
    Matrix Z22(r, r);
    if (r > 0) {
      places_in_parent(s, at);
      const Index p = parent_[s];
      const Matrix& Z = whole[p];
      for (Index j = 0; j < r; ++j)
        for (Index i = 0; i < r; ++i) Z22(i, j) = Z(at[i], at[j]);
      if (--open[p] == 0) whole[p].resize(0, 0);
    }
    Matrix inverse = L.topRows(k).triangularView<Eigen::Lower>();
    invert_lower(inverse);
    Matrix Z11 = Matrix::Zero(k, k);
    Z11.selfadjointView<Eigen::Lower>().rankUpdate(Matrix(inverse.transpose()));
    Z11.triangularView<Eigen::StrictlyUpper>() = Z11.transpose();
    out.topRows(k) = Z11;
    if (r > 0) {
      const Matrix W = L.bottomRows(r) * inverse.triangularView<Eigen::Lower>();
      const Matrix ZW = Z22 * W;
      out.topRows(k).noalias() += W.transpose() * ZW;
      out.bottomRows(r) = -ZW;
    }
    open[s] = children_[s].size();
    if (open[s] == 0) continue;
    Matrix& Z = whole[s];
    Z.resize(k + r, k + r);
    Z.leftCols(k) = out;
    Z.topRightCorner(k, r) = out.bottomRows(r).transpose();
    Z.bottomRightCorner(r, r) = Z22;
  }
  return inverse_;
}

}  // namespace ranef
