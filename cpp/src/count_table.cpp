#include "ranef/count_table.hpp"

#include <algorithm>
#include <limits>

namespace ranef {
namespace {

// A table this small always pays.
constexpr double kSmallCells = 1 << 22;
// Another pays when a share of its cells is filled: a small one up to half a gigabyte, for speed,
// and one in three above that, when it is as small as the list. It goes on paying until a third of
// that share is left.
constexpr double kMediumCells = 1 << 27;
constexpr double kMediumShare = 0.02;
constexpr double kLargeShare = 0.33;

constexpr double kMost = std::numeric_limits<std::uint32_t>::max();

bool pays_with(Index n_s, Index n_t, double pairs) {
  const double cells = static_cast<double>(n_s) * static_cast<double>(n_t);
  const double share = cells <= kMediumCells ? kMediumShare : kLargeShare;
  return cells <= kSmallCells || cells * share <= pairs;
}

}  // namespace

bool CountTable::pays(Index n_s, Index n_t, Index pairs) {
  return pays_with(n_s, n_t, static_cast<double>(pairs));
}

bool CountTable::holds(Index n_s, Index n_t, Index n) const {
  return pays_with(n_s, n_t, 3.0 * static_cast<double>(nonzeros_)) &&
         static_cast<double>(total_ + n) <= kMost;
}

void CountTable::grow(Index n_s, Index n_t) {
  n_s_ = std::max(n_s, n_s_);
  n_t_ = std::max(n_t, n_t_);
  if (n_t_ > stride_) {
    const Index wider = stride_ == 0 ? n_t_ : n_t_ + n_t_ / 4;
    std::vector<std::uint32_t> fresh(n_s_ * wider, 0);
    const Index rows = stride_ == 0 ? 0 : static_cast<Index>(count_.size()) / stride_;
    for (Index l = 0; l < rows; ++l)
      std::copy_n(count_.data() + l * stride_, stride_, fresh.data() + l * wider);
    count_ = std::move(fresh);
    stride_ = wider;
  }
  const std::size_t cells = n_s_ * stride_;
  if (cells > count_.capacity()) count_.reserve(count_.empty() ? cells : cells + cells / 4);
  count_.resize(cells, 0);
}

void CountTable::add(const std::int32_t* s, const std::int32_t* t, Index n, Index n_s, Index n_t) {
  grow(n_s, n_t);
  for (Index i = 0; i < n; ++i) nonzeros_ += count_[s[i] * stride_ + t[i]]++ == 0;
  total_ += n;
}

bool CountTable::absorb(const PairProducts& pair, Index n_s, Index n_t) {
  const double* value = pair.value.data();
  double sum = 0.0;
  for (Index e = 0; e < pair.value.size(); ++e) {
    if (!(value[e] >= 0.0 && value[e] <= kMost) ||
        value[e] != static_cast<double>(static_cast<std::uint32_t>(value[e])))
      return false;
    sum += value[e];
  }
  if (static_cast<double>(total_) + sum > kMost) return false;
  grow(n_s, n_t);
  for (Index l = 0; l + 1 < static_cast<Index>(pair.start.size()); ++l)
    for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
      std::uint32_t& count = count_[l * stride_ + pair.level[e]];
      nonzeros_ += count == 0 && value[e] > 0.0;
      count += static_cast<std::uint32_t>(value[e]);
    }
  total_ += static_cast<Index>(sum);
  return true;
}

void CountTable::renumber(const std::vector<std::int32_t>& s, const std::vector<std::int32_t>& t,
                          Index n_s, Index n_t) {
  std::vector<std::uint32_t> fresh(n_s * n_t, 0);
  for (Index l = 0; l < n_s_; ++l)
    for (Index m = 0; m < n_t_; ++m) fresh[s[l] * n_t + t[m]] = count_[l * stride_ + m];
  count_ = std::move(fresh);
  n_s_ = n_s;
  n_t_ = stride_ = n_t;
}

PairProducts CountTable::pairs() const {
  PairProducts out;
  out.start.reserve(n_s_ + 1);
  out.start.push_back(0);
  out.level.reserve(nonzeros_);
  out.value.resize(1, nonzeros_);
  for (Index l = 0; l < n_s_; ++l) {
    for (Index m = 0; m < n_t_; ++m) {
      const std::uint32_t count = count_[l * stride_ + m];
      if (count == 0) continue;
      out.value(0, static_cast<Index>(out.level.size())) = count;
      out.level.push_back(static_cast<std::int32_t>(m));
    }
    out.start.push_back(static_cast<Index>(out.level.size()));
  }
  return out;
}

}  // namespace ranef
