// The row model of one density. Included where a density is instantiated.
#pragma once

#include "ranef/densities.hpp"
#include "ranef/row_model.hpp"

namespace ranef {

template <class Density>
class RowModelOf final : public RowModel {
  static constexpr int N = Density::kInputs;

 public:
  RowModelOf(Link link, RowModelRows rows) : RowModel(std::move(rows)), link_(link) {
    rows_.reserve(static_cast<std::size_t>(n_obs()));
    for (Index i = 0; i < n_obs(); ++i)
      rows_.emplace_back(
          row_value(y_(i), Density::kTrials ? weights_(i) : 1.0, top_, Density::kTrials));
  }

  int n_inputs() const override { return N; }

  double total(const Matrix& eta) const override {
    using J = Jet<1, 0>;
    typename Density::template Shape<J> shape;
    double sum = 0.0;
    for (Index i = 0; i < n_obs(); ++i) {
      J in[N];
      for (int a = 0; a < N; ++a) in[a] = eta(i, a);
      sum += frequency(i) * at(i, in, shape).value();
    }
    return sum;
  }

  double search(const Matrix& eta, const std::vector<int>& active, Matrix& score,
                Matrix& weight) const override {
    switch (active.size()) {
      case 1:
        return search_by<1>(eta, active, score, weight);
      case 2:
        if constexpr (N >= 2) return search_by<2>(eta, active, score, weight);
        break;
      case 3:
        if constexpr (N >= 3) return search_by<3>(eta, active, score, weight);
        break;
    }
    throw std::invalid_argument("terms: of no predictor, or of too many");
  }

  void slopes(const Matrix& eta, const std::vector<int>& active, const Matrix& h, Matrix& score,
              Matrix& second, Matrix& slope) const override {
    score.resize(n_obs(), N);
    if (active.empty()) return scores(eta, score);
    second.resize(n_obs(), N * (N + 1) / 2);
    slope.setZero(n_obs(), N);
    if (active.size() == 1) return slopes_of_one(eta, active[0], h, score, second, slope);
    if constexpr (N >= 2) slopes_of_several(eta, active, h, score, second, slope);
  }

  void seconds(const Matrix& eta, Matrix& second) const override {
    using J = Jet<N, 2>;
    typename Density::template Shape<J> shape;
    second.resize(n_obs(), N * (N + 1) / 2);
    for (Index i = 0; i < n_obs(); ++i) {
      J in[N];
      for (int a = 0; a < N; ++a) in[a] = J::input(eta(i, a), a);
      const J l = at(i, in, shape);
      for (int b = 0; b < N; ++b)
        for (int a = 0; a <= b; ++a) second(i, pair_index(a, b)) = frequency(i) * l.second(a, b);
    }
  }

  double at_rows(const std::int32_t* rows, const Matrix& eta, Matrix& score) const override {
    using J = Jet<N, 1>;
    typename Density::template Shape<J> shape;
    double sum = 0.0;
    score.resize(eta.rows(), N);
    for (Index i = 0; i < eta.rows(); ++i) {
      J in[N];
      for (int a = 0; a < N; ++a) in[a] = J::input(eta(i, a), a);
      const J l = at(rows[i], in, shape);
      const double m = frequency(rows[i]);
      sum += m * l.value();
      for (int a = 0; a < N; ++a) score(i, a) = m * l.first(a);
    }
    return sum;
  }

 private:
  Link link_;
  std::vector<typename RowOf<Density>::type> rows_;

  template <class J>
  J at(Index i, const J* in, typename Density::template Shape<J>& shape) const {
    shape.renew(in);
    return Density::at(rows_[static_cast<std::size_t>(i)], link_, in, shape);
  }
  double frequency(Index i) const { return Density::kTrials ? 1.0 : weights_(i); }

  void scores(const Matrix& eta, Matrix& score) const {
    using J = Jet<N, 1>;
    typename Density::template Shape<J> shape;
    for (Index i = 0; i < n_obs(); ++i) {
      J in[N];
      for (int a = 0; a < N; ++a) in[a] = J::input(eta(i, a), a);
      const J l = at(i, in, shape);
      for (int a = 0; a < N; ++a) score(i, a) = frequency(i) * l.first(a);
    }
  }

  void slopes_of_one(const Matrix& eta, int active, const Matrix& h, Matrix& score, Matrix& second,
                     Matrix& slope) const {
    using J = SlopeJet<N>;
    typename Density::template Shape<J> shape;
    for (Index i = 0; i < n_obs(); ++i) {
      J in[N];
      for (int a = 0; a < N; ++a) in[a] = J::input(eta(i, a), a, active);
      const J l = at(i, in, shape);
      const double m = frequency(i), both = -m * h(i, 0);
      score(i, active) = m * l.t[1];
      second(i, pair_index(active, active)) = 2.0 * m * l.t[2];
      slope(i, active) = 6.0 * both * l.t[3];
      for (int a = 0; a < N; ++a) {
        if (a == active) continue;
        const auto& other = l.other[J::place(a, active)];
        score(i, a) = m * other[0];
        second(i, symmetric_index(active, a)) = m * other[1];
        slope(i, a) = 2.0 * both * other[2];
      }
    }
  }

  void slopes_of_several(const Matrix& eta, const std::vector<int>& active, const Matrix& h,
                         Matrix& score, Matrix& second, Matrix& slope) const {
    using J = Jet<N, 3>;
    typename Density::template Shape<J> shape;
    const int r = static_cast<int>(active.size());
    for (Index i = 0; i < n_obs(); ++i) {
      J in[N];
      for (int a = 0; a < N; ++a) in[a] = J::input(eta(i, a), a);
      const J l = at(i, in, shape);
      const double m = frequency(i);
      for (int a = 0; a < N; ++a) score(i, a) = m * l.first(a);
      for (int b = 0; b < N; ++b)
        for (int a = 0; a <= b; ++a) second(i, pair_index(a, b)) = m * l.second(a, b);
      for (int l2 = 0; l2 < r; ++l2)
        for (int k = 0; k <= l2; ++k) {
          const double both = -m * h(i, pair_index(k, l2)) * (k == l2 ? 1.0 : 2.0);
          for (int a = 0; a < N; ++a) slope(i, a) += both * third(l, active[k], active[l2], a);
        }
    }
  }

  static double third(const Jet<N, 3>& l, int a, int b, int c) {
    if (a > b) std::swap(a, b);
    if (b > c) std::swap(b, c);
    if (a > b) std::swap(a, b);
    return l.third(a, b, c);
  }

  template <int R>
  double search_by(const Matrix& eta, const std::vector<int>& active, Matrix& score,
                   Matrix& weight) const {
    using J = Jet<R, 2>;
    typename Density::template Shape<J> shape;
    score.resize(n_obs(), R);
    weight.resize(n_obs(), R * (R + 1) / 2);
    double sum = 0.0;
    for (Index i = 0; i < n_obs(); ++i) {
      J in[N];
      for (int a = 0; a < N; ++a) in[a] = eta(i, a);
      for (int k = 0; k < R; ++k) in[active[k]] = J::input(eta(i, active[k]), k);
      const J l = at(i, in, shape);
      const double m = frequency(i);
      sum += m * l.value();
      for (int k = 0; k < R; ++k) score(i, k) = m * l.first(k);
      for (int b = 0; b < R; ++b)
        for (int a = 0; a <= b; ++a) weight(i, pair_index(a, b)) = -m * l.second(a, b);
    }
    return sum;
  }
};

// With a zero part where one is asked for.
template <class Density>
std::unique_ptr<RowModel> row_model_of(Link link, bool zero, RowModelRows rows) {
  if (zero) return std::make_unique<RowModelOf<WithZero<Density>>>(link, std::move(rows));
  return std::make_unique<RowModelOf<Density>>(link, std::move(rows));
}

template <class Density>
std::unique_ptr<RowModel> row_model_without_zeros(Link link, bool zero, RowModelRows rows) {
  if (zero) throw std::invalid_argument("zero: not of this family");
  return std::make_unique<RowModelOf<Density>>(link, std::move(rows));
}

// One for each distribution, each in a file of its kin.
std::unique_ptr<RowModel> poisson_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> negative_binomial_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> nbinom1_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> generalized_poisson_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> compois_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> truncated_poisson_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> truncated_negative_binomial_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> truncated_nbinom1_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> gaussian_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> lognormal_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> student_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> gamma_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> tweedie_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> binomial_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> betabinomial_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> beta_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> ordered_beta_rows(Link, bool, RowModelRows);
std::unique_ptr<RowModel> ordinal_rows(Link, bool, RowModelRows);

}  // namespace ranef
